"""Exactly-once: what belongs to a transaction and what does not, and what keeps one from ending."""

import asyncio
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter
from streamz_actors.errors import CommitError, HandlerError, UsageError
from streamz_actors.testing import TestDriver
from streamz_actors.types import partition_of
from tests.scenarios.exactly import (
    EXACT,
    Failing,
    FailingTransport,
    begin_after_death,
    check,
    counted,
    feed,
    finish,
    visible,
)
from tests.scenarios.group import kill
from tests.scenarios.support import Site, ended, turns, until


def declared(name: str) -> tuple[App, Any, Any]:
    app = App(name, **EXACT)
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    return app, topic, app.topic("out", key_type=str, value_type=int, partitions=1)


async def test_a_handler_that_awaits_its_delivery_does_not_wait_for_the_commit() -> None:
    app, topic, out = declared("awaiting")
    delivered: list[int] = []

    @app.agent(topic)
    async def send(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            metadata = await out.send(value=value)
            delivered.append(metadata.offset)

    site = Site()
    running, life = await site.begin(app)
    feed(site, ["a", "b", "a"])
    await site.settle(running)
    assert sorted(delivered) == [0, 1, 2]
    assert visible(site.broker, "out") == []
    await running.worker.commit()
    assert len(visible(site.broker, "out")) == 3
    await ended(running, life, site.clock)


async def test_what_is_sent_from_outside_is_visible_at_once_and_no_part_of_a_transaction() -> None:
    app, topic, out = declared("outside")

    @app.agent(topic, sinks=[out])
    async def work(stream: AgentStream[str, int]) -> Any:
        async for value in stream:
            yield value

    @app.timer(interval=1.0)
    async def tick() -> None:
        await out.send(value=100)

    site, failing = Site(), Failing()
    running, life = await site.begin(app, transport=FailingTransport(site.broker, failing))
    await out.send(value=50)
    assert site.clock.advance_to_next(site.clock.monotonic() + 1.0)
    await until(lambda: len(visible(site.broker, "out")) == 2)
    feed(site, ["a"])
    await site.settle(running)
    assert [value for _, value in visible(site.broker, "out")] == [b"50", b"100"]
    await running.worker.commit()
    assert [value for _, value in visible(site.broker, "out")] == [b"50", b"100", b"0"]
    assert failing.commits == 1
    await ended(running, life, site.clock)


async def test_asking_in_a_handler_raises_at_once() -> None:
    app, topic, out = declared("asking")
    raised: list[UsageError] = []

    @app.agent(out)
    async def other(stream: AgentStream[str, int]) -> Any:
        async for value in stream:
            yield value

    @app.agent(topic)
    async def work(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            with pytest.raises(UsageError, match="under exactly-once") as caught:
                await other.ask(value)
            raised.append(caught.value)

    site = Site()
    running, life = await site.begin(app)
    feed(site, ["a"])
    await site.settle(running)
    assert len(raised) == 1
    await ended(running, life, site.clock)


async def test_an_answer_comes_when_what_it_says_is_committed() -> None:
    app, topic, _ = declared("answering")

    @app.agent(topic)
    async def double(stream: AgentStream[str, int]) -> Any:
        async for value in stream:
            yield value * 2

    site = Site()
    running, life = await site.begin(app)
    asking = asyncio.create_task(double.ask(21, key="a"))
    await turns(200)
    assert not asking.done()
    await running.worker.commit()
    await until(asking.done)
    assert asking.result() == 42
    await ended(running, life, site.clock)


async def test_dead_letters_are_committed_with_the_offsets_that_they_stand_for() -> None:
    app, topic, out = declared("letters")

    @app.agent(topic, on_error=DeadLetter(out))
    async def work(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            raise RuntimeError("no")

    site = Site()
    running, life = await site.begin(app)
    feed(site, ["a", "b"])
    await site.settle(running)
    assert visible(site.broker, "out") == []
    await running.worker.commit()
    assert len(visible(site.broker, "out")) == 2
    assert running.worker.dead_letters == 2
    await ended(running, life, site.clock)


async def test_a_commit_waits_for_what_is_in_hand_and_gives_out_nothing_more() -> None:
    app, topic, out = declared("hand")
    gate = asyncio.Event()
    begun: list[int] = []

    @app.agent(topic, sinks=[out])
    async def work(stream: AgentStream[str, int]) -> Any:
        async for value in stream:
            begun.append(value)
            await gate.wait()
            yield value

    site = Site()
    running, life = await site.begin(app)
    feed(site, ["a", "a", "a"])
    await until(lambda: begun)
    await out.send(value=9)
    commit = asyncio.create_task(running.worker.commit())
    await turns()
    assert not commit.done()
    gate.set()
    await commit
    await finish(site, running)
    assert [value for _, value in visible(site.broker, "out")] == [b"9", b"0", b"1", b"2"]
    await ended(running, life, site.clock)


async def test_an_event_that_keeps_a_transaction_open_for_too_long_is_named() -> None:
    app, topic, out = declared("long")

    @app.agent(topic, sinks=[out])
    async def quick(stream: AgentStream[str, int]) -> Any:
        async for value in stream:
            yield value

    @app.agent(topic)
    async def slow(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if value == 1:
                await asyncio.Event().wait()

    site = Site()
    _, life = await site.begin(app, commit_interval=1.0)
    feed(site, ["a", "a"])
    place = r"agent 'slow' failed at topic 'in', partition \d, offset 1: TimeoutError: not done after 30 s"
    while not life.done():
        await turns(20)
        site.clock.advance_to_next(site.clock.monotonic() + 1.0)
    with pytest.raises(HandlerError, match=place):
        await life
    assert [value for _, value in visible(site.broker, "out")] == []


async def test_calls_under_way_keep_no_transaction_open() -> None:
    app, topic, out = declared("calls")
    gate = asyncio.Event()

    async def call(value: int) -> int:
        if value:
            await gate.wait()
        return value

    app.stream(topic).map_async(call, concurrency=4).to(out)
    site = Site()
    running, life = await site.begin(app)
    feed(site, ["a", "a", "a"])
    await until(lambda: len(visible(site.broker, "out", committed=False)) == 1)
    await running.worker.commit()
    assert [value for _, value in visible(site.broker, "out")] == [b"0"]
    gate.set()
    await finish(site, running)
    assert [value for _, value in visible(site.broker, "out")] == [b"0", b"1", b"2"]
    await ended(running, life, site.clock)


@pytest.mark.parametrize("behind", [True, False])
async def test_a_call_that_fails_is_a_dead_letter_when_those_before_it_are_done(behind: bool) -> None:
    gate = asyncio.Event()

    def made() -> App:
        app, topic, out = declared("lettered")

        async def call(value: int) -> int:
            if value:
                raise RuntimeError("no")
            await gate.wait()
            return value

        called = app.stream(topic).on_error(DeadLetter(out)).map_async(call, concurrency=4)
        if behind:
            called.to(out)
        return app

    site = Site()
    running, life = await site.begin(made())
    feed(site, [key for key in "abcdefgh" if partition_of(key.encode(), 2) == 0][:2])
    await turns(200)
    commit = asyncio.create_task(running.worker.commit())
    await turns(200)
    assert visible(site.broker, "out") == []
    commit.cancel()
    await asyncio.gather(commit, return_exceptions=True)
    await kill(running, life)
    gate.set()
    running, life = await begin_after_death(site, made())
    await finish(site, running)
    assert sorted(value for _, value in visible(site.broker, "out")) == ([b"0", b"1"] if behind else [b"1"])
    await ended(running, life, site.clock)


async def test_a_refused_send_gives_up_the_transaction_and_after_many_the_worker_fails() -> None:
    site, failing = Site(), Failing()
    failing.outcomes = dict.fromkeys(range(1, 100), "aborted")
    _, life = await site.begin(counted(), transport=FailingTransport(site.broker, failing), commit_interval=1.0)
    feed(site, ["a", "b"])
    while not life.done():
        await turns(20)
        site.clock.advance_to_next(site.clock.monotonic() + 1.0)
    with pytest.raises(CommitError, match="8 transactions in a row were given up"):
        await life
    assert failing.commits == 8
    assert visible(site.broker, "out") == []


async def test_a_producer_that_cannot_be_started_again_is_tried_again_and_again() -> None:
    site, failing = Site(), Failing()
    failing.outcomes[1], failing.refused_starts = "aborted", 20
    running, life = await site.begin(
        counted(), transport=FailingTransport(site.broker, failing), commit_interval=1.0
    )
    feed(site, ["a", "b", "a"])
    while failing.commits < 2:
        await turns(20)
        site.clock.advance_to_next(site.clock.monotonic() + 1.0)
    await finish(site, running)
    check(site, ["a", "b", "a"], running)
    await ended(running, life, site.clock)


async def test_a_fenced_producer_begins_anew() -> None:
    site = Site()
    running, life = await site.begin(counted())
    feed(site, ["a", "b"])
    await site.settle(running)
    site.broker.transactions.begin("exact-worker", 60.0)
    feed(site, ["a"], 2)
    await site.settle(running)
    await finish(site, running)
    check(site, ["a", "b", "a"], running)
    assert not life.done()
    await ended(running, life, site.clock)


async def test_the_test_driver_goes_on_until_everything_is_committed() -> None:
    app, topic, out = declared("driven")
    app.stream(topic).group_by(lambda key, value: f"all-{value % 2}").count("again").to_stream().to(out)
    async with TestDriver(app) as driver:
        for value in range(3):
            await driver.send("in", key="a", value=value)
        updates = [(record.key, record.value) for record in driver.read("out")]
    assert updates == [("all-0", 1), ("all-1", 1), ("all-0", 2)]


async def test_an_event_that_fails_ends_the_worker_and_commits_nothing_that_stands_above_it() -> None:
    app, topic, out = declared("failing")

    @app.agent(topic, sinks=[out], concurrency=2)
    async def work(stream: AgentStream[str, int]) -> Any:
        async for value in stream:
            await asyncio.sleep(0)
            yield value
            if value == 1:
                raise KeyError("one")

    site = Site()
    _, life = await site.begin(app)
    feed(site, [key for key in "abcdefgh" if partition_of(key.encode(), 2) == 0])
    await until(life.done)
    with pytest.raises(HandlerError, match="KeyError: 'one'"):
        await life
    assert visible(site.broker, "out") == []
    assert site.committed("failing", "in") is None
