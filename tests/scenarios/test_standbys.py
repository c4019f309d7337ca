"""Copies of tables on other workers: kept warm, taken over without a restore, given back, asked while nobody owns."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streamz_actors.assignment.plan import ACCEPTABLE_LAG
from streamz_actors.errors import BrokerUnavailable
from streamz_actors.running import Running
from streamz_actors.tasks import restore
from streamz_actors.types import TopicPartition
from streamz_actors.worker import assigned
from tests.scenarios.group import KEYS, PARTITIONS, Flow, expire
from tests.scenarios.support import Site, turns, until


def copies(running: Running) -> dict[str, int | None]:
    return dict(running.worker.assigned.standbys.lags())


async def hear(flow: Flow, seconds: float = 1.0) -> None:
    """Time goes on, so that copies hear of ends and commits."""
    end = flow.site.clock.monotonic() + seconds
    while flow.site.clock.advance_to_next(end):
        await turns(20)
    await turns(50)


async def commit(flow: Flow) -> None:
    for running in flow.workers:
        await running.worker.commit()


async def warm(flow: Flow) -> None:
    """Everything is committed, and the copies have it."""
    await flow.settle()
    await commit(flow)
    await hear(flow, 3.0)
    await flow.settle()


@pytest.fixture(params=["memory://", "rocksdb://"])
def flow(request: pytest.FixtureRequest, tmp_path: Path) -> Flow:
    return Flow(Site(request.param, tmp_path))


async def join(flow: Flow, name: str, **options: Any) -> Running:
    return await flow.join(name, **{"standby_replicas": 1, **options})


async def die(flow: Flow, running: Running) -> None:
    """Killed, and missed by the group, whose other members have something to do meanwhile."""
    await flow.kill(running)
    flow.send(1)
    await turns(50)
    await expire(flow.site)
    await flow.settle()


async def test_each_task_has_a_copy_on_the_other_worker_and_it_holds_what_is_committed(flow: Flow) -> None:
    first, second = await join(flow, "first"), await join(flow, "second")
    flow.send(5)
    await warm(flow)
    for one, other in ((first, second), (second, first)):
        assert copies(one).keys() == other.worker.tasks.keys()
        assert set(copies(one).values()) == {0}
    for name, copy in first.worker.assigned.standbys.tasks.items():
        own = second.worker.tasks[name].own["counts"].logged.store
        assert dict(copy.shelf.stores["counts"].scan()) == dict(own.scan())
    await flow.end()


def counting_restores(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The records of each write that a restore does from now on."""
    written: list[int] = []

    async def apply(*args: Any) -> None:
        written.append(len(args[1]))
        await restore_apply(*args)

    restore_apply = restore.apply
    monkeypatch.setattr(restore, "apply", apply)
    return written


async def test_a_copy_that_was_taken_over_is_near_until_its_last_records_are_there_as_well(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await join(flow, "first"), await join(flow, "second")
    flow.send(20)
    await warm(flow)
    came = [task.partition for task in second.worker.tasks.values()]
    asked, answers = 0, asyncio.Event()
    begins = restore.Restorer.run

    async def slow(*args: Any) -> None:
        nonlocal asked
        asked += 1
        await answers.wait()
        await begins(*args)

    monkeypatch.setattr(restore.Restorer, "run", slow)
    await flow.kill(second)
    await expire(flow.site)
    await until(lambda: asked)
    (lags,) = first.worker.assigned.copies().values()
    assert {partition: lags[partition] for partition in came} == dict.fromkeys(came, 0), "else it would go elsewhere"
    answers.set()
    await flow.settle()
    assert first.worker.assigned.copies() == {}
    await flow.end()


async def test_a_killed_workers_tasks_are_taken_over_without_a_restore(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await join(flow, "first"), await join(flow, "second")
    flow.send(20)
    await warm(flow)
    shelves = {name: copy.shelf for name, copy in first.worker.assigned.standbys.tasks.items()}
    written = counting_restores(monkeypatch)
    await die(flow, second)
    assert len(first.worker.tasks) == PARTITIONS
    assert copies(first) == {}
    assert written == []
    for name, shelf in shelves.items():
        assert first.worker.tasks[name].own["counts"].logged.store is shelf.stores["counts"]
    flow.check_exact()
    flow.send(3)
    await flow.settle()
    flow.check_exact()
    await flow.end()


async def test_what_the_dead_had_not_committed_comes_again_at_the_copy(flow: Flow) -> None:
    _, second = await join(flow, "first"), await join(flow, "second")
    flow.send(4)
    await warm(flow)
    flow.send(5)
    await flow.settle()
    await die(flow, second)
    flow.check_at_least_once()
    assert flow.counts() == Counter(dict.fromkeys(KEYS, flow.sent)), "state counts once, outputs come twice"
    await flow.end()


async def test_a_worker_that_leaves_in_order_hands_over_to_the_copies(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await join(flow, "first"), await join(flow, "second")
    flow.send(6)
    await warm(flow)
    written = counting_restores(monkeypatch)
    await flow.leave(second)
    await flow.settle()
    assert sum(written) <= ACCEPTABLE_LAG
    flow.check_exact()
    third = await join(flow, "third")
    await warm(flow)
    assert copies(first).keys() == third.worker.tasks.keys()
    assert copies(third).keys() == first.worker.tasks.keys()
    flow.check_exact()
    await flow.end()


async def test_a_task_that_leaves_goes_on_as_a_copy_without_being_opened_anew(flow: Flow) -> None:
    first = await join(flow, "first")
    flow.send(5)
    await warm(flow)
    before = {name: task.own["counts"].logged.store for name, task in first.worker.tasks.items()}
    second = await join(flow, "second")
    await warm(flow)
    assert len(second.worker.tasks) == PARTITIONS // 2
    standbys = first.worker.assigned.standbys.tasks
    assert standbys.keys() == second.worker.tasks.keys()
    for name, copy in standbys.items():
        assert copy.shelf.stores["counts"] is before[name]
    flow.send(5)
    await warm(flow)
    flow.check_exact()
    assert set(copies(first).values()) == {0}
    await flow.end()


async def test_three_workers_with_two_copies_each_survive_the_death_of_two(flow: Flow) -> None:
    workers = [await join(flow, f"w{number}", standby_replicas=2) for number in range(3)]
    flow.send(5)
    await warm(flow)
    for running in workers:
        others = {name for other in workers if other is not running for name in other.worker.tasks}
        assert copies(running).keys() == others
    for running in workers[1:]:
        flow.send(2)
        await flow.settle()
        await commit(flow)
        await die(flow, running)
    assert flow.shares() == [PARTITIONS]
    assert flow.counts() == Counter(dict.fromkeys(KEYS, flow.sent))
    await flow.end()


@pytest.mark.parametrize("seed", range(6))
async def test_workers_with_copies_come_go_and_die_and_no_count_is_wrong(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    flow = Flow(Site(chance.choice(["memory://", "rocksdb://"]), tmp_path), f"standbys{seed}")
    await join(flow, "w0")
    for step in range(10):
        flow.send(chance.randrange(4))
        await turns(chance.randrange(60))
        doing = chance.random()
        if len(flow.workers) < 3 and doing < 0.5:
            await join(flow, f"w{step + 1}")
        elif len(flow.workers) > 1 and doing < 0.75:
            await die(flow, chance.choice(flow.workers))
        elif len(flow.workers) > 1:
            await flow.leave(chance.choice(flow.workers))
        if chance.random() < 0.5:
            await hear(flow, chance.random() * 2)
        if chance.random() < 0.5:
            await chance.choice(flow.workers).worker.commit()
    flow.send(2)
    await flow.settle()
    flow.check_at_least_once()
    assert flow.counts() == Counter(dict.fromkeys(KEYS, flow.sent))
    await flow.end()


async def test_a_copy_holds_nothing_of_a_commit_that_did_not_end(flow: Flow) -> None:
    """The flush of one of two tables has come, the other's has not: its task takes it back, and so nobody has it."""
    first, second = await join(flow, "first"), await join(flow, "second")
    flow.send(4)
    await warm(flow)
    (name, *_) = second.worker.tasks
    copy = first.worker.assigned.standbys.tasks[name]
    held = dict(copy.shelf.stores["counts"].scan())
    place = TopicPartition("flow-counts-changelog", copy.partition)
    key = next(iter(held))
    flow.site.broker.append(place, [key], [b"999"], [9], None)
    await hear(flow, 2.0)
    assert dict(copy.shelf.stores["counts"].scan()) == held
    assert copy.lag == 0, "it is read, and waits"
    await flow.end()


async def test_nobody_waits_for_copies(flow: Flow) -> None:
    first, _ = await join(flow, "first"), await join(flow, "second")
    flow.send(3)
    await flow.settle()
    assert first.worker.ready.is_set()
    assert not first.worker.spare
    await flow.end()


async def test_a_worker_that_only_keeps_copies_hands_them_back_to_nobody_and_ends(flow: Flow) -> None:
    await join(flow, "first")
    flow.send(3)
    await warm(flow)
    second = await join(flow, "second")
    await warm(flow)
    await flow.leave(second)
    await flow.settle()
    flow.check_exact()
    await flow.end()


async def test_a_task_with_much_state_moves_when_its_copy_is_near_and_not_before(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "streamz_actors")
    monkeypatch.setattr(assigned, "ACCEPTABLE_LAG", -1)  # no state is so little that it may move without a copy
    first = await flow.join("first")
    flow.send(5)
    await warm(flow)
    written = counting_restores(monkeypatch)
    second = await flow.join("second")
    await warm(flow)
    assert "for these copies are ready" in caplog.text
    assert flow.shares() == [PARTITIONS // 2] * 2
    assert written == []
    assert copies(first) == copies(second) == {}
    flow.check_exact()
    generation = first.worker.members.generation
    await hear(flow, 130.0)
    assert first.worker.members.generation == generation, "nobody asks again and again"
    await flow.end()


async def test_a_copy_that_cannot_be_followed_for_a_moment_is_followed_later(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await join(flow, "first"), await join(flow, "second")
    flow.send(3)
    await warm(flow)
    admin = first.worker.transport.admin

    async def nothing(places: Any) -> Any:
        raise BrokerUnavailable("nobody answers")

    with monkeypatch.context() as patch:
        patch.setattr(admin, "end_offsets", nothing)
        await hear(flow, 3.0)
    assert "copies of tables are not followed for a moment: nobody answers" in caplog.text
    flow.send(3)
    await warm(flow)
    for name, copy in first.worker.assigned.standbys.tasks.items():
        own = second.worker.tasks[name].own["counts"].logged.store
        assert dict(copy.shelf.stores["counts"].scan()) == dict(own.scan())
    assert set(copies(first).values()) == {0}
    await flow.end()
