"""Streams that flow through agents and on into the DSL: what comes of a record, and when its offset is committed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import AgentStream, App, Out, Retry, Skip, current_event
from streamz_actors.errors import HandlerError, TopologyError
from streamz_actors.testing import TestDriver
from tests.scenarios.support import Site, committed, ended, until, values

Doubled = AsyncIterator[int]


async def double(stream: AgentStream[str, int]) -> Doubled:
    async for value in stream:
        yield value * 2


async def test_a_stream_flows_through_an_agent_and_on_into_an_aggregation_without_a_topic_between() -> None:
    app = App("through")
    source = app.topic("in", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)

    def add(total: int, value: int) -> int:
        return total + value

    doubled = app.stream(source).filter(lambda _, value: value > 0).through_agent(double, name="double")
    doubled.group_by_key().reduce(add, name="sums").to_stream().to(out)
    assert not any("repartition" in name for topic in app.topics for name in topic.names)
    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1, timestamp=5)
        await driver.send("in", key="a", value=-9, timestamp=6)
        await driver.send("in", key="b", value=2, timestamp=7)
        await driver.send("in", key="a", value=3, timestamp=3)
        assert [(record.key, record.value, record.timestamp) for record in driver.read("out")] == [
            ("a", 2, 5),
            ("b", 4, 7),
            ("a", 8, 5),
        ]
        assert dict(driver.table("sums")) == {"a": 8, "b": 4}


async def test_an_agents_yields_are_a_stream_beside_its_sinks() -> None:
    app = App("beside")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    sink = app.topic("sink", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=str, partitions=1)
    seen = app.table("seen", key_type=str, value_type=int, default=int)

    @app.agent(source, sinks=[sink])
    async def spread(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, value in stream.items():
            seen[key] += 1
            for number in range(value):
                yield Out(number, timestamp=current_event().timestamp + number)  # type: ignore[misc]  # an Out of int

    app.stream(spread).map_values(lambda value: f"<{value}>").to(out)
    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=3, timestamp=100)
        await driver.send("in", key="b", value=0, timestamp=100)
        assert [(record.value, record.timestamp) for record in driver.read("out")] == [
            ("<0>", 100),
            ("<1>", 101),
            ("<2>", 102),
        ]
        assert values(driver, "sink") == [0, 1, 2]
        assert dict(driver.table("seen")) == {"a": 1, "b": 1}


async def test_a_record_is_done_only_when_what_it_yields_has_passed_the_operators_behind() -> None:
    app = App("held")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    gate, reached = asyncio.Event(), asyncio.Event()

    async def slow(value: int) -> int:
        if value == 4:
            reached.set()
            await gate.wait()
        return value

    app.stream(source).through_agent(double, name="double").map_values(slow).to(out)
    site = Site()
    running, life = await site.begin(app)
    for value in (1, 2, 3):
        running.collector.send("in", b'"a"', str(value).encode(), 0)
    await until(reached.is_set)
    await running.worker.commit()
    assert (site.committed("held", "in") or 0) <= 1
    gate.set()
    await site.settle(running)
    await running.worker.commit()
    assert site.committed("held", "in") == 3
    await ended(running, life, site.clock)


async def test_a_failed_attempt_leaves_nothing_behind_the_agent() -> None:
    app = App("failing")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    attempts: list[int] = []

    @app.agent(source, on_error=Retry(1, 0.5, then=Skip()))
    async def shaky(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            attempts.append(value)
            yield value
            if value == 2 or (value == 1 and attempts.count(1) == 1):
                raise ValueError(value)

    app.stream(shaky).group_by_key().count(name="counts")
    async with TestDriver(app) as driver:
        for value in (1, 2, 3):
            await driver.send("in", key="a", value=value)
            await driver.advance(1.0)
        assert attempts == [1, 1, 2, 2, 3]
        assert dict(driver.table("counts")) == {"a": 2}
        assert committed(driver, app, "in") == 3


async def test_another_key_must_be_announced_and_leads_through_a_repartition_topic() -> None:
    async def renamed(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            yield Out(value, key=f"k{value % 2}")  # type: ignore[misc]  # an Out of int

    app = App("keys")
    app.topic("in", key_type=str, value_type=int, partitions=2)
    app.stream(app.topics[0]).through_agent(renamed).group_by_key().count(name="counts")
    with pytest.raises(HandlerError, match="rekeyed=True"):
        async with TestDriver(app) as driver:
            await driver.send("in", key="a", value=1)

    app = App("keys")
    source = app.topic("in", key_type=str, value_type=int, partitions=2)
    app.stream(source).through_agent(renamed, rekeyed=True).group_by_key().count(name="counts")
    async with TestDriver(app) as driver:
        for value in range(4):
            await driver.send("in", key="a", value=value)
        assert dict(driver.table("counts")) == {"k0": 2, "k1": 2}


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
async def test_state_behind_an_agent_survives_a_restart_and_counts_everything_once(
    store: str, concurrency: int, tmp_path: Path
) -> None:
    def declared() -> App:
        app = App("again")
        source = app.topic("in", key_type=str, value_type=int, partitions=1)
        app.stream(source).through_agent(double, name="double", concurrency=concurrency).group_by_key().count(name="n")
        return app

    site = Site(store, tmp_path)
    for _ in range(2):
        running, life = await site.begin(declared())
        for number in range(50):
            running.collector.send("in", f'"{number % 7}"'.encode(), b"1", number)
        await site.settle(running)
        await ended(running, life, site.clock)
    running, life = await site.begin(declared())
    state: Any = running.worker.tasks["in-0"].own["n"]
    assert sum(value for _, value in state.items()) == 100
    await ended(running, life, site.clock)


async def test_agents_may_follow_one_another() -> None:
    app = App("chain")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    stream = app.stream(source).through_agent(double, name="first").through_agent(double, name="second", concurrency=3)
    stream.filter(lambda _, value: value > 4).to(out)
    async with TestDriver(app) as driver:
        for value in (1, 2, 3):
            await driver.send("in", key="a", value=value)
        assert values(driver, "out") == [8, 12]
        assert committed(driver, app, "in") == 3


def test_what_cannot_be_a_stream_is_said() -> None:
    app = App("wrong")
    source = app.topic("in", key_type=str, value_type=int)
    other = app.topic("other", key_type=str, value_type=int)

    async def quiet(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            pass

    with pytest.raises(TopologyError, match="does not yield"):
        app.stream(app.agent(source)(quiet))
    with pytest.raises(TopologyError, match="follows no topic"):
        app.stream(app.agent(app.channel(), name="heard")(double))
    owned = app.agent(other, name="owned")(double)
    with pytest.raises(TopologyError, match="has a source of its own"):
        app.stream(source).through_agent(owned)
    with pytest.raises(TopologyError, match="where it is declared"):
        app.stream(other).through_agent(owned, concurrency=2)
    assert app.stream(other).through_agent(owned) is app.stream(owned)
    with pytest.raises(TopologyError, match="is a stream already"):
        app.stream(owned, value_type=str)
    with pytest.raises(TopologyError, match="name its sinks before"):
        owned.add_sink(source)
    with pytest.raises(TopologyError, match="is for agents"):
        app.stream(source, rekeyed=True)
    app.agent(name="lonely")(double)
    with pytest.raises(TopologyError, match="'lonely' has no source"):
        app.frozen()
