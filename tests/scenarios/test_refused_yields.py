"""What agents yield, send and answer, and the broker refuses: the event's policy decides, under both guarantees."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Retry, Skip
from streamz_actors.errors import AskFailed, HandlerError
from streamz_actors.types import TopicPartition
from tests.scenarios.exactly import tables, visible
from tests.scenarios.support import Site, ended, turns, until

GUARANTEES = pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
BAD = 13


class Yielding:
    """An agent that counts its keys and yields to two topics; of one value the yields are long.

    `sends`: how it passes them on, if not by yielding. `runs`: the values that it was given.
    """

    def __init__(self, guarantee: str, on_error: Any = None, sends: str = "", concurrency: int = 1) -> None:
        app = App("yields", processing_guarantee=guarantee)
        source = app.topic("in", key_type=str, value_type=int, partitions=1)
        outs = [app.topic(name, key_type=str, value_type=str, partitions=1) for name in ("out", "copy")]
        seen = app.table("seen", key_type=str, value_type=int, default=int)
        self.app, self.runs = app, list[int]()

        if sends:

            @app.agent(source, on_error=on_error, concurrency=concurrency)
            async def write(stream: AgentStream[str, int]) -> None:
                async for key, value in stream.items():
                    self.runs.append(value)
                    future = outs[0].send_soon(key=key, value=text(value))
                    if sends == "awaited":
                        await future
                    seen[key] += 1

        else:

            @app.agent(source, sinks=outs, on_error=on_error, concurrency=concurrency)
            async def write_(stream: AgentStream[str, int]) -> AsyncIterator[str]:
                async for key, value in stream.items():
                    self.runs.append(value)
                    seen[key] += 1
                    yield text(value)
                    yield f"{value} again"

        self.site = Site()

    async def work(self, *values: int) -> "tuple[Any, asyncio.Task[None]]":
        """A worker, whose output topics have got lower limits since it started, and that has these values to do."""
        running, life = await self.site.begin(self.app)
        for name in ("out", "copy"):
            log = self.site.broker.topic(name).logs[0]
            log.settings = replace(log.settings, max_message_bytes=1_000)
        for number, value in enumerate(values):
            self.site.broker.append(TopicPartition("in", 0), [b"ab"[number % 2 :][:1]], [b"%d" % value], [number], None)
        for _ in range(3):
            await self.site.settle(running)
            await running.worker.commit()
        return running, life

    def written(self, topic: str = "out") -> list[tuple[str, bytes]]:
        return visible(self.site.broker, topic)


def text(value: int) -> str:
    return "x" * 2_000 if value == BAD else str(value)


@GUARANTEES
@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(
    "policy", [Skip(), DeadLetter(), Retry(2, then=Skip()), Retry(2, then=DeadLetter())], ids=str
)
async def test_the_event_is_given_up_once_and_the_others_are_written_in_order(
    guarantee: str, policy: Any, concurrency: int
) -> None:
    agent = Yielding(guarantee, policy, concurrency=concurrency)
    running, life = await agent.work(1, 2, BAD, 4, 5)
    by_key = {"a": [b'"1"', b'"1 again"', b'"13 again"', b'"5"', b'"5 again"'], "b": [b'"2"', b'"2 again"']}
    by_key["b"] += [b'"4"', b'"4 again"']
    for topic in ("out", "copy"):
        assert {name: [value for key, value in agent.written(topic) if key == name] for name in "ab"} == by_key
    assert sorted(agent.runs) == [1, 2, 4, 5, BAD]
    assert agent.site.committed("yields", "in") == 5
    (failure,) = running.worker.failures
    assert (failure.what, failure.offset) == ("agent 'write_'", 2)
    last = policy.then if isinstance(policy, Retry) else policy
    if isinstance(last, DeadLetter):
        assert agent.written("yields-dead-letters") == [("a", b"13")]
    await ended(running, life, agent.site.clock)


@GUARANTEES
@pytest.mark.parametrize("sends", ["awaited", "not looked at"])
async def test_so_it_is_with_what_a_handler_sends_itself(guarantee: str, sends: str) -> None:
    agent = Yielding(guarantee, DeadLetter(), sends=sends)
    running, life = await agent.work(1, 2, BAD, 4)
    assert [value for _, value in agent.written()] == [b'"1"', b'"2"', b'"4"']
    assert agent.written("yields-dead-letters") == [("a", b"13")]
    assert agent.site.committed("yields", "in") == 4
    (seen,) = tables(running, names=("seen",))
    assert seen == {"a": 1 if sends == "awaited" else 2, "b": 2}
    await ended(running, life, agent.site.clock)


@GUARANTEES
async def test_a_topic_that_takes_nothing_from_us_stops_the_worker_under_every_policy(guarantee: str) -> None:
    agent = Yielding(guarantee, Skip())
    running, life = await agent.site.begin(agent.app)
    agent.site.broker.topic("copy").logs.clear()
    agent.site.broker.append(TopicPartition("in", 0), [b"a"], [b"1"], [0], None)
    await agent.site.settle(running)
    await running.worker.commit()
    with pytest.raises(HandlerError, match="agent 'write_' failed at topic 'in', partition 0, offset 0: ProduceError"):
        await life
    assert agent.site.committed("yields", "in") is None


def asked(guarantee: str, on_error: Any) -> tuple[App, Any]:
    app = App("answers", processing_guarantee=guarantee)
    source = app.topic("in", key_type=str, value_type=int, partitions=1)

    @app.agent(source, on_error=on_error)
    async def answer(stream: AgentStream[str, int]) -> AsyncIterator[str]:
        async for value in stream:
            yield text(value)

    return app, answer


@pytest.mark.parametrize("policy", [Skip(), DeadLetter()], ids=str)
async def test_who_asked_hears_of_an_answer_that_is_refused(policy: Any) -> None:
    app, agent = asked("exactly_once", policy)
    site = Site()
    running, life = await site.begin(app)
    first = asyncio.create_task(agent.ask(1, key="a"))
    await until(lambda: site.broker.log(TopicPartition("in", 0)).end == 1)
    await site.settle(running)
    await running.worker.commit()
    assert await first == "1"
    log = site.broker.topic("answers-replies-worker").logs[0]
    log.settings = replace(log.settings, max_message_bytes=1_000)
    asking = asyncio.create_task(agent.ask(BAD, key="a"))
    await until(lambda: site.broker.log(TopicPartition("in", 0)).end == 2)
    for _ in range(3):
        await site.settle(running)
        await running.worker.commit()
    with pytest.raises(AskFailed, match=r"ProduceError: .* larger"):
        await asking
    assert site.committed("answers", "in") == 2
    assert [failure.what for failure in running.worker.failures] == ["agent 'answer'"]
    await ended(running, life, site.clock)


@GUARANTEES
async def test_an_answer_to_somebody_who_is_gone_is_no_failure(guarantee: str) -> None:
    app, _ = asked(guarantee, None)
    site = Site()
    running, life = await site.begin(app)
    headers = (("streamz-reply-to", b"answers-replies-another"), ("streamz-correlation", b"1"))
    site.broker.append(TopicPartition("in", 0), [b"a"], [b"1"], [0], [headers])
    await site.settle(running)
    await running.worker.commit()
    await turns()
    assert site.committed("answers", "in") == 1
    await ended(running, life, site.clock)


@pytest.mark.parametrize("answered", [True, False])
async def test_an_asker_leaves_its_reply_topic_to_an_answer_that_is_on_its_way(answered: bool) -> None:
    app = App("answers")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)

    @app.agent(source)
    async def answer(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            if not answered:
                await asyncio.Event().wait()
            yield value

    site = Site()
    running, life = await site.begin(app)
    asking = asyncio.create_task(answer.ask(1, key="a", timeout=0.5))
    await until(lambda: site.broker.log(TopicPartition("in", 0)).end == 1)
    await site.settle(running) if answered else await turns()
    site.clock.advance_to_next(1.0)
    assert [type(result) for result in await asyncio.gather(asking, return_exceptions=True)] == [
        int if answered else TimeoutError
    ]
    await ended(running, life, site.clock)
    assert ("answers-replies-worker" in site.broker.topics) is not answered
