"""Exactly-once with several workers: they come, go, die and stand still, and each record's effects are there once."""

import asyncio
import random

import pytest

from streamz_actors.errors import BrokerUnavailable
from streamz_actors.running import Running
from streamz_actors.types import TopicPartition
from streamz_actors.worker.exactly_once import PATIENCE
from streamz_actors.worker.status import WorkerStatus
from tests.scenarios.exactly import EXACT
from tests.scenarios.group import Flow, expire
from tests.scenarios.support import Site, turns, until


async def committed(flow: Flow) -> None:
    """Everything is done and committed."""
    for _ in range(2):
        await flow.settle()
        for running in flow.workers:
            await running.worker.commit()
    await flow.settle()


@pytest.mark.parametrize("seed", range(12))
async def test_workers_that_come_and_go_double_and_lose_nothing(seed: int) -> None:
    chance = random.Random(seed)
    flow = Flow(Site(), f"going{seed}", **EXACT)
    await flow.join("w0", max_buffered_records=chance.choice([1, 10, 20_000]))
    for step in range(12):
        flow.send(chance.randrange(4))
        await turns(chance.randrange(30))
        workers = flow.workers
        if len(workers) < 3 and chance.random() < 0.6:
            await flow.join(f"w{step + 1}", max_buffered_records=chance.choice([1, 10, 20_000]))
        elif len(workers) > 1:
            await flow.leave(chance.choice(workers))
        if chance.random() < 0.3:
            await chance.choice(flow.workers).worker.commit()
    flow.send(2)
    await committed(flow)
    flow.check_exact()
    await flow.end()


@pytest.mark.parametrize("seed", range(12))
async def test_workers_that_die_double_and_lose_nothing(seed: int) -> None:
    chance = random.Random(seed)
    flow = Flow(Site(), f"dying{seed}", **EXACT)
    await flow.join("w0")
    for step in range(8):
        flow.send(chance.randrange(4))
        await turns(chance.randrange(30))
        if len(flow.workers) < 3 and chance.random() < 0.6:
            await flow.join(f"w{step + 1}")
        elif len(flow.workers) > 1:
            await flow.kill(chance.choice(flow.workers))
            await expire(flow.site)
        if chance.random() < 0.3:
            await chance.choice(flow.workers).worker.commit()
    flow.send(2)
    await committed(flow)
    flow.check_exact()
    await flow.end()


@pytest.mark.parametrize("uncommitted", [0, 3])
async def test_a_worker_that_stood_still_commits_nothing_of_what_others_have_had(uncommitted: int) -> None:
    flow = Flow(Site(), "zombie", **EXACT)
    first, second = await flow.join("first"), await flow.join("second")
    flow.send(5)
    await committed(flow)
    flow.send(uncommitted)
    await flow.settle()
    polling = second.worker._polling
    assert polling is not None
    polling.cancel()  # it stands still: no poll, no commit
    second.worker._take_in = lambda: None  # type: ignore[method-assign]
    flow.send(5)
    await expire(flow.site)
    await until(lambda: len(first.worker.tasks) == 4 and first.worker.ready.is_set())
    await flow.site.settle(first)
    await first.worker.commit()
    await second.worker.commit()  # it does not know yet
    del second.worker._take_in
    second.worker._polling = None
    second.worker.wake()
    await until(lambda: len(first.worker.tasks) == len(second.worker.tasks) == 2)
    flow.send(2)
    await committed(flow)
    flow.check_exact()
    await flow.end()


async def test_whoever_takes_over_fences_the_dead_before_it_reads_their_offsets() -> None:
    flow = Flow(Site(), "fencing", **EXACT)
    first, second = await flow.join("first"), await flow.join("second")
    await until(lambda: len(first.worker.tasks) == len(second.worker.tasks) == 2)
    flow.send(5)
    await flow.settle()
    assert flow.site.broker.transactions.has_open("fencing-second")
    await flow.kill(second)
    await expire(flow.site)
    await until(lambda: len(first.worker.tasks) == 4 and first.worker.ready.is_set())
    assert not flow.site.broker.transactions.has_open("fencing-second")
    await committed(flow)
    flow.check_exact()
    await flow.end()


async def test_what_a_rebalance_does_not_wait_for_is_given_up_with_its_transaction() -> None:
    flow = Flow(Site(), "slow", **EXACT)
    first = await flow.join("first")
    flow.gate = asyncio.Event()
    flow.send(3)
    await until(lambda: flow.held)
    joining = asyncio.create_task(flow.join("second"))
    await turns(50)
    assert not joining.done(), "what is in hand is waited for"
    await expire(flow.site, 3)
    flow.gate.set()
    await joining
    await until(lambda: len(first.worker.tasks) == 2 and first.worker.ready.is_set())
    await committed(flow)
    flow.check_exact()
    await flow.end()


def partitions(running: Running) -> set[int]:
    return {place.partition for task in running.worker.tasks.values() for place in task.partitions}


async def offsets(flow: Flow) -> dict[TopicPartition, int]:
    return await flow.workers[0].worker.transport.admin.all_committed(flow.name)


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_a_worker_that_fails_commits_nothing_once_the_group_has_gone_on_without_it(guarantee: str) -> None:
    flow = Flow(Site(), "failing", processing_guarantee=guarantee)
    first = await flow.join("first")
    flow.send(5)
    await flow.settle()
    gate = flow.gate = asyncio.Event()
    flow.send(1)
    await until(lambda: flow.held)
    await turns()
    flow.gate = None
    life = flow.lives.pop(first)
    first.worker.fail(BrokerUnavailable("the changelogs' ends: no answer"))
    await until(lambda: first.worker.status is WorkerStatus.DRAINING)
    second = await flow.join("second")  # the first one is still there, and gets its part
    await flow.site.settle(second)
    await second.worker.commit()
    before = {place: offset for place, offset in (await offsets(flow)).items() if place.partition in partitions(second)}
    assert before
    gate.set()  # what the first one has waited for is done: it comes to its end
    with pytest.raises(BrokerUnavailable):
        await life
    assert before.items() <= (await offsets(flow)).items()
    await until(lambda: len(second.worker.tasks) == 4 and second.worker.ready.is_set())
    await committed(flow)
    if guarantee == "exactly_once":
        flow.check_exact()
    else:
        flow.check_at_least_once()
    await flow.end()


async def test_an_event_is_not_slow_because_its_process_was_suspended() -> None:
    flow = Flow(Site(), "suspended", **EXACT)
    first = await flow.join("first")
    gate = flow.gate = asyncio.Event()
    flow.send(1)
    await until(lambda: flow.held)
    await turns()
    committing = asyncio.create_task(first.worker.commit())
    await turns(20)
    clock = flow.site.clock
    clock._micros += round(2_000_000 * PATIENCE)  # all of that between two of its looks
    clock.advance_to_next(clock.monotonic())
    await turns(20)
    gate.set()
    await committing
    assert first.worker.failure is None
    await flow.end()
