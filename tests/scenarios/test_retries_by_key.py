"""A retry holds up its key and nobody else."""

import asyncio
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors import AgentStream, App, DeadLetter, Event, Retry, Skip
from streamz_actors.agents import parking
from streamz_actors.testing import TestDriver
from tests.scenarios.support import Site, committed, until, values


def failing(times: dict[int, int], **options: Any) -> tuple[App, list[tuple[str, int]], Counter[int]]:
    """An application whose agent fails on a value as many times as `times` says; what it did, and its attempts."""
    app = App("retries")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    sums = app.table("sums", key_type=str, value_type=int, default=int)
    done: list[tuple[str, int]] = []
    tries: Counter[int] = Counter()

    @app.agent(topic, sinks=[out], **options)
    async def handle(stream: AgentStream[str, int]) -> Any:
        async for key, value in stream.items():
            sums[key] += value
            yield value
            tries[value] += 1
            if tries[value] <= times.get(value, 0):
                raise ValueError(f"{value}: not yet")
            done.append((key, value))

    return app, done, tries


async def send(driver: TestDriver, *rows: tuple[str, int]) -> None:
    """All of them before any is handled."""
    for number, (key, value) in enumerate(rows):
        driver.running.collector.send("in", key.encode(), str(value).encode(), number)
    await driver.settle()


async def test_events_of_other_keys_go_on_and_those_of_the_same_wait_behind_it() -> None:
    app, done, _ = failing({1: 1}, on_error=Retry(3, backoff=5.0))
    async with TestDriver(app) as driver:
        await send(driver, ("a", 1), ("b", 2), ("a", 3), ("b", 4), ("c", 5), ("a", 6))
        assert done == [("b", 2), ("b", 4), ("c", 5)]
        await send(driver, ("a", 7), ("d", 8))
        assert done[3:] == [("d", 8)]
        await driver.running.worker.commit()
        assert committed(driver, app, "in") in (None, 0)
        await driver.advance(5.0)
        assert done[4:] == [("a", 1), ("a", 3), ("a", 6), ("a", 7)]
        await driver.running.worker.commit()
        assert committed(driver, app, "in") == 8
        assert values(driver, "out") == [2, 4, 5, 8, 1, 3, 6, 7]
        assert dict(driver.table("sums")) == {"a": 17, "b": 6, "c": 5, "d": 8}


async def test_several_keys_wait_each_for_its_own_time() -> None:
    app, done, tries = failing({1: 2, 2: 1}, on_error=Retry(3, backoff=lambda attempt: 3.0 if attempt == 1 else 10.0))
    async with TestDriver(app) as driver:
        await send(driver, ("a", 1), ("b", 2), ("a", 3), ("b", 4), ("c", 5))
        assert done == [("c", 5)]
        await driver.advance(3.0)
        assert done[1:] == [("b", 2), ("b", 4)]
        assert tries[1] == 2
        await driver.advance(9.0)
        assert len(done) == 3
        await driver.advance(1.0)
        assert done[3:] == [("a", 1), ("a", 3)]


async def test_events_without_a_key_have_nothing_behind_them() -> None:
    app = App("keyless")
    topic = app.topic("in", value_type=int, partitions=1)
    done: list[int] = []
    tries: Counter[int] = Counter()

    @app.agent(topic, on_error=Retry(1, backoff=1.0))
    async def handle(stream: AgentStream[Any, int]) -> None:
        async for value in stream:
            tries[value] += 1
            if value < 2 and tries[value] == 1:
                raise ValueError("not yet")
            done.append(value)

    async with TestDriver(app) as driver:
        for number in range(4):
            driver.running.collector.send("in", None, str(number).encode(), 0)
        await driver.settle()
        assert done == [2, 3]
        await driver.advance(1.0)
        assert done == [2, 3, 0, 1]


@pytest.mark.parametrize("then", [Skip(), DeadLetter()])
async def test_what_waits_behind_an_event_that_is_given_up_goes_on(then: Any) -> None:
    app, done, tries = failing({1: 9}, on_error=Retry(2, backoff=1.0, then=then))
    async with TestDriver(app) as driver:
        await send(driver, ("a", 1), ("a", 2), ("b", 3))
        await driver.advance(10.0)
        assert done == [("b", 3), ("a", 2)]
        assert tries[1] == 3
        (failure,) = driver.failures
        assert failure.offset == 0
        if isinstance(then, DeadLetter):
            (letter,) = driver.read("retries-dead-letters")
            assert dict(letter.headers)["streamz-attempts"] == b"3"
        await driver.running.worker.commit()
        assert committed(driver, app, "in") == 3


async def test_when_very_many_keys_wait_the_next_that_fails_is_waited_for() -> None:
    most = parking.MOST
    app, done, tries = failing(dict.fromkeys(range(1, most + 2), 1), on_error=Retry(1, backoff=1.0))
    async with TestDriver(app) as driver:
        await send(driver, *((f"k{number}", number) for number in range(1, most + 4)))
        assert done == []
        await driver.advance(1.0)
        assert sorted(value for _, value in done) == list(range(1, most + 4))
        assert tries[most + 1] == 2


async def test_a_list_is_tried_again_as_a_whole_and_waited_for() -> None:
    app = App("lists")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    seen: list[list[int]] = []

    @app.agent(topic, on_error=Retry(1, backoff=2.0))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for part in stream.take(2, within=1):
            seen.append(part)
            if len(seen) == 1:
                raise ValueError("not yet")

    async with TestDriver(app) as driver:
        await send(driver, ("a", 1), ("b", 2), ("c", 3), ("d", 4))
        assert seen == [[1, 2]]
        await driver.advance(2.0)
        assert seen == [[1, 2], [1, 2], [3, 4]]


async def test_a_retry_comes_between_two_events_of_a_long_run() -> None:
    app = App("between")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gates: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
    done: list[int] = []
    tries: Counter[int] = Counter()

    @app.agent(topic, on_error=Retry(1, backoff=1.0))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            tries[value] += 1
            if value == 0 and tries[0] == 1:
                raise ValueError("not yet")
            if value == 1:
                await gates[1].wait()
            done.append(value)

    async with TestDriver(app) as driver:
        for number in range(4):
            driver.running.collector.send("in", b"k%d" % number, str(number).encode(), 0)
        await until(lambda: tries[1])
        driver.clock.advance_to_next(driver.clock.monotonic() + 1.0)
        gates[1].set()
        await driver.settle()
        assert done == [1, 0, 2, 3]


async def test_an_event_that_waits_is_not_committed_when_the_worker_stops_and_comes_again() -> None:
    app, done, tries = failing({1: 1}, on_error=Retry(1, backoff=1_000.0, max_backoff=1_000.0))
    driver = TestDriver(app)
    await driver.start()
    await send(driver, ("a", 1), ("b", 2))
    await driver.stop()
    assert committed(driver, app, "in") in (None, 0)
    await driver.start()
    await driver.settle()
    assert done == [("b", 2), ("a", 1), ("b", 2)]
    assert tries[1] == 2
    await driver.stop()


async def test_events_that_wait_stay_where_they_are_over_a_rebalance() -> None:
    app, done, tries = failing({1: 1}, on_error=Retry(1, backoff=3_000.0, max_backoff=3_000.0))
    site = Site()
    running, life = await site.begin(app)
    for key, value in (("a", 1), ("b", 2), ("a", 3)):
        running.collector.send("in", key.encode(), str(value).encode(), 0)
    await until(lambda: done)
    await running.worker.members.rejoin()
    while running.worker.members.generation < 2:
        site.clock.advance_to_next(site.clock.monotonic() + 0.05)
        await asyncio.sleep(0)
    await site.settle(running)
    assert tries[1] == 1
    site.clock.advance_to_next(site.clock.monotonic() + 3_000.0)
    await until(lambda: len(done) == 3)
    assert done == [("b", 2), ("a", 1), ("a", 3)]
    running.worker.fail(RuntimeError("enough"))
    with pytest.raises(RuntimeError, match="enough"):
        await life


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3), st.booleans()), max_size=25),
    concurrency=st.sampled_from([1, 3]),
    advances=st.lists(st.floats(0.1, 3.0), max_size=5),
)
async def test_whatever_fails_each_key_keeps_its_order_and_every_event_is_done_once(
    rows: list[tuple[str, int, bool]], concurrency: int, advances: list[float]
) -> None:
    app = App("anyfailure")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    done: dict[str, list[int]] = defaultdict(list)
    tries: Counter[int] = Counter()
    last: dict[str, int] = {}

    @app.agent(topic, concurrency=concurrency, on_error=Retry(3, backoff=1.0))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for event in stream.events():
            await fail_first(event)
            done[event.key].append(event.value)

    async def fail_first(event: Event[str, int]) -> None:
        if rows[event.value][2]:
            await asyncio.sleep(0)
        assert last.get(event.key, -1) <= event.value
        last[event.key] = event.value
        tries[event.value] += 1
        if tries[event.value] <= rows[event.value][1]:
            raise ValueError("not yet")

    async with TestDriver(app) as driver:
        half = len(rows) // 2
        for part in (range(half), range(half, len(rows))):
            for number in part:
                driver.running.collector.send("in", rows[number][0].encode(), str(number).encode(), number)
            await driver.settle()
            for seconds in advances:
                await driver.advance(seconds)
                await driver.running.worker.commit()
                finished = {value for column in done.values() for value in column}
                assert set(range(committed(driver, app, "in") or 0)) <= finished
        await driver.advance(7.0 * len(rows) + 1)
        await driver.running.worker.commit()
        assert not driver.failures
        assert sorted(value for column in done.values() for value in column) == list(range(len(rows)))
        assert all(column == sorted(column) for column in done.values())
        assert (committed(driver, app, "in") or 0) == len(rows)
