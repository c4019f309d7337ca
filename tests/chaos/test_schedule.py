"""What a seed makes happen."""

import pytest

from tests.chaos.schedule import NODES, WEIGHTS, WORKERS, clash, counted, schedule


def test_a_seed_gives_the_same_cycles_again_and_another_gives_others() -> None:
    assert schedule(7, 50, 5.0) == schedule(7, 50, 5.0)
    assert schedule(7, 50, 5.0) != schedule(8, 50, 5.0)


def test_a_longer_schedule_begins_like_a_shorter_one() -> None:
    assert schedule(3, 100, 5.0)[:10] == schedule(3, 10, 5.0)


@pytest.mark.parametrize("seed", range(20))
def test_events_that_come_together_can_come_together(seed: int) -> None:
    for cycle in schedule(seed, 50, 5.0):
        assert 1 <= len(cycle.events) <= 2
        for event in cycle.events:
            assert 0 <= event.target < (NODES if event.kind.startswith("broker-") else WORKERS - 1)
            assert not any(clash(event, other) for other in cycle.events if other is not event)


def test_a_hundred_cycles_have_every_kind_of_event() -> None:
    counts = counted(schedule(1, 100, 5.0))
    assert counts.keys() == WEIGHTS.keys()
    assert sum(counts.values()) >= 100
