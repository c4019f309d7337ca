"""Workers that share partitions: they come and go while records flow, and what stays notices nothing."""

import asyncio
import random
from typing import Any

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.transport.abc import RawBatch, Reader
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.reader import MemoryReader
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.scenarios.group import Flow, expire, kill
from tests.scenarios.support import FaultyTransport, Site, ended, turns, until

OUT = TopicPartition("out", 0)


async def test_two_workers_share_the_tasks_and_three_do_as_well() -> None:
    flow = Flow(Site())
    for shares in ([4], [2, 2], [2, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 0]):
        await flow.join(f"w{len(shares)}")
        flow.send(5)
        await flow.settle()
        assert sorted(flow.shares(), reverse=True) == shares
    assert [running.worker.spare for running in flow.workers].count(True) == 1
    flow.check_exact()
    await flow.end()


async def test_every_worker_knows_who_has_what_and_where_it_answers() -> None:
    flow = Flow(Site())
    first, second = await flow.join("first"), await flow.join("second")
    second.worker.address = "http://second"
    await first.worker.members.rejoin()
    await flow.settle()
    for running in flow.workers:
        ownership = running.worker.members.ownership
        assert ownership is not None
        assert ownership.leader == "first"
        for partition in range(4):
            owner = ownership.owner("in", partition)
            assert owner is not None
            assert (owner.worker == "second") == (f"in-{partition}" in second.worker.tasks)
            assert owner.address == ("http://second" if owner.worker == "second" else "")
        assert ownership.owner("in", 4) is ownership.owner("unknown", 0) is None
    await flow.end()


@pytest.mark.parametrize("seed", range(12))
async def test_workers_that_come_and_go_while_records_flow_lose_and_repeat_nothing(seed: int) -> None:
    chance = random.Random(seed)
    flow = Flow(Site(), f"graceful{seed}")
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
    await flow.settle()
    flow.check_exact()
    await flow.end()


@pytest.mark.parametrize("seed", range(8))
async def test_workers_that_die_lose_nothing_and_keep_the_order(seed: int) -> None:
    chance = random.Random(seed)
    flow = Flow(Site(), f"crashes{seed}")
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
    await flow.settle()
    flow.check_at_least_once()
    await flow.end()


async def test_a_worker_that_was_given_up_and_comes_back_keeps_nothing(caplog: pytest.LogCaptureFixture) -> None:
    flow = Flow(Site(), "comeback")
    first, second = await flow.join("first"), await flow.join("second")
    flow.send(5)
    await flow.settle()
    polling = second.worker._polling
    assert polling is not None
    polling.cancel()  # it stands still: no poll, no commit
    held = list(second.worker.tasks.values())
    second.worker._take_in = lambda: None  # type: ignore[method-assign]
    flow.send(5)
    await expire(flow.site)
    await until(lambda: len(first.worker.tasks) == 4 and first.worker.ready.is_set())
    await flow.site.settle(first)
    del second.worker._take_in
    second.worker._polling = None
    second.worker.wake()
    await until(lambda: len(second.worker.tasks) == 2)
    await flow.settle()
    assert not set(held) & set(second.worker.tasks.values())
    assert "lost its place in the group" in caplog.text or "the commit was refused" in caplog.text
    flow.check_at_least_once()
    await flow.end()


class Watching:
    """An agent with a local variable, that says which of its events it has seen since it began."""

    def __init__(self) -> None:
        self.seen: dict[int, list[int]] = {}
        self.gate: asyncio.Event | None = None

    def app(self, partitions: int = 2) -> App:
        app = App("watching")
        topic = app.topic("in", key_type=str, value_type=int, partitions=partitions)
        out = app.topic("out", key_type=str, value_type=int, partitions=1)

        @app.agent(topic, sinks=[out])
        async def watch(stream: AgentStream[str, int]) -> Any:
            mine: list[int] = []
            async for event in stream.events():
                mine.append(event.value)
                self.seen[event.partition] = mine
                if self.gate is not None:
                    await self.gate.wait()
                yield event.value

        return app


def feed(site: Site, partition: int, *numbers: int) -> None:
    for number in numbers:
        site.broker.append(TopicPartition("in", partition), [b"k"], [str(number).encode()], [0], None)


async def test_an_actor_that_stays_keeps_its_local_variables_and_its_buffer() -> None:
    site = Site()
    first, other = Watching(), Watching()
    running, life = await site.begin(first.app(), name="first")
    feed(site, 0, 1, 2)
    feed(site, 1, 10)
    await site.settle(running)
    second, second_life = await site.begin(other.app(), name="second")
    [kept] = {partition for partition in (0, 1) if f"in-{partition}" in running.worker.tasks}
    feed(site, 0, 3)
    feed(site, 1, 11)
    await site.settle(running, second)
    assert first.seen[kept] == ([1, 2, 3] if kept == 0 else [10, 11])
    assert other.seen == {1 - kept: [3] if kept == 1 else [11]}
    await ended(second, second_life, site.clock)
    feed(site, kept, 4)
    await site.settle(running)
    assert first.seen[kept][-1] == 4
    assert len(first.seen[kept]) > 2
    await ended(running, life, site.clock)


async def test_a_handler_that_takes_longer_is_not_waited_for_and_goes_on_where_its_task_stays() -> None:
    site = Site()
    first, other = Watching(), Watching()
    running, life = await site.begin(first.app(), name="first")
    first.gate = asyncio.Event()
    feed(site, 0, 1, 2)
    feed(site, 1, 10, 11)
    await until(lambda: len(first.seen) == 2)
    second = site.worker(other.app(), name="second")
    second_life = asyncio.create_task(second.run())
    await turns(50)
    assert second.worker.members.assigned is None, "what is in hand is waited for"
    await expire(site, 3)
    assert second.worker.members.assigned is not None
    [kept] = {partition for partition in (0, 1) if f"in-{partition}" in running.worker.tasks}
    await until(lambda: other.seen)
    first.gate.set()
    await site.settle(running, second)
    assert first.seen[kept] == ([1, 2] if kept == 0 else [10, 11]), "it has not begun anew"
    assert other.seen[1 - kept] == ([1, 2] if kept == 1 else [10, 11]), "it came again"
    log = site.broker.log(OUT)
    raw = log.read(0, 100)
    assert raw is not None
    assert sorted(raw.values) == [b"1", b"10", b"11", b"2"], "what was cancelled has yielded nothing"
    await ended(second, second_life, site.clock)
    await ended(running, life, site.clock)


async def test_what_ends_between_the_commit_and_the_assignment_leaves_only_if_its_task_stays() -> None:
    site = Site()
    first = Watching()
    running, life = await site.begin(first.app(), name="first")
    dead, dead_life = await site.begin(Watching().app(), name="dead")
    await site.settle(running, dead)
    [task] = running.worker.tasks.values()
    first.gate = asyncio.Event()
    feed(site, task.partition, 1)
    await until(lambda: first.seen)
    await kill(dead, dead_life)
    third = site.worker(Watching().app(), name="third")
    third_life = asyncio.create_task(third.run())
    await expire(site, 3)
    assert task.frozen
    assert running.worker.members.rebalancing, "the group waits for the one that is dead"
    first.gate.set()
    await turns(100)
    assert site.broker.log(OUT).end == 0
    await expire(site)
    await site.settle(running, third)
    assert list(running.worker.tasks.values()) == [task]
    assert site.broker.log(OUT).end == 1
    await ended(third, third_life, site.clock)
    await ended(running, life, site.clock)


async def test_a_rebalance_in_the_middle_of_a_commit_waits_for_it() -> None:
    site = Site()
    transport = FaultyTransport(site.broker)
    flow = Flow(site, "midcommit")
    first = await flow.join("first", transport=transport)
    flow.send(5)
    await flow.settle()
    flow.send(5)
    await site.settle(first)
    transport.holding = True
    committing = asyncio.create_task(first.worker.commit())
    await turns(20)
    second = asyncio.create_task(flow.join("second"))
    await turns(200)
    assert not committing.done()
    assert len(first.worker.tasks) == 4
    transport.release()
    await second
    await flow.settle()
    assert flow.shares() == [2, 2]
    flow.check_exact()
    await flow.end()


async def test_a_rebalance_in_the_middle_of_another_one_is_carried_out_in_the_end() -> None:
    flow = Flow(Site(), "twice")
    await flow.join("first")
    flow.send(10)
    joining = [asyncio.create_task(flow.join(name)) for name in ("second", "third", "fourth")]
    await asyncio.gather(*joining)
    await turns(3)
    await flow.leave(flow.workers[1])
    flow.send(10)
    await flow.settle()
    assert sorted(flow.shares()) == [1, 1, 2]
    flow.check_exact()
    await flow.end()


async def test_a_worker_that_dies_in_a_rebalance_holds_the_others_up_for_its_session_at_most() -> None:
    site = Site()
    flow = Flow(site, "stuck")
    first, second = await flow.join("first"), await flow.join("second")
    flow.send(5)
    await flow.settle()
    await kill(second, flow.lives.pop(second))
    third = asyncio.create_task(flow.join("third"))
    await turns(100)
    assert not third.done()
    assert first.worker.members.rebalancing
    flow.send(5)
    await expire(site)
    await third
    await flow.settle()
    assert flow.shares() == [2, 2]
    flow.check_at_least_once()
    await flow.end()


class SlowReader(MemoryReader):
    """Reads nothing until its transport's gate is open."""

    gate: asyncio.Event

    async def poll(self, timeout: float) -> list[RawBatch]:
        await self.gate.wait()
        return await super().poll(timeout)


class SlowTransport(MemoryTransport):
    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.gate = asyncio.Event()

    def reader(self, *, read_committed: bool = False) -> Reader:
        reader = SlowReader(self.broker, read_committed)
        reader.gate = self.gate
        return reader


async def test_tasks_that_stay_go_on_while_those_that_came_are_restored() -> None:
    site = Site()
    flow = Flow(site, "beside")
    first = await flow.join("first")
    flow.send(5)
    await flow.settle()
    await first.worker.commit()
    slow = SlowTransport(site.broker)
    slow.gate.set()
    second = await flow.join("second", transport=slow)
    await flow.settle()
    slow.gate.clear()
    before = {task.partition for task in second.worker.tasks.values()}
    await flow.leave(first)
    await until(lambda: len(second.worker.tasks) == 4)
    assert not second.worker.ready.is_set()
    flow.send(3)
    await turns(200)
    for partition in range(4):
        came, left = (site.broker.log(TopicPartition(topic, partition)).end for topic in ("in", "out"))
        assert (came == left) == (partition in before)
    slow.gate.set()
    await flow.settle()
    flow.check_exact()
    await flow.end()


async def test_a_rebalance_in_the_middle_of_a_restore_keeps_and_moves_what_is_being_restored() -> None:
    site = Site()
    flow = Flow(site, "midrestore")
    first = await flow.join("first")
    flow.send(5)
    await flow.settle()
    await flow.leave(first)
    slow = SlowTransport(site.broker)
    second = await flow.join("second", transport=slow)
    await until(lambda: len(second.worker.tasks) == 4)
    flow.send(5)
    restoring = dict(second.worker.tasks)
    third = await flow.join("third")
    await until(lambda: len(second.worker.tasks) == 2)
    await site.settle(third)
    assert all(restoring[name] is task for name, task in second.worker.tasks.items())
    await flow.leave(third)
    await until(lambda: len(second.worker.tasks) == 4)
    slow.gate.set()
    await flow.settle()
    flow.check_exact()
    await flow.end()
