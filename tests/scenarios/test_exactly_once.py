"""Exactly-once: every effect of a record once, whatever a worker dies of, and whatever its broker answers."""

from pathlib import Path

import pytest

from tests.scenarios.exactly import Failing, FailingTransport, begin_after_death, check, counted, feed, finish, visible
from tests.scenarios.group import kill
from tests.scenarios.support import Crash, Site, crash_at, ended

STEPS = ("stopped", "taken", "sent", "committed", "applied")
KEYS = [f"k{number % 7}" for number in range(40)]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kept", ["nothing", "directory", "memory"])
async def test_a_crash_between_any_two_steps_doubles_and_loses_nothing(step: str, kept: str, tmp_path: Path) -> None:
    site = Site("memory://" if kept == "memory" else "rocksdb://", tmp_path / "first")
    app = counted()
    first, life = await site.begin(app, watch=crash_at(step, 2))
    feed(site, KEYS[:25])
    await site.settle(first)
    await first.worker.commit()
    feed(site, KEYS[25:], 25)
    await site.settle(first)
    with pytest.raises(Crash):
        await first.worker.commit()
    await kill(first, life)

    if kept == "nothing":
        site.data_dir = tmp_path / "second"
    second, life = await begin_after_death(site, app)
    await finish(site, second)
    check(site, KEYS, second)
    await ended(second, life, site.clock)


@pytest.mark.parametrize("outcome", ["committed", "aborted"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
async def test_a_commit_of_unknown_outcome_is_made_good_without_a_restart(
    outcome: str, number: int, store: str, tmp_path: Path
) -> None:
    site, failing = Site(store, tmp_path), Failing()
    failing.outcomes[number] = outcome
    running, life = await site.begin(counted(), transport=FailingTransport(site.broker, failing))
    for start in range(0, len(KEYS), 10):
        feed(site, KEYS[start : start + 10], start)
        await site.settle(running)
        await running.worker.commit()
    await finish(site, running)
    check(site, KEYS, running)
    assert failing.starts == 2
    assert not life.done()
    await ended(running, life, site.clock)


async def test_what_is_not_committed_is_not_visible() -> None:
    site = Site()
    running, life = await site.begin(counted())
    feed(site, KEYS)
    await site.settle(running)
    assert visible(site.broker, "out") == []
    assert len(visible(site.broker, "out", committed=False)) == len(KEYS)
    await running.worker.commit()
    assert len(visible(site.broker, "out")) == len(KEYS)
    await ended(running, life, site.clock)


async def test_an_idle_application_has_no_transactions() -> None:
    site, failing = Site(), Failing()
    running, life = await site.begin(
        counted(), transport=FailingTransport(site.broker, failing), commit_interval=1.0
    )
    feed(site, KEYS)
    for _ in range(5):
        await site.settle(running)
        site.clock.advance_to_next(site.clock.monotonic() + 1.0)
    await site.settle(running)
    check(site, KEYS, running)
    before = failing.commits
    for _ in range(30):
        site.clock.advance_to_next(site.clock.monotonic() + 1.0)
        await site.settle(running)
    assert failing.commits == before
    await ended(running, life, site.clock)
