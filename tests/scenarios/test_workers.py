"""Workers on one broker: spares, back-pressure, what an existing topic must be, and somebody else's loop."""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.errors import HandlerError, NotRunning, StoreLocked, TopicMismatch
from streamz_actors.stores.memory import MemoryBackend, MemoryShelf
from streamz_actors.testing import TestDriver
from streamz_actors.transport.abc import TopicSpec
from tests.scenarios.support import Site, committed, ended, turns, until


def counting(name: str, **settings: Any) -> App:
    app = App(name, **settings)
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    counts = app.table("counts", key_type=str, value_type=int, default=int)

    @app.agent(topic)
    async def count(stream: AgentStream[str, int]) -> None:
        async for key, _ in stream.items():  # noqa: PERF102  # no dict
            counts[key] += 1
            await asyncio.sleep(0)

    return app


def counts_of(*workers: Any) -> dict[str, int]:
    states = [state for running in workers for state in running.worker.states("counts").values()]
    return {key: value for state in states for key, value in state.items()}


async def test_a_worker_too_many_waits_as_a_spare_says_so_and_takes_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "streamz_actors")
    site = Site()
    workers = [await site.begin(counting("trio"), name=name) for name in ("first", "second", "third")]
    (first, first_life), (second, second_life), (third, third_life) = workers
    for number in range(10):
        first.collector.send("in", f"k{number % 3}".encode(), b"1", 0)
    await until(lambda: [len(running.worker.tasks) for running, _ in workers] == [1, 1, 0])
    assert third.worker.spare
    assert not first.worker.spare
    assert "waiting as a spare: no partitions are assigned; workers in all: 3" in caplog.text
    await site.settle(first, second, third)
    assert counts_of(first, second) == {"k0": 4, "k1": 3, "k2": 3}
    await ended(first, first_life, site.clock)
    await until(lambda: not third.worker.spare and third.worker.ready.is_set())
    second.collector.send("in", b"k0", b"1", 0)
    await site.settle(second, third)
    assert counts_of(second, third) == {"k0": 5, "k1": 3, "k2": 3}
    await ended(second, second_life, site.clock)
    await ended(third, third_life, site.clock)


@pytest.mark.parametrize("limit", [1, 4, 10_000])
@pytest.mark.parametrize("join_after", [0, 3, 17, 40])
async def test_a_worker_that_joins_in_the_middle_of_the_work_changes_no_count(limit: int, join_after: int) -> None:
    site = Site()
    first, first_life = await site.begin(counting("middle"), name="first", max_buffered_records=limit)
    keys = [f"k{number % 5}" for number in range(200)]
    for number, key in enumerate(keys):
        first.collector.send("in", key.encode(), b"1", number)
        if number % 10 == 0:
            await turns(1)
    await turns(join_after)
    second, second_life = await site.begin(counting("middle"), name="second")
    await site.settle(first, second)
    assert counts_of(first, second) == Counter(keys)
    await first.worker.commit()
    await second.worker.commit()
    assert sum(site.committed("middle", "in", partition) or 0 for partition in range(2)) == 200
    await ended(second, second_life, site.clock)
    await site.settle(first)
    assert counts_of(first) == Counter(keys)
    await ended(first, first_life, site.clock)


async def test_a_task_takes_no_more_than_it_may_hold_and_goes_on_when_there_is_room() -> None:
    app = App("pressure")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gate: list[asyncio.Future[None]] = []
    seen: list[int] = []

    @app.agent(topic)
    async def slow(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if not gate:
                gate.append(asyncio.get_running_loop().create_future())
                await gate[0]
            seen.append(value)

    async with TestDriver(app, max_buffered_records=5) as driver:
        for number in range(100):
            topic.send_soon(key="a", value=number)
            await turns(3)
        held = driver.running.worker.tasks["in-0"].unfinished
        assert 5 <= held < 20
        gate[0].set_result(None)
        await driver.settle()
    assert seen == list(range(100))


async def test_an_existing_topic_of_another_partition_count_is_an_error_before_anything_is_consumed() -> None:
    driver = TestDriver(app := counting("mismatch"))
    driver.broker.create_topic(TopicSpec("in", 3, None, {}))
    with pytest.raises(TopicMismatch, match="topic 'in' has 3 partitions, but is declared with 2"):
        await driver.start()
    assert committed(driver, app, "in") is None


async def test_a_changelog_of_another_partition_count_says_whose_state_it_is() -> None:
    driver = TestDriver(counting("statemismatch"))
    driver.broker.create_topic(TopicSpec("statemismatch-counts-changelog", 5, None, {}))
    with pytest.raises(TopicMismatch, match="5 partitions, but its sub-topology has 2"):
        await driver.start()


async def test_a_worker_embeds_in_a_foreign_loop() -> None:
    app = counting("embedded", web_enabled=False)
    [topic] = [topic for topic in app.topics if topic.name == "in"]
    [table] = app.frozen().tables
    async with app.running() as running:
        await topic.send(key="a", value=1)
        await until(lambda: running.states(table.name)[1].get("a") or running.states(table.name)[0].get("a"))
    with pytest.raises(NotRunning):
        await topic.send(key="a", value=1)


async def test_a_failure_inside_a_foreign_loop_is_raised_at_the_end_of_the_block() -> None:
    app = App("embeddedfails", web_enabled=False)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)

    @app.agent(topic)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            raise ValueError("bad")

    reached: list[str] = []

    async def embed() -> None:
        async with app.running() as running:
            await topic.send(key="a", value=1)
            await until(lambda: running.worker.failure)
            reached.append("the end")

    with pytest.raises(HandlerError, match="bad"):
        await embed()
    assert reached == ["the end"]


async def test_a_start_that_fails_is_raised_where_the_block_begins() -> None:
    app = App("embeddedstart", web_enabled=False)

    @app.on_startup
    def up() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        async with app.running():
            raise AssertionError("not reached")


class LockedBackend(MemoryBackend):
    """Whose directories another process holds until the test lets go."""

    locked = True

    def open(self, task: str, stores: Any) -> MemoryShelf:
        if self.locked:
            raise StoreLocked(f"{task} is held by another process")
        return super().open(task, stores)


async def test_state_that_another_process_holds_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    backend = LockedBackend()
    running = site.worker(counting("locked"), backend=backend)
    life = asyncio.create_task(running.run())
    for _ in range(40):
        await turns(30)
        site.clock.advance_to_next(site.clock.monotonic() + 0.1)
    assert not running.worker.ready.is_set()
    assert caplog.text.count("waiting for it") == 2, "once for each task"
    backend.locked = False
    await turns(30)
    site.clock.advance_to_next(site.clock.monotonic() + 1)
    await until(running.worker.ready.is_set)
    await ended(running, life, site.clock)


async def test_a_worker_that_waits_for_locked_state_can_be_stopped() -> None:
    site = Site()
    running = site.worker(counting("lockedstop"), backend=LockedBackend())
    life = asyncio.create_task(running.run())
    await turns(50)
    running.stop()
    for _ in range(20):
        await turns(20)
        site.clock.advance_to_next(site.clock.monotonic() + 1)
    assert life.done()


async def test_a_bounded_run_ends_at_the_end_of_its_topics_through_repartition_topics(tmp_path: Path) -> None:
    app = App("bounded", web_enabled=False, store="memory://")
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    seen: list[int] = []
    counted = app.stream(topic).group_by(lambda key, value: value % 2).count("parity")
    counted.to_stream().foreach(lambda key, value: seen.append(value))

    @app.on_startup
    async def fill() -> None:
        for number in range(20):
            await topic.send(key=f"k{number}", value=number)

    await app.run(bounded=True)
    assert sorted(seen) == sorted([*range(1, 11), *range(1, 11)])


async def test_two_runs_give_the_same_outputs() -> None:
    async def once() -> list[tuple[Any, ...]]:
        app = App("same")
        topic = app.topic("in", key_type=str, value_type=int, partitions=3)
        out = app.topic("out", key_type=str, value_type=int, partitions=2)
        app.stream(topic).group_by(lambda key, value: f"g{value % 4}").count("c").to_stream().to(out)
        async with TestDriver(app) as driver:
            for number in range(30):
                topic.send_soon(key=f"k{number % 7}", value=number, timestamp=number)
            await driver.settle()
            return [(record.key, record.value, record.timestamp, record.offset) for record in driver.read("out")]

    assert await once() == await once()
