"""Queries of a running application: what its handlers wrote, at once."""

from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.errors import DecodeError, EncodeError, NotReady, UsageError
from streamz_actors.query.anywhere import Queries
from streamz_actors.tasks.task import TaskStatus
from streamz_actors.testing import TestDriver
from streamz_actors.types import partition_of


def shop() -> App:
    app = App("shop", topic_partitions=4)
    orders = app.topic("orders", key_type=str, value_type=int)
    rates = app.topic("rates", key_type=str, value_type=float, compacting=True)
    app.global_table(rates)
    totals = app.table("totals", key_type=str, value_type=int, default=int)
    tags = app.set_table("tags", key_type=str, value_type=int)
    seen = app.table("seen", key_type=str, value_type=int, default=int, per_partition=True)
    anything = app.table("anything", per_partition=True)
    numbers = app.table("numbers", key_type=int, value_type=int, per_partition=True)

    @app.agent(orders)
    async def add(stream):  # type: ignore[no-untyped-def]
        async for event in stream.events():
            totals[event.key] += event.value
            tags[event.key].add(event.value)
            seen["all"] += 1
            anything[event.value] = event.key
            numbers[event.value] = event.value

    return app


def queries(driver: TestDriver) -> Queries:
    return driver.running.queries


PLACE = partition_of(b"alice", 4)
ELSEWHERE = (PLACE + 1) % 4


async def test_a_key_has_value_time_partition_and_worker() -> None:
    async with TestDriver(shop()) as driver:
        await driver.send("orders", key="alice", value=5, timestamp=1_000)
        await driver.send("orders", key="alice", value=7, timestamp=2_000)
        found = await queries(driver).get("totals", "alice")
        assert found is not None
        assert (found.key, found.value, found.timestamp) == ("alice", 12, 2_000)
        assert (found.partition, found.worker, found.gathered) == (PLACE, "driver", False)


async def test_an_absent_key_is_none_and_many_keep_their_order() -> None:
    async with TestDriver(shop()) as driver:
        await driver.send("orders", key="alice", value=5)
        assert await queries(driver).get("totals", "bob") is None
        values = [found and found.value for found in await queries(driver).many("totals", ["bob", "alice", "bob"])]
        assert values == [None, 5, None]


async def test_a_key_that_its_producer_put_elsewhere_is_found() -> None:
    async with TestDriver(shop()) as driver:
        await driver.send("orders", key="alice", value=5, partition=ELSEWHERE)
        found = await queries(driver).get("totals", "alice")
        assert found is not None
        assert (found.value, found.partition) == (5, ELSEWHERE)


async def test_a_set_table_answers_with_sets() -> None:
    async with TestDriver(shop()) as driver:
        for value in (3, 1):
            await driver.send("orders", key="alice", value=value)
        found = await queries(driver).get("tags", "alice")
        assert found is not None
        assert found.value == {1, 3}


async def test_a_table_with_a_value_per_partition_gathers_them() -> None:
    async with TestDriver(shop()) as driver:
        await driver.send("orders", key="alice", value=1, timestamp=1_000)
        await driver.send("orders", key="alice", value=1, timestamp=2_000)
        await driver.send("orders", key="alice", value=1, timestamp=1_500, partition=ELSEWHERE)
        found = await queries(driver).get("seen", "all")
        assert found is not None
        assert (found.value, found.gathered) == ({PLACE: 2, ELSEWHERE: 1}, True)
        assert (found.timestamp, found.partition) == (2_000, None)
        assert await queries(driver).get("seen", "none") is None
        ((row,), _) = await queries(driver).entries("seen")
        assert (row.key, row.value, row.gathered) == ("all", {PLACE: 2, ELSEWHERE: 1}, True)


async def test_a_global_table_is_one_place() -> None:
    async with TestDriver(shop()) as driver:
        for key in ("EUR", "USD", "CHF"):
            await driver.send("rates", key=key, value=1.5, timestamp=7)
        found = await queries(driver).get("rates", "USD")
        assert found is not None
        assert (found.value, found.timestamp, found.partition) == (1.5, 7, None)
        assert [row.key for row in (await queries(driver).entries("rates"))[0]] == ["CHF", "EUR", "USD"]


async def test_entries_are_in_key_order_over_all_partitions() -> None:
    async with TestDriver(shop()) as driver:
        names = [f"k{number:02}" for number in range(20)]
        for name in reversed(names):
            await driver.send("orders", key=name, value=1)
        first, cursor = await queries(driver).entries("totals", start="k03", stop="k18", limit=10)
        rest, end = await queries(driver).entries("totals", start="k03", stop="k18", limit=10, cursor=cursor)
        assert [row.key for row in first + rest] == names[3:18]
        assert end is None
        assert [row.key for row in (await queries(driver).entries("totals", prefix="k1"))[0]] == names[10:]


@pytest.mark.parametrize(
    ("table", "text", "key"), [("totals", "alice", "alice"), ("numbers", "5", 5), ("anything", "5", 5)]
)
async def test_a_key_out_of_a_url_is_of_the_tables_type(table: str, text: str, key: Any) -> None:
    async with TestDriver(shop()) as driver:
        await driver.send("orders", key="alice", value=5)
        found = await queries(driver).get_text(table, text)
        assert found is not None
        assert found.key == key
        assert await queries(driver).get_text(table, "77") is None


async def test_what_can_be_no_key_is_refused() -> None:
    async with TestDriver(shop()) as driver:
        with pytest.raises(DecodeError, match=r"'alice' is no key of table 'numbers' \(int\)"):
            await queries(driver).get_text("numbers", "alice")
        with pytest.raises(EncodeError):
            await queries(driver).get("totals", 5)
        with pytest.raises(UsageError, match="None is no key"):
            await queries(driver).get("totals", None)
        with pytest.raises(UsageError, match="they have no prefix"):
            await queries(driver).entries("numbers", prefix="1")


async def test_tables_are_listed_with_types_and_what_is_here() -> None:
    async with TestDriver(shop()) as driver:
        await driver.send("rates", key="EUR", value=1.5)
        tables = {table.name: table for table in queries(driver).local.tables()}
        assert list(tables) == ["anything", "numbers", "rates", "seen", "tags", "totals"]
        assert (tables["totals"].key_type, tables["totals"].value_type) == ("str", "int")
        assert (tables["totals"].partitions, tables["totals"].here) == (4, (0, 1, 2, 3))
        assert (tables["rates"].kind, tables["rates"].partitions, tables["rates"].count) == ("global", 1, 1)
        assert tables["tags"].value_type == "set[int]"
        assert tables["seen"].per_partition


async def test_while_a_partition_is_restored_the_others_answer_for_the_keys_they_have() -> None:
    async with TestDriver(shop()) as driver:
        await driver.send("orders", key="alice", value=5)
        task = next(task for task in driver.running.worker.tasks.values() if task.partition == ELSEWHERE)
        task.status = TaskStatus.RESTORING
        found = await queries(driver).get("totals", "alice")
        assert found is not None
        others = [f"k{number}" for number in range(40)]
        assert ELSEWHERE in {partition_of(key.encode(), 4) for key in others}
        for key in others:
            with pytest.raises(NotReady):
                await queries(driver).get("totals", key)
        task.status = TaskStatus.RUNNING
