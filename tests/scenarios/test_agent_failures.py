"""What becomes of an event that fails: policies, and that a failed attempt leaves no trace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Out, Retry, Skip
from streamz_actors.errors import HandlerError
from streamz_actors.testing import TestDriver
from tests.scenarios.support import committed, until, values


def declared(name: str, partitions: int = 1) -> tuple[App, Any, Any, Any]:
    app = App(name)
    topic = app.topic("in", key_type=str, value_type=int, partitions=partitions)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    table = app.table("sums", key_type=str, value_type=int, default=int)
    return app, topic, out, table


async def test_fail_stops_the_worker_at_that_offset_with_its_place_in_the_message() -> None:
    app, topic, out, sums = declared("fail")

    @app.agent(topic, sinks=[out])
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            sums["a"] += value
            yield value
            if value == 2:
                raise ValueError("two is too much")

    driver = TestDriver(app)
    await driver.start()
    await driver.send("in", key="a", value=1)
    place = "agent 'handle' failed at topic 'in', partition 0, offset 1: ValueError: two"
    with pytest.raises(HandlerError, match=place):
        await driver.send("in", key="a", value=2)
    assert committed(driver, app, "in") == 1
    assert values(driver, "out") == [1]


async def test_after_a_fail_the_restart_stops_at_the_same_record_again() -> None:
    app, topic, _out, _sums = declared("failagain")
    seen: list[int] = []

    @app.agent(topic)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            seen.append(value)
            if value == 2:
                raise ValueError("two")

    driver = TestDriver(app)
    await driver.start()
    await driver.send("in", key="a", value=1)
    with pytest.raises(HandlerError):
        await driver.send("in", key="a", value=2)
    with pytest.raises(HandlerError, match="offset 1"):
        await driver.start()
    assert seen == [1, 2, 2]


async def test_skip_goes_on_and_undoes_what_the_event_wrote_and_yielded() -> None:
    app, topic, out, sums = declared("skip")

    @app.agent(topic, sinks=[out], on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            sums["a"] += value
            sums["a"] += value
            del sums["a"]
            sums["a"] = 1000 + value
            yield value
            if value == 2:
                raise ValueError("two")

    async with TestDriver(app) as driver:
        for number in (1, 2, 3):
            await driver.send("in", key="a", value=number)
            if number == 2:
                assert dict(driver.table("sums")) == {"a": 1001}
        assert values(driver, "out") == [1, 3]
        assert committed(driver, app, "in") == 3
        assert [(failure.offset, failure.dead_letter) for failure in driver.failures] == [(1, None)]


async def test_retry_pauses_on_the_clock_and_counts_once() -> None:
    app, topic, out, sums = declared("retry")
    attempts: list[float] = []
    driver = TestDriver(app)

    @app.agent(topic, sinks=[out], on_error=Retry(attempts=3, backoff=1.0, factor=10.0, max_backoff=30.0))
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            sums["a"] += value
            yield value
            attempts.append(driver.clock.monotonic())
            if len(attempts) < 4:
                raise ValueError("not yet")

    async with driver:
        await driver.send("in", key="a", value=5)
        assert dict(driver.table("sums")) == {}
        await driver.advance(0.999)
        assert attempts == [0]
        await driver.advance(0.001)
        await driver.advance(10)
        assert committed(driver, app, "in") in (None, 0)
        await driver.advance(30)
        assert attempts == [0, 1, 11, 41]
        assert dict(driver.table("sums")) == {"a": 5}
        assert values(driver, "out") == [5]
        assert committed(driver, app, "in") == 1


@pytest.mark.parametrize("then", [Skip(), DeadLetter()])
async def test_retry_that_runs_out_does_as_then_says(then: Any) -> None:
    app, topic, _out, sums = declared("retrythen")
    attempts: list[int] = []

    @app.agent(topic, on_error=Retry(attempts=2, backoff=lambda attempt: attempt * 1.0, then=then))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            attempts.append(value)
            sums["a"] += value
            if value < 0:
                raise ValueError("negative")

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=-1)
        await driver.advance(3)
        await driver.send("in", key="a", value=7)
        assert attempts == [-1, -1, -1, 7]
        assert dict(driver.table("sums")) == {"a": 7}
        assert len(driver.failures) == 1
        assert len(driver.dead_letters) == (then == DeadLetter())


async def test_retry_that_runs_out_fails_by_default() -> None:
    app, topic, _out, _sums = declared("retryfail")

    @app.agent(topic, on_error=Retry(attempts=1, backoff=2.0))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            raise ValueError("never")

    driver = TestDriver(app)
    await driver.start()
    await driver.send("in", key="a", value=1)
    with pytest.raises(HandlerError, match="never"):
        await driver.advance(2)


async def test_a_dead_letter_is_the_record_as_it_came_with_headers_that_say_why() -> None:
    app, topic, _out, _sums = declared("dead")
    mine = app.topic("mine", key_type=str, value_type=int, partitions=2)

    @app.agent(topic, on_error=Retry(attempts=1, backoff=0.0, then=DeadLetter(mine)))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            raise ValueError("bad")

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1, timestamp=77, headers={"trace": b"x"})
        await driver.advance(1)
        [record] = driver.read("mine")
        assert (record.key, record.value, record.timestamp) == ("a", 1, 77)
        headers = dict(record.headers)
        assert headers["trace"] == b"x"
        assert headers["streamz-topic"] == b"in"
        assert headers["streamz-partition"] == headers["streamz-offset"] == b"0"
        assert headers["streamz-timestamp"] == b"77"
        assert headers["streamz-error"] == b"ValueError: bad"
        assert headers["streamz-attempts"] == b"2"
        assert b"Traceback" in headers["streamz-stack"]


async def test_dead_letters_go_to_the_applications_own_topic_by_default() -> None:
    app, topic, _out, _sums = declared("deaddefault")

    @app.agent(topic, on_error=DeadLetter())
    async def handle(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            raise ValueError("bad")

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1)
        [record] = driver.read("deaddefault-dead-letters")
        assert (record.key, record.value) == (b"a", b"1")
        assert [failure.dead_letter for failure in driver.dead_letters] == ["deaddefault-dead-letters"]


async def test_a_value_written_since_by_another_event_is_kept() -> None:
    app, topic, _out, _ = declared("since")
    shared = app.table("shared", key_type=str, value_type=str, per_partition=True)
    first_waits: list[asyncio.Future[None]] = []

    @app.agent(topic, concurrency=8, on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            shared["last"] = str(value)
            shared[f"own{value}"] = "here"
            if value == 0:
                first_waits.append(asyncio.get_running_loop().create_future())
                await first_waits[0]
                raise ValueError("zero")

    async with TestDriver(app) as driver:
        topic.send_soon(key=None, value=0)
        await until(lambda: first_waits)
        topic.send_soon(key=None, value=1)
        await until(lambda: driver.table("shared").get("last") == "1")
        first_waits[0].set_result(None)
        await driver.settle()
        assert dict(driver.table("shared")) == {"last": "1", "own1": "here"}


async def test_an_equal_value_written_since_by_another_event_is_kept_too() -> None:
    app, topic, _out, _ = declared("sinceequal")
    seen = app.table("seen", key_type=str, value_type=bool, per_partition=True)
    waits: list[asyncio.Future[None]] = []
    written: list[int] = []

    @app.agent(topic, concurrency=8, on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            seen["any"] = True
            written.append(value)
            if value == 0:
                waits.append(asyncio.get_running_loop().create_future())
                await waits[0]
                raise ValueError("zero")

    async with TestDriver(app) as driver:
        topic.send_soon(key=None, value=0, timestamp=5)
        await until(lambda: waits)
        topic.send_soon(key=None, value=1, timestamp=5)
        await until(lambda: written == [0, 1])
        waits[0].set_result(None)
        await driver.settle()
        assert dict(driver.table("seen")) == {"any": True}


@pytest.mark.parametrize("cache", [1_000_000, 2])
async def test_a_commit_in_the_middle_of_an_event_that_fails_later_is_undone_as_well(cache: int) -> None:
    app, topic, out, _ = declared("middle")
    sums = app.table("exact", key_type=str, value_type=float, default=float)
    gate: list[asyncio.Future[None]] = []

    @app.agent(topic, sinks=[out], on_error=Retry(attempts=1, backoff=1.0))
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            sums["a"] += value
            yield value
            if len(gate) == 0:
                gate.append(asyncio.get_running_loop().create_future())
                await gate[0]
                raise ValueError("first")

    async with TestDriver(app) as driver:
        topic.send_soon(key="a", value=5, timestamp=9)
        await until(lambda: gate)
        logged = driver.running.worker.tasks["in-0"].own["exact"].logged
        logged.store.bound.limit = cache
        await driver.running.worker.commit()
        assert dict(driver.table("exact")) == {"a": 5}
        for number in range(cache if cache < 10 else 0):
            logged.get(f"other{number}".encode())
        assert values(driver, "out") == []
        gate[0].set_result(None)
        await driver.settle()
        assert dict(driver.table("exact")) == {}
        await driver.advance(1)
        assert dict(driver.table("exact")) == {"a": 5}
        assert values(driver, "out") == [5]


async def test_a_yield_that_its_sink_refuses_is_its_events_failure() -> None:
    app, topic, out, sums = declared("refused")

    @app.agent(topic, sinks=[out], on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[Any]:
        async for value in stream:
            sums["a"] += value
            yield value
            yield "no number" if value == 2 else value

    async with TestDriver(app) as driver:
        for number in (1, 2, 3):
            await driver.send("in", key="a", value=number)
        assert values(driver, "out") == [1, 1, 3, 3]
        assert dict(driver.table("sums")) == {"a": 4}


async def test_a_failing_function_among_the_sinks_is_its_events_failure() -> None:
    app, topic, out, sums = declared("sinkfails")
    told: list[int] = []

    async def tell(value: int) -> None:
        told.append(value)
        if told == [1, 2]:
            raise OSError("not reachable")

    @app.agent(topic, sinks=[out, tell], on_error=Retry(attempts=1, backoff=1.0))
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            sums["a"] += value
            yield value

    async with TestDriver(app) as driver:
        for number in (1, 2):
            await driver.send("in", key="a", value=number)
        assert values(driver, "out") == [1]
        await driver.advance(1)
        assert values(driver, "out") == [2]
        assert told == [1, 2, 2]
        assert dict(driver.table("sums")) == {"a": 3}


async def test_a_handler_that_raises_cancelled_error_has_failed() -> None:
    app, topic, _out, sums = declared("cancelled")

    @app.agent(topic, on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if value == 1:
                raise asyncio.CancelledError
            if value == 2:
                future = asyncio.get_running_loop().create_future()
                future.cancel()
                await future
            sums["a"] += value

    async with TestDriver(app) as driver:
        for number in (1, 2, 3):
            await driver.send("in", key="a", value=number)
        assert dict(driver.table("sums")) == {"a": 3}
        assert [failure.offset for failure in driver.failures] == [0, 1]


async def test_a_backoff_function_that_fails_stops_the_worker() -> None:
    app, topic, _out, _sums = declared("badbackoff")

    def backoff(attempt: int) -> float:
        raise ZeroDivisionError("in the backoff")

    @app.agent(topic, on_error=Retry(attempts=1, backoff=backoff))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            raise ValueError("first")

    driver = TestDriver(app)
    await driver.start()
    with pytest.raises(HandlerError, match="in the backoff"):
        await driver.send("in", key="a", value=1)
    assert committed(driver, app, "in") in (None, 0)


@pytest.mark.parametrize("policy", [Skip(), DeadLetter()])
async def test_a_derived_event_that_cannot_be_written_down_says_at_least_where_it_came_from(policy: Any) -> None:
    app, topic, _out, _ = declared("unwritable")

    @app.agent(app.stream(topic).map_values(lambda value: object() if value == 1 else value), on_error=policy)
    async def handle(stream: AgentStream[str, Any]) -> None:
        async for value in stream:
            if value != 2:
                raise ValueError("no")

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1)
        await driver.send("in", key="a", value=2)
        assert len(driver.failures) == 1
        assert committed(driver, app, "in") == 2
        if isinstance(policy, DeadLetter):
            (letter,) = driver.read("unwritable-dead-letters")
            assert (letter.key, letter.value) == (b"a", None)
            headers = dict(letter.headers)
            assert (headers["streamz-offset"], headers["streamz-derived"]) == (b"0", b"1")


async def test_a_failed_attempt_leaves_no_header_of_its_yields() -> None:
    app, topic, out, _ = declared("headers")

    @app.agent(topic, sinks=[out], on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> AsyncIterator[Any]:
        async for value in stream:
            yield Out(value, key=f"k{value}", timestamp=value, headers=(("n", b"%d" % value),))
            yield value
            if value == 2:
                raise ValueError("two")

    async with TestDriver(app) as driver:
        for number in (1, 2, 3):
            await driver.send("in", key="a", value=number, timestamp=100)
        found = [(record.key, record.value, record.timestamp, record.headers) for record in driver.read("out")]
    assert found == [
        ("k1", 1, 1, (("n", b"1"),)),
        ("a", 1, 100, ()),
        ("k3", 3, 3, (("n", b"3"),)),
        ("a", 3, 100, ()),
    ]


async def test_explicit_sends_of_a_failed_attempt_stay() -> None:
    app, topic, out, _ = declared("explicit")

    @app.agent(topic, on_error=Skip())
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            await out.send(key="a", value=value)
            raise ValueError("after the send")

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1)
        assert values(driver, "out") == [1]
