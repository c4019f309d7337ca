"""Exactly-once in every form that work takes: whenever a worker dies, each record's effects are there once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Retry
from streamz_actors.running import Running
from streamz_actors.types import TopicPartition
from tests.scenarios.exactly import EXACT, begin_after_death, feed, finish, tables, visible
from tests.scenarios.group import kill
from tests.scenarios.support import Site, turns

KEYS = [f"k{number % 5}" for number in range(60)]
Make = Callable[[App, Any, Any, Any], None]


async def dawdle(value: int) -> None:
    """Takes some turns of the loop, more or fewer by the value: so what began later may be done before."""
    await turns(value * 7 % 5)


def sequential(app: App, topic: Any, out: Any, counts: Any) -> None:
    @app.agent(topic, sinks=[out])
    async def work(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, value in stream.items():
            counts[key] += 1
            await dawdle(value)
            yield value


def side_by_side(app: App, topic: Any, out: Any, counts: Any) -> None:
    @app.agent(topic, sinks=[out], concurrency=4)
    async def work(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, value in stream.items():
            counts[key] += 1
            await dawdle(value)
            yield value


def in_lists(app: App, topic: Any, out: Any, counts: Any) -> None:
    @app.agent(topic)
    async def work(stream: AgentStream[str, int]) -> None:
        async for values in stream.take(4, within=1e6):
            for value in values:
                counts[KEYS[value]] += 1
                await out.send(key=KEYS[value], value=value)


def sent_by_hand(app: App, topic: Any, out: Any, counts: Any) -> None:
    @app.agent(topic)
    async def work(stream: AgentStream[str, int]) -> None:
        async for key, value in stream.items():
            await out.send(key=key, value=value)
            await dawdle(value)
            counts[key] += 1


def two_agents(app: App, topic: Any, out: Any, counts: Any) -> None:
    @app.agent(topic, sinks=[out])
    async def slow(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            await dawdle(value)
            yield value

    @app.agent(topic)
    async def quick(stream: AgentStream[str, int]) -> None:
        async for key, _ in stream.items():  # noqa: PERF102  # no dict
            counts[key] += 1


def one_behind_another(app: App, topic: Any, out: Any, counts: Any) -> None:
    @app.agent(topic)
    async def first(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, value in stream.items():
            counts[key] += 1
            yield value

    @app.agent(app.stream(first, value_type=int), sinks=[out], tables=[])
    async def second(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            await dawdle(value)
            yield value


def slow_calls(app: App, topic: Any, out: Any, counts: Any) -> None:
    async def call(value: int) -> int:
        await dawdle(value)
        return value

    called = app.stream(topic).map_async(call, concurrency=8)
    called.to(out)

    @app.agent(called)
    async def work(stream: AgentStream[str, int]) -> None:
        async for key, _ in stream.items():  # noqa: PERF102  # no dict
            counts[key] += 1


def calls_alone(app: App, topic: Any, out: Any, counts: Any) -> None:
    async def call(value: int) -> int:
        await dawdle(value)
        return value

    called = app.stream(topic).map_async(call, concurrency=8)
    called.to(out)
    called.group_by_key().count("counts")


def awaiting_steps(app: App, topic: Any, out: Any, counts: Any) -> None:
    async def slowly(value: int) -> int:
        await dawdle(value)
        return value

    stream = app.stream(topic).map_values(slowly)
    stream.to(out)
    stream.group_by_key().count("counts")


def failing_now_and_then(app: App, topic: Any, out: Any, counts: Any) -> None:
    failed: set[int] = set()

    @app.agent(topic, sinks=[out], on_error=Retry(3, backoff=0.0))
    async def work(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, value in stream.items():
            counts[key] += 1
            await dawdle(value)
            if value % 4 == 0 and value not in failed:
                failed.add(value)
                raise RuntimeError("not now")
            yield value


def calls_that_fail(app: App, topic: Any, out: Any, counts: Any) -> None:
    async def call(value: int) -> int:
        await dawdle(value)
        if value % 3 == 0:
            raise RuntimeError("a dead letter")
        return value

    stream = app.stream(topic).on_error(DeadLetter(out))
    stream.map_async(call, concurrency=8).to(out)
    del counts


def calls_with_nothing_behind(app: App, topic: Any, out: Any, counts: Any) -> None:
    async def call(value: int) -> int:
        await dawdle(value)
        raise RuntimeError("a dead letter")

    app.stream(topic).on_error(DeadLetter(out)).map_async(call, concurrency=8)
    del counts


FORMS: list[Make] = [
    sequential,
    side_by_side,
    in_lists,
    sent_by_hand,
    two_agents,
    one_behind_another,
    slow_calls,
    calls_alone,
    awaiting_steps,
    failing_now_and_then,
    calls_that_fail,
    calls_with_nothing_behind,
]
UNCOUNTED = (calls_that_fail, calls_with_nothing_behind)


def made(form: Make) -> App:
    app = App("forms", **EXACT)
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    if form in (calls_alone, awaiting_steps, *UNCOUNTED):
        form(app, topic, out, None)
    else:
        form(app, topic, out, app.table("counts", key_type=str, value_type=int, default=int))
    return app


async def commits(site: Site, running: Running, chance: random.Random) -> bool:
    """A commit, perhaps to its end; whether it got there."""
    commit = asyncio.create_task(running.worker.commit())
    await turns(chance.randrange(30))
    if chance.random() < 0.5:
        while not commit.done():
            await turns(20)
            site.clock.advance_to_next(site.clock.monotonic() + 0.1)
    commit.cancel()
    await asyncio.gather(commit, return_exceptions=True)
    return not commit.cancelled()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
async def test_each_record_has_its_effects_once(form: Make, seed: int) -> None:
    site, chance = Site(), random.Random(seed)
    running, life = await site.begin(made(form))
    for start in range(0, len(KEYS), 10):
        feed(site, KEYS[start : start + 10], start)
        await turns(chance.randrange(60))
        whole = all([await commits(site, running, chance) for _ in range(chance.randrange(3))])
        if not whole or chance.random() < 0.5:
            await kill(running, life)
            running, life = await begin_after_death(site, made(form))
    while site.clock.advance_to_next(site.clock.monotonic() + 1):  # retries
        await site.settle(running)
    await finish(site, running)
    (counts,) = tables(running, names=("counts",))
    passed = Counter(value for _, value in visible(site.broker, "out"))
    assert counts == ({} if form in UNCOUNTED else Counter(KEYS))
    assert passed == Counter(b"%d" % number for number in range(len(KEYS)))
    assert site.committed("forms", "in") == site.broker.log(TopicPartition("in", 0)).end
    await kill(running, life)
