"""Speaking to agents: cast, ask, map, kvmap, join; sinks of every kind; channels."""

# ruff: noqa: PERF401  # an agent's loop has no end that a comprehension could wait for

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Event, Out, Retry, Skip, current_event
from streamz_actors.errors import AskFailed, EncodeError, TopologyError, UsageError
from streamz_actors.testing import TestDriver
from tests.scenarios.support import turns, until, values


def doubling(app: App, **options: Any) -> Any:
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)

    @app.agent(topic, **options)
    async def double(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            if value < 0:
                raise ValueError("negative")
            if value:
                yield value * 2
                yield -1

    return double


async def asked(driver: TestDriver, question: Any) -> Any:
    """The answer, while the application settles."""
    task = asyncio.ensure_future(question)
    await turns()
    await driver.settle()
    return await task


async def test_ask_gets_the_first_yield_and_none_without_one() -> None:
    app = App("ask")
    double = doubling(app)
    async with TestDriver(app) as driver:
        assert await asked(driver, double.ask(4, key="a")) == 8
        assert await asked(driver, double.ask(0, key="a")) is None
        metadata = await asked(driver, double.cast(5, key="a"))
        assert metadata.topic == "in"


@pytest.mark.parametrize("policy", [Skip(), DeadLetter(), Retry(1, backoff=0.0, then=Skip())])
async def test_asking_about_what_fails_raises_with_the_reason(policy: Any) -> None:
    app = App("askfails")
    double = doubling(app, on_error=policy)
    async with TestDriver(app) as driver:
        question = asyncio.ensure_future(double.ask(-4, key="a"))
        await turns()
        await driver.advance(1)
        with pytest.raises(AskFailed, match="ValueError: negative"):
            await question


async def test_ask_times_out_on_the_clock_and_a_late_answer_is_dropped() -> None:
    app = App("asktimeout")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gate: list[asyncio.Future[None]] = []

    @app.agent(topic)
    async def slow(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            gate.append(asyncio.get_running_loop().create_future())
            await gate[-1]
            yield value

    async with TestDriver(app) as driver:
        question = asyncio.ensure_future(slow.ask(1, timeout=5.0))
        await until(lambda: gate)
        driver.clock.advance_to_next(5.0)
        with pytest.raises(TimeoutError, match="'slow' did not answer within 5 s"):
            await question
        gate[0].set_result(None)
        await driver.settle()
        assert driver.running.worker.questions.waiting == 0


async def test_map_kvmap_and_join() -> None:
    app = App("mapping")
    double = doubling(app)

    async def given() -> AsyncIterator[int]:
        for number in (4, 5):
            yield number

    async def collected(answers: AsyncIterator[Any]) -> list[Any]:
        return [answer async for answer in answers]

    async with TestDriver(app) as driver:
        assert await asked(driver, double.join([1, 2, 3])) == [2, 4, 6]
        assert await asked(driver, double.join(given(), key="k")) == [8, 10]
        assert sorted(await asked(driver, collected(double.map([1, 2])))) == [2, 4]
        assert sorted(await asked(driver, collected(double.kvmap([("a", 3), ("b", 4)])))) == [6, 8]


async def test_all_that_a_list_holds_is_answered_also_where_its_last_record_did_not_ask() -> None:
    app = App("lists")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)

    @app.agent(topic)
    async def total(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for numbers in stream.take(2, within=10.0):
            yield sum(numbers)

    async with TestDriver(app) as driver:
        question = asyncio.ensure_future(total.ask(4))
        await turns()
        await driver.settle()
        topic.send_soon(value=3)
        await driver.settle()
        assert await question == 7


async def test_an_answer_that_cannot_be_written_is_the_events_failure_and_leaves_no_trace() -> None:
    app = App("badanswer")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    counts = app.table("counts", key_type=str, value_type=int, default=int)

    @app.agent(topic, on_error=Skip())
    async def wrong(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for _ in stream:
            counts["a"] += 1
            yield "no number"  # type: ignore[misc]  # that is the point

    async with TestDriver(app) as driver:
        question = asyncio.ensure_future(wrong.ask(1, key="a"))
        await turns()
        await driver.settle()
        with pytest.raises(AskFailed):
            await question
        assert dict(driver.table("counts")) == {}


async def test_who_cannot_be_addressed_says_so() -> None:
    app = App("addressed")
    one = app.topic("one", value_type=int, partitions=1)
    two = app.topic("two", value_type=int, partitions=1)

    @app.agent([one, two])
    async def both(stream: AgentStream[Any, int]) -> None:
        async for _ in stream:
            pass

    with pytest.raises(UsageError, match="several topics"):
        await both.cast(1)
    with pytest.raises(UsageError, match="several topics"):
        app.agent(one, name="sender", sinks=[both])(_nothing)
    with pytest.raises(TopologyError, match="name one"):
        app.agent(one, name="joint", sinks=[app.topic("x", "y", value_type=int)])(_nothing)
    with pytest.raises(TopologyError, match="is no sink"):
        app.agent(one, name="none", sinks=[7])(_nothing)


async def _nothing(stream: AgentStream[Any, Any]) -> None:
    async for _ in stream:
        pass


async def test_a_yield_that_reaches_nobody_is_an_error_at_the_start() -> None:
    app = App("nobody")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)

    @app.agent(app.stream(topic).filter(lambda key, value: True))
    async def lost(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            yield value

    with pytest.raises(TopologyError, match="reaches nobody"):
        await TestDriver(app).start()


async def test_every_kind_of_sink_gets_every_yield() -> None:
    app = App("sinks")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    onward = app.topic("onward", key_type=str, value_type=int, partitions=1)
    channel = app.channel(value_type=int)
    called: list[int] = []
    awaited: list[int] = []
    heard: list[tuple[Any, ...]] = []
    received: list[int] = []

    async def later(value: int) -> None:
        await asyncio.sleep(0)
        awaited.append(value)

    @app.agent(channel)
    async def listen(stream: AgentStream[Any, int]) -> None:
        async for event in stream.events():
            heard.append((event.key, event.value, event.timestamp, event.headers))

    @app.agent(onward)
    async def receive(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            received.append(value)

    @app.agent(topic, sinks=[out, channel, receive, called.append, later])
    async def relay(stream: AgentStream[str, int]) -> AsyncIterator[Any]:
        async for value in stream:
            yield value
            yield Out(value + 1, key="other", timestamp=5, headers=(("h", b"1"),))

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1, timestamp=77)
        assert [(record.key, record.value, record.timestamp) for record in driver.read("out")] == [
            ("a", 1, 77),
            ("other", 2, 5),
        ]
        assert called == awaited == received == [1, 2]
        assert heard == [("a", 1, 77, ()), ("other", 2, 5, (("h", b"1"),))]


async def test_out_need_not_have_the_key_of_its_event_fit_the_sink() -> None:
    app = App("outkey")
    topic = app.topic("in", key_type=int, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)

    @app.agent(topic, sinks=[out])
    async def rename(stream: AgentStream[int, int]) -> AsyncIterator[Out[int]]:
        async for key, value in stream.items():
            yield Out(value, key=f"k{key}")

    async with TestDriver(app) as driver:
        await driver.send("in", key=3, value=1)
        assert [(record.key, record.value) for record in driver.read("out")] == [("k3", 1)]


async def test_the_last_yield_of_a_function_that_returns_reaches_functions_too() -> None:
    app = App("lastyield")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    called: list[int] = []

    @app.agent(topic, sinks=[called.append])
    async def once(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            yield value
            return

    async with TestDriver(app) as driver:
        for number in (1, 2):
            await driver.send("in", key="a", value=number)
            assert called[-1] == number


async def test_events_are_forwarded_with_what_they_came_with() -> None:
    app = App("forward")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)

    @app.agent(topic)
    async def forward(stream: AgentStream[str, int]) -> None:
        async for event in stream.events():
            assert current_event() == event
            await event.forward(out, value=event.value + 1)

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1, timestamp=9, headers={"h": b"x"})
        [record] = driver.read("out")
        assert (record.key, record.value, record.timestamp, record.headers) == ("a", 2, 9, (("h", b"x"),))


# -- channels


async def test_a_channel_agent_answers_and_its_yields_have_the_time_they_were_made() -> None:
    app = App("channel")
    channel = app.channel(value_type=int)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)

    @app.agent(channel, sinks=[out])
    async def double(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            yield 2 * value

    async with TestDriver(app) as driver:
        await driver.advance(5)
        assert await asked(driver, double.ask(4, key="a")) == 8
        [record] = driver.read("out")
        assert (record.key, record.value, record.timestamp) == ("a", 8, 5_000)
        with pytest.raises(EncodeError, match="takes int, not str"):
            await channel.send(value="x")


async def test_a_full_channel_lets_a_sender_in_as_soon_as_one_event_is_done() -> None:
    app = App("full")
    channel = app.channel(value_type=int, maxsize=2)
    gates: dict[int, asyncio.Future[None]] = {}

    @app.agent(channel)
    async def work(stream: AgentStream[Any, int]) -> None:
        async for value in stream:
            gates[value] = asyncio.get_running_loop().create_future()
            await gates[value]

    async with TestDriver(app) as driver:
        for number in range(2):
            await channel.send(value=number)
        third, fourth = (asyncio.ensure_future(channel.send(value=number)) for number in (2, 3))
        await turns()
        assert not third.done()
        gates[0].set_result(None)
        await until(third.done)
        assert not fourth.done()
        third.cancel()
        gates[1].set_result(None)
        await until(fourth.done)
        for number in (2, 3):
            await until(lambda number=number: number in gates)  # type: ignore[misc]  # as it is now
            gates[number].set_result(None)
        await driver.settle()


async def test_room_given_to_a_sender_that_was_cancelled_goes_to_the_next() -> None:
    app = App("cancelledsender")
    channel = app.channel(value_type=int, maxsize=1)
    gates: dict[int, asyncio.Future[None]] = {}

    @app.agent(channel)
    async def work(stream: AgentStream[Any, int]) -> None:
        async for value in stream:
            gates[value] = asyncio.get_running_loop().create_future()
            await gates[value]

    async with TestDriver(app) as driver:
        await channel.send(value=0)
        one, two = (asyncio.ensure_future(channel.send(value=number)) for number in (1, 2))
        await turns()
        gates[0].set_result(None)
        one.cancel()
        await until(two.done)
        await until(lambda: 2 in gates)
        gates[2].set_result(None)
        await driver.settle()
        assert one.cancelled()


async def test_every_agent_of_a_channel_gets_every_value_and_what_came_before_the_start() -> None:
    app = App("everyone")
    channel = app.channel(value_type=int)
    seen: list[tuple[str, int]] = []

    def listener(name: str) -> None:
        @app.agent(channel, name=name)
        async def listen(stream: AgentStream[Any, int]) -> None:
            async for value in stream:
                seen.append((name, value))

    listener("a")
    listener("b")
    await channel.send(value=0)
    async with TestDriver(app) as driver:
        await channel.send_soon(value=1)
        await driver.settle()
    assert sorted(seen) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


async def test_a_failing_channel_agent_follows_its_policy() -> None:
    app = App("channelfails")
    channel = app.channel(value_type=int)

    @app.agent(channel, on_error=DeadLetter())
    async def work(stream: AgentStream[Any, int]) -> None:
        async for _ in stream:
            raise ValueError("bad")

    async with TestDriver(app) as driver:
        await channel.send(value=5, key="k")
        await driver.settle()
        [record] = driver.read("channelfails-dead-letters")
        assert (record.key, record.value) == (b'"k"', b"5")


async def test_a_channel_agent_that_fails_for_good_stops_the_worker_and_names_the_channel() -> None:
    app = App("channelstops")
    channel = app.channel(value_type=int, name="jobs")

    @app.agent(channel)
    async def work(stream: AgentStream[Any, int]) -> None:
        async for _ in stream:
            raise ValueError("bad")

    driver = TestDriver(app)
    await driver.start()
    await channel.send(value=5)
    with pytest.raises(Exception, match=r"agent 'work' on channel 'jobs'.*bad"):
        await driver.settle()


async def test_events_are_values() -> None:
    assert Event("k", 1, (), 0, "t", 0, 0) == Event("k", 1, (), 0, "t", 0, 0)


async def test_replies_are_found_by_value_not_by_topic() -> None:
    app = App("values")
    double = doubling(app, sinks=[app.topic("out", key_type=str, value_type=int, partitions=1)])
    async with TestDriver(app) as driver:
        assert await asked(driver, double.ask(4, key="a")) == 8
        assert values(driver, "out") == [8, -1]
