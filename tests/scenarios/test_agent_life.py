"""Agents that return, that fail outside of events, that iterate again; lists by take."""

# ruff: noqa: PERF401  # an agent's loop has no end that a comprehension could wait for

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App, Retry, Skip, current_event
from streamz_actors.errors import HandlerError, NotInHandler, TopologyError, UsageError
from streamz_actors.testing import TestDriver
from tests.scenarios.support import committed, turns, until, values


def declared(name: str) -> tuple[App, Any]:
    app = App(name)
    return app, app.topic("in", key_type=str, value_type=int, partitions=1)


async def test_a_function_that_returns_has_done_its_event_and_begins_again() -> None:
    app, topic = declared("returns")
    seen: list[list[int]] = []

    @app.agent(topic)
    async def pair(stream: AgentStream[str, int]) -> None:
        seen.append([])
        async for value in stream:
            seen[-1].append(value)
            if len(seen[-1]) == 2:
                return

    async with TestDriver(app) as driver:
        for number in range(5):
            await driver.send("in", key="a", value=number)
        assert committed(driver, app, "in") == 5
    assert seen == [[0, 1], [2, 3], [4]]


async def test_a_supervisor_that_stops_says_who_returned() -> None:
    app, topic = declared("stops")

    @app.agent(topic, supervisor="stop")
    async def once(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            return

    driver = TestDriver(app)
    await driver.start()
    with pytest.raises(UsageError, match="agent 'once' returned"):
        await driver.send("in", key="a", value=1)
    assert committed(driver, app, "in") == 1


async def test_a_function_that_never_reads_stops_the_worker() -> None:
    app, topic = declared("deaf")

    @app.agent(topic)
    async def deaf(stream: AgentStream[str, int]) -> None:
        return

    driver = TestDriver(app)
    await driver.start()
    with pytest.raises(UsageError, match="returned without reading"):
        await driver.send("in", key="a", value=1)
    assert committed(driver, app, "in") in (None, 0)


@pytest.mark.parametrize("policy", [Skip(), Retry(3, backoff=0.0)])
async def test_setup_code_that_fails_stops_the_worker_whatever_the_policy(policy: Any) -> None:
    app, topic = declared("setup")

    @app.agent(topic, on_error=policy)
    async def broken(stream: AgentStream[str, int]) -> None:
        raise OSError("no database")

    driver = TestDriver(app)
    await driver.start()
    with pytest.raises(UsageError, match="agent 'broken' failed while it had no event in hand: OSError: no database"):
        await driver.send("in", key="a", value=1)


async def test_setup_code_of_a_fresh_generator_has_no_current_event() -> None:
    app, topic = declared("fresh")
    found: list[str] = []

    @app.agent(topic, on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> None:
        with pytest.raises(NotInHandler):
            current_event()
        found.append("none")
        async for value in stream:
            if value == 0:
                raise ValueError("zero")

    async with TestDriver(app) as driver:
        for number in (1, 0, 1):
            await driver.send("in", key="a", value=number)
    assert found == ["none", "none"]


async def test_a_yield_before_the_first_event_is_an_error() -> None:
    app, topic = declared("early")

    @app.agent(topic)
    async def early(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        yield 1
        async for value in stream:
            yield value

    driver = TestDriver(app)
    await driver.start()
    with pytest.raises(UsageError, match="yields before"):
        await driver.send("in", key="a", value=1)


async def test_a_second_iteration_goes_on_behind_the_event_that_the_first_was_left_at() -> None:
    app, topic = declared("second")
    seen: list[Any] = []

    @app.agent(topic)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            seen.append(value)
            if value == 1:
                break
        async for numbers in stream.take(2, within=10.0):
            seen.append(numbers)
            break
        async for key, value in stream.items():
            seen.append((key, value))

    async with TestDriver(app) as driver:
        for number in range(6):
            await driver.send("in", key="a", value=number)
        assert committed(driver, app, "in") == 6
    assert seen == [0, 1, [2, 3], ("a", 4), ("a", 5)]


async def test_the_ways_to_look_at_a_stream() -> None:
    app, topic = declared("ways")
    seen: list[Any] = []

    @app.agent(topic, name="events")
    async def events(stream: AgentStream[str, int]) -> None:
        async for event in stream.events():
            seen.append((event.key, event.value, event.timestamp, event.headers, event.partition, event.offset))

    @app.agent(topic, name="numbered")
    async def numbered(stream: AgentStream[str, int]) -> None:
        async for number, value in stream.enumerate(10):
            seen.append((number, value))

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=7, timestamp=3, headers={"h": b"1"})
        await driver.send("in", key="b", value=8, timestamp=4)
    assert sorted(seen, key=repr) == [
        ("a", 7, 3, (("h", b"1"),), 0, 0),
        ("b", 8, 4, (), 0, 1),
        (10, 7),
        (11, 8),
    ]


# -- take


async def test_take_gives_full_lists_at_once_and_the_rest_when_time_is_up() -> None:
    app, topic = declared("take")
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    lists: list[list[int]] = []

    @app.agent(topic, sinks=[out])
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for numbers in stream.take(3, within=10.0):
            lists.append(numbers)
            yield sum(numbers)

    async with TestDriver(app) as driver:
        for number in range(4):
            await driver.send("in", key=f"k{number}", value=number, timestamp=number)
        assert lists == [[0, 1, 2]]
        assert committed(driver, app, "in") == 3
        await driver.advance(9.999)
        assert lists == [[0, 1, 2]]
        await driver.advance(0.001)
        assert lists == [[0, 1, 2], [3]]
        assert committed(driver, app, "in") == 4
        assert [(record.key, record.value, record.timestamp) for record in driver.read("out")] == [
            ("k2", 3, 2),
            ("k3", 3, 3),
        ]


async def test_a_list_that_fails_is_undone_and_comes_again_whole() -> None:
    app, topic = declared("takefails")
    sums = app.table("sums", key_type=str, value_type=int, default=int)
    lists: list[list[int]] = []

    @app.agent(topic, on_error=Retry(1, backoff=2.0, then=Skip()))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for numbers in stream.take(2, within=1.0):
            lists.append(numbers)
            for number in numbers:
                sums["a"] += number
            if len(lists) in (1, 3, 4):
                raise ValueError("bad")

    async with TestDriver(app) as driver:
        for number in (1, 2):
            await driver.send("in", key="a", value=number)
        assert dict(driver.table("sums")) == {}
        assert committed(driver, app, "in") in (None, 0)
        await driver.advance(2)
        assert (lists, dict(driver.table("sums"))) == ([[1, 2], [1, 2]], {"a": 3})
        for number in (3, 4):
            await driver.send("in", key="a", value=number)
        await driver.advance(2)
        assert [failure.offset for failure in driver.failures] == [2, 3]
        assert dict(driver.table("sums")) == {"a": 3}
        assert committed(driver, app, "in") == 4


async def test_a_worker_that_stops_does_not_wait_for_a_list_to_fill() -> None:
    app, topic = declared("takestop")
    lists: list[list[int]] = []

    @app.agent(topic)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for numbers in stream.take(3, within=3_600.0):
            lists.append(numbers)

    driver = TestDriver(app)
    await driver.start()
    for number in range(4):
        await driver.send("in", key="a", value=number)
    before = driver.clock.monotonic()
    await driver.stop()
    assert driver.clock.monotonic() - before < 5
    assert lists == [[0, 1, 2]]
    assert committed(driver, app, "in") == 3


async def test_a_worker_that_stops_does_not_wait_for_a_retry() -> None:
    app, topic = declared("retrystop")

    @app.agent(topic, on_error=Retry(5, backoff=1_000.0, max_backoff=1_000.0))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if value == 1:
                raise ValueError("one")

    driver = TestDriver(app)
    await driver.start()
    for number in range(3):
        await driver.send("in", key="a", value=number)
    before = driver.clock.monotonic()
    await driver.stop()
    assert driver.clock.monotonic() - before < 5
    assert committed(driver, app, "in") == 1


def test_take_of_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="at least one"):
        AgentStream(None, None, None, None).take(0, within=1.0)  # type: ignore[arg-type]  # never looked at


# -- declarations


def test_declarations_that_cannot_be_agents() -> None:
    app, topic = declared("wrong")

    async def good(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            pass

    def bad(stream: AgentStream[str, int]) -> None:
        pass

    for options, message in (
        ({"concurrency": 0}, "at least 1"),
        ({"ordering": "none"}, "only"),
        ({"supervisor": "maybe"}, "must be"),
        ({"on_error": 3}, "must be"),
    ):
        with pytest.raises(TopologyError, match=message):
            app.agent(topic, name="a", **options)(good)
    with pytest.raises(TopologyError, match="async def"):
        app.agent(topic)(bad)
    app.agent(topic, name="same")(good)
    with pytest.raises(TopologyError, match="two agents"):
        app.agent(topic, name="same")(good)


async def test_waiting_actors_end_with_the_worker() -> None:
    app, topic = declared("ending")
    ended: list[str] = []

    @app.agent(topic, on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> None:
        try:
            async for _ in stream:
                pass
        finally:
            ended.append("closed")

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1)
        assert ended == []
    await until(lambda: ended == ["closed"])
    await turns(1)


async def test_a_failing_first_iteration_of_a_generator_is_an_event_of_its_own() -> None:
    app, topic = declared("own")
    out = app.topic("out", key_type=str, value_type=int, partitions=1)

    @app.agent(topic, sinks=[out], concurrency=2)
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            await asyncio.sleep(0)
            yield value
            if value == 3:
                raise KeyError("three")

    driver = TestDriver(app)
    await driver.start()
    await driver.send("in", key="a", value=1)
    with pytest.raises(HandlerError, match="KeyError: 'three'"):
        await driver.send("in", key="a", value=3)
    assert values(driver, "out") == [1]
