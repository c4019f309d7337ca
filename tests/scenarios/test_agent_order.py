"""Order within a key, concurrency, and how far offsets may be committed meanwhile."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors import AgentStream, App, current_event
from streamz_actors.testing import TestDriver
from tests.scenarios.support import committed, until


class Gates:
    """Handlers wait here, by value, until the test lets them go."""

    def __init__(self) -> None:
        self.waiting: dict[Any, asyncio.Future[None]] = {}

    async def __call__(self, value: Any) -> None:
        self.waiting[value] = asyncio.get_running_loop().create_future()
        await self.waiting[value]

    async def open(self, value: Any) -> None:
        await until(lambda: value in self.waiting)
        self.waiting.pop(value).set_result(None)


async def test_records_of_one_key_come_in_order_whatever_the_partition() -> None:
    app = App("order")
    topic = app.topic("in", key_type=str, value_type=int, partitions=3)
    seen: dict[str, list[int]] = defaultdict(list)

    @app.agent(topic)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for key, value in stream.items():
            seen[key].append(value)

    async with TestDriver(app) as driver:
        for number in range(30):
            await driver.send("in", key=f"k{number % 5}", value=number)
    assert all(numbers == sorted(numbers) for numbers in seen.values())
    assert sorted(number for numbers in seen.values() for number in numbers) == list(range(30))


async def test_concurrent_actors_keep_a_key_on_one_actor_and_in_order() -> None:
    app = App("concurrent")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gates = Gates()
    done: list[int] = []
    actors: dict[str, set[int]] = defaultdict(set)

    @app.agent(topic, concurrency=8)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for key, value in stream.items():
            actors[key].add(id(stream))
            await gates(value)
            done.append(value)

    async with TestDriver(app) as driver:
        for number in range(4):
            topic.send_soon(key="same", value=number)
        await until(lambda: 0 in gates.waiting)
        assert list(gates.waiting) == [0]
        for number in range(4):
            await gates.open(number)
        await driver.settle()
    assert done == [0, 1, 2, 3]
    assert all(len(ids) == 1 for ids in actors.values())


async def test_offsets_are_committed_only_up_to_the_lowest_unfinished_record() -> None:
    app = App("lowest")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gates = Gates()
    done: list[int] = []

    @app.agent(topic, concurrency=16)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            await gates(value)
            done.append(value)

    async with TestDriver(app) as driver:
        for number in range(6):
            topic.send_soon(key=None, value=number)  # without a key: spread by offset
        await until(lambda: len(gates.waiting) == 6)
        for number in (1, 2, 5):
            await gates.open(number)
        await until(lambda: len(done) == 3)
        await driver.running.worker.commit()
        assert committed(driver, app, "in") in (None, 0)
        await gates.open(0)
        await until(lambda: len(done) == 4)
        await driver.running.worker.commit()
        assert committed(driver, app, "in") == 3
        await gates.open(3)
        await gates.open(4)
        await driver.settle()
        await driver.running.worker.commit()
        assert committed(driver, app, "in") == 6


async def test_what_was_done_out_of_order_comes_again_after_a_restart_from_the_lowest_on() -> None:
    app = App("again")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    seen: list[int] = []
    blocked = {1}
    forever: list[asyncio.Future[None]] = []

    @app.agent(topic, concurrency=8)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if value in blocked:
                forever.append(asyncio.get_running_loop().create_future())
                await forever[-1]
            seen.append(value)

    driver = TestDriver(app)
    await driver.start()
    for number in range(4):
        topic.send_soon(key=None, value=number)
    await until(lambda: len(seen) == 3)
    await driver.stop()  # the event in hand never ends: it is cancelled after a while
    assert committed(driver, app, "in") == 1
    blocked.clear()
    seen.clear()
    await driver.start()
    await driver.stop()
    assert sorted(seen) == [1, 2, 3]
    assert committed(driver, app, "in") == 4


async def test_what_actors_have_got_when_the_worker_stops_is_worked_off_and_committed() -> None:
    app = App("inhand")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gates = Gates()
    done: list[int] = []

    @app.agent(topic)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            await gates(value)
            done.append(value)

    driver = TestDriver(app)
    await driver.start()
    for number in range(3):
        topic.send_soon(key="k", value=number)
    await until(lambda: 0 in gates.waiting)
    stopping = asyncio.create_task(driver.stop())
    for number in range(3):
        await gates.open(number)
    await stopping
    assert done == [0, 1, 2]
    assert committed(driver, app, "in") == 3


async def test_the_current_event_is_that_of_the_actor_also_in_nested_calls_and_in_tasks_it_starts() -> None:
    app = App("current")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    seen: list[tuple[int, int, int]] = []

    async def nested() -> int:
        await asyncio.sleep(0)
        return int(current_event().value)

    @app.agent(topic, concurrency=4)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            direct, started = await asyncio.gather(nested(), asyncio.create_task(nested()))
            seen.append((value, direct, started))

    async with TestDriver(app) as driver:
        for number in range(12):
            topic.send_soon(key=f"k{number}", value=number)
        await driver.settle()
    assert sorted(seen) == [(number, number, number) for number in range(12)]


@settings(max_examples=15, deadline=None)
@given(
    keys=st.lists(st.sampled_from("abcdef"), max_size=40),
    concurrency=st.integers(1, 5),
    partitions=st.integers(1, 3),
)
async def test_any_mix_of_keys_is_counted_exactly_and_in_order(
    keys: list[str], concurrency: int, partitions: int
) -> None:
    app = App("mixed")
    topic = app.topic("in", key_type=str, value_type=int, partitions=partitions)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    counts = app.table("counts", key_type=str, value_type=int, default=int)

    @app.agent(topic, concurrency=concurrency, sinks=[out])
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for event in stream.events():
            key = event.key
            counts[key] += 1
            await asyncio.sleep(0)
            yield counts[key]

    async with TestDriver(app) as driver:
        for number, key in enumerate(keys):
            topic.send_soon(key=key, value=number)
        await driver.settle()
        await driver.running.worker.commit()
        table = dict(driver.table("counts"))
        outputs: dict[str, list[int]] = defaultdict(list)
        for record in driver.read("out"):
            outputs[record.key].append(record.value)
    assert table == {key: keys.count(key) for key in keys}
    assert outputs == {key: list(range(1, keys.count(key) + 1)) for key in keys}
