"""Tables in the hands of agents: which are theirs, which keys, and from where else they can be read."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App, Skip
from streamz_actors.errors import HandlerError, NotInHandler, TopologyError
from streamz_actors.testing import TestDriver
from tests.scenarios.support import values


def adding(app: App, topic: Any, table: Any, name: str = "add", **options: Any) -> None:
    @app.agent(topic, name=name, **options)
    async def add(stream: AgentStream[str, int]) -> None:
        async for key, value in stream.items():
            table[key] += value


async def test_agents_that_name_no_tables_share_those_that_nobody_names() -> None:
    app = App("shared")
    one, two = (app.topic(name, key_type=str, value_type=int, partitions=3) for name in ("one", "two"))
    table = app.table("sums", key_type=str, value_type=int, default=int)
    adding(app, one, table, "first")
    adding(app, two, table, "second")
    async with TestDriver(app, topic_partitions=3) as driver:
        for number in range(12):
            await driver.send("one" if number % 2 else "two", key=f"k{number % 4}", value=1)
        assert dict(driver.table("sums")) == {f"k{number}": 3 for number in range(4)}


async def test_an_agent_of_another_partition_count_must_name_its_table_and_is_told_so() -> None:
    app = App("differ")
    one = app.topic("one", key_type=str, value_type=int, partitions=2)
    two = app.topic("two", key_type=str, value_type=int, partitions=3)
    table = app.table("sums", key_type=str, value_type=int, default=int)
    adding(app, one, table, "first")
    adding(app, two, table, "second")
    driver = TestDriver(app, topic_partitions=2)
    await driver.start()
    await driver.send("one", key="a", value=1)
    with pytest.raises(HandlerError, match=r"agent 'second' uses table 'sums'.*tables=\[\.\.\.\]"):
        await driver.send("two", key="a", value=1)


async def test_a_table_that_one_agent_names_is_closed_to_those_that_name_none() -> None:
    app = App("named")
    one, two = (app.topic(name, key_type=str, value_type=int, partitions=1) for name in ("one", "two"))
    table = app.table("sums", key_type=str, value_type=int, default=int)
    other = app.table("other", key_type=str, value_type=int, default=int)
    adding(app, one, table, "owner", tables=[table])
    adding(app, two, table, "stranger")

    @app.agent(one, name="poor", tables=[table], on_error=Skip())
    async def poor(stream: AgentStream[str, int]) -> None:
        async for _ in stream:
            other["a"] = 1

    driver = TestDriver(app, topic_partitions=1)
    await driver.start()
    await driver.send("one", key="a", value=1)
    assert "uses table 'other'" in driver.failures[0].error
    with pytest.raises(HandlerError, match="agent 'stranger' uses table 'sums'"):
        await driver.send("two", key="a", value=1)


async def test_a_table_declared_for_another_partition_count_than_its_agents_is_an_error() -> None:
    app = App("tablecount")
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    table = app.table("sums", key_type=str, value_type=int, default=int, partitions=4)
    adding(app, topic, table, tables=[table])
    with pytest.raises(TopologyError, match=r"table 'sums'.*4.*2"):
        await TestDriver(app).start()


async def test_a_key_of_another_partition_is_refused_with_a_proposal() -> None:
    app = App("foreign")
    topic = app.topic("in", key_type=str, value_type=int, partitions=4)
    table = app.table("sums", key_type=str, value_type=int, default=int)
    free = app.table("free", key_type=str, value_type=int, default=int, per_partition=True)

    @app.agent(topic, on_error=Skip())
    async def write(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            free["all"] += value
            if value > 1:
                table["fixed"] += value

    async with TestDriver(app, topic_partitions=4) as driver:
        for partition in range(4):
            await driver.send("in", key=f"k{partition}", value=1, partition=partition)
        states = driver.running.worker.states("free")
        assert {number: state.get("all") for number, state in states.items()} == {0: 1, 1: 1, 2: 1, 3: 1}
        for partition in range(4):
            await driver.send("in", key=f"k{partition}", value=2, partition=partition)
        assert len(driver.failures) == 3
        assert all("group_by" in failure.error for failure in driver.failures)
        assert dict(driver.table("sums")) == {"fixed": 2}


async def test_the_key_of_the_event_may_be_written_whatever_its_partition() -> None:
    app = App("ownkey")
    topic = app.topic("in", key_type=str, value_type=int, partitions=3)
    table = app.table("sums", key_type=str, value_type=int, default=int)
    adding(app, topic, table)
    async with TestDriver(app, topic_partitions=3) as driver:
        for partition in range(3):
            await driver.send("in", key="same", value=1, partition=partition)
        assert [state.get("same") for state in driver.running.worker.states("sums").values()] == [1, 1, 1]


async def test_changes_of_a_table_flow_to_those_who_follow_it() -> None:
    app = App("changes")
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    table = app.table("sums", key_type=str, value_type=int, default=int)
    seen: list[tuple[str, int | None]] = []
    app.stream(table).filter(lambda key, value: value != 3).to(out)

    @app.agent(topic, on_error=Skip())
    async def write(stream: AgentStream[str, int]) -> None:
        async for key, value in stream.items():
            table[key] += value
            if value == 0:
                del table[key]
            if value == 5:
                raise ValueError("five")

    @app.agent(app.stream(table))
    async def follow(stream: AgentStream[str, int]) -> None:
        async for event in stream.events():
            seen.append((event.key, event.value))  # noqa: PERF401  # the loop has no end

    async with TestDriver(app, topic_partitions=2) as driver:
        for number in (1, 2, 5, 0, 7):
            await driver.send("in", key="a", value=number)
        assert values(driver, "out") == [1, None, 7]
        assert seen == [("a", 1), ("a", 3), ("a", 3), ("a", None), ("a", 7)]


async def test_outside_a_handler_a_table_is_looked_up_and_cannot_be_written() -> None:
    app = App("outside")
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    table = app.table("sums", key_type=str, value_type=int, default=int)
    adding(app, topic, table)
    looked: list[int] = []

    @app.timer(interval=1.0)
    async def tick() -> None:
        looked.append(await table.lookup("a") or 0)
        with pytest.raises(NotInHandler, match="lookup"):
            table["a"] = 1

    async with TestDriver(app, topic_partitions=2) as driver:
        await driver.send("in", key="a", value=4)
        await driver.advance(1)
        assert looked == [4]
        assert dict(table.items()) == {"a": 4}
        assert await table.lookup("absent") == 0
        with pytest.raises(NotInHandler):
            table.get("a")


async def test_iterating_while_writing_sees_what_was_there_when_it_began() -> None:
    app = App("iterating")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    table = app.table("sums", key_type=str, value_type=int, default=int)

    @app.agent(topic, sinks=[out])
    async def write(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            table[f"k{value}"] = value
            for key, held in table.items():
                table[key + "x"] = held
            yield len(table)

    async with TestDriver(app, topic_partitions=1) as driver:
        for number in (1, 2):
            await driver.send("in", key="a", value=number)
        assert values(driver, "out") == [2, 5]
