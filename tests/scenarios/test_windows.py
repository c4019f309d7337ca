"""Aggregations in windows as an application runs them: restarts in the middle, late records, silence, windowed keys."""

from pathlib import Path
from typing import Any

import pytest

from streamz_actors import App, Hopping, Topic, Tumbling, Windowed, WindowedTable
from streamz_actors.errors import UsageError
from streamz_actors.testing import TestDriver
from streamz_actors.types import partition_of


@pytest.fixture(params=["memory://", "rocksdb://"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Counting:
    """Counts in windows of 10 ms with 5 ms of grace, unless it is told otherwise."""

    def __init__(self, window: Any = None, *, partitions: int = 1, **options: Any) -> None:
        self.app = App("windows", topic_partitions=1)
        self.orders: Topic[str, int] = self.app.topic("orders", key_type=str, value_type=int, partitions=1)
        self.out: Any = self.app.topic("out", key_type=Windowed[str], value_type=int, partitions=partitions)
        grouped = self.app.stream(self.orders).group_by_key()
        window = window or Tumbling(0.01, grace=0.005)
        self.table: WindowedTable[str, int] = grouped.windowed_by(window).count("counts", **options)
        self.table.to_stream().to(self.out)


async def send(driver: TestDriver, *rows: tuple[str, int]) -> None:
    for key, timestamp in rows:
        await driver.send("orders", key=key, value=1, timestamp=timestamp)


def shown(driver: TestDriver) -> list[tuple[str, int, int, int]]:
    """Key, start, value and timestamp of what came since the last look."""
    return [(row.key.key, row.key.start, row.value, row.timestamp) for row in driver.read("out")]


def late(driver: TestDriver) -> list[tuple[str, int, int]]:
    return [(row.key, row.timestamp, row.stream_time) for row in driver.late]


async def test_windows_and_stream_time_survive_a_restart_in_the_middle(store: str, tmp_path: Path) -> None:
    counting = Counting()
    driver = TestDriver(counting.app, store=store, data_dir=tmp_path)
    await driver.start()
    await send(driver, ("a", 21), ("a", 3), ("b", 27), ("a", 22))
    assert shown(driver) == [("a", 20, 1, 21), ("b", 20, 1, 27), ("a", 20, 2, 22)]
    await driver.stop()
    await driver.start()
    await send(driver, ("a", 19), ("a", 20), ("c", 12))
    assert shown(driver) == [("a", 20, 3, 22)]
    assert late(driver) == [("a", 19, 27), ("c", 12, 27)]
    assert driver.table("counts").windows("a") == [(20, 30, 3, 22)]
    await driver.stop()


async def test_a_window_closes_once_with_all_its_records_whenever_the_worker_restarts(
    store: str, tmp_path: Path
) -> None:
    counting = Counting(emit="close")
    driver = TestDriver(counting.app, store=store, data_dir=tmp_path)
    for rows, closed in (
        ([("a", 3), ("b", 4)], []),
        ([("a", 7), ("a", 14)], []),
        ([("c", 15)], [("a", 0, 2, 7), ("b", 0, 1, 4)]),
        ([("a", 9), ("a", 16), ("d", 90)], [("a", 10, 2, 16), ("c", 10, 1, 15)]),
    ):
        await driver.start()
        await send(driver, *rows)
        assert shown(driver) == closed
        await driver.stop()


async def test_when_input_stops_windows_close_by_the_wall_clock(store: str, tmp_path: Path) -> None:
    counting = Counting(emit="close", close_on_idle=5)
    driver = TestDriver(counting.app, store=store, data_dir=tmp_path)
    await driver.start()
    await send(driver, ("a", 3), ("b", 12))
    await driver.advance(4.999)
    assert shown(driver) == []
    await driver.advance(0.001)
    assert shown(driver) == [("a", 0, 1, 3), ("b", 10, 1, 12)]
    await driver.advance(60)
    assert shown(driver) == []
    await driver.stop()
    await driver.start()
    await send(driver, ("a", 19), ("a", 25))
    assert late(driver) == [("a", 19, 25)]
    await driver.advance(0.001)
    await driver.advance(5)
    assert shown(driver) == [("a", 20, 1, 25)]
    await driver.stop()


async def test_what_is_open_closes_by_the_wall_clock_behind_a_restart_too(store: str, tmp_path: Path) -> None:
    counting = Counting(emit="close", close_on_idle=5)
    driver = TestDriver(counting.app, store=store, data_dir=tmp_path)
    await driver.start()
    await send(driver, ("a", 3))
    await driver.stop()
    await driver.start()
    await driver.advance(1)
    await driver.advance(5)
    assert shown(driver) == [("a", 0, 1, 3)]
    await driver.stop()


async def test_windows_that_nothing_reads_any_longer_leave_the_store(store: str, tmp_path: Path) -> None:
    counting = Counting()
    async with TestDriver(counting.app, store=store, data_dir=tmp_path) as driver:
        for moment in range(0, 1_000, 10):
            await send(driver, ("a", moment), ("b", moment))
        (state,) = driver.running.states("counts").values()
        assert sum(1 for _ in state.logged.store.scan()) <= 8


async def test_windows_are_kept_longer_where_that_is_asked_for(store: str, tmp_path: Path) -> None:
    counting = Counting(retention=0.1)
    async with TestDriver(counting.app, store=store, data_dir=tmp_path) as driver:
        await send(driver, ("a", 5), ("a", 55), ("a", 104))
        assert [row.start for row in driver.table("counts").windows("a")] == [50, 100]
        assert [row.start for row in driver.table("counts").windows("a", 51)] == [100]
        assert await counting.table.lookup_windows("a", to=60) == [(50, 60, 1, 55)]
        assert await counting.table.lookup_windows("nobody") == []
        assert await counting.table.lookup(Windowed("a", 100, 110)) == 1
        assert await counting.table.lookup(Windowed("a", 5, 15)) is None


async def test_a_handler_reads_windows_of_its_partition() -> None:
    counting = Counting(Hopping(0.01, 0.005))
    asked = counting.app.topic("asked", key_type=str, value_type=int, partitions=1)
    table, seen = counting.table, list[Any]()

    @counting.app.agent(asked, tables=[table])
    async def ask(stream):  # type: ignore[no-untyped-def]
        async for start in stream:
            key = Windowed("a", start, start + 10)
            seen.append((table.windows("a"), table.windows("a", to=start), key in table, table.get(key, "none")))

    async with TestDriver(counting.app) as driver:
        await send(driver, ("a", 7), ("a", 3))
        await driver.send(asked, key="a", value=5, timestamp=9)
        await driver.send(asked, key="a", value=10, timestamp=9)
    rows = [(0, 10, 2, 7), (5, 15, 1, 7)]
    assert seen == [(rows, rows[:1], True, 1), (rows, rows, False, "none")]


async def test_a_table_of_windows_is_no_mapping_of_keys() -> None:
    counting = Counting()
    async with TestDriver(counting.app) as driver:
        await send(driver, ("a", 7))
        with pytest.raises(UsageError, match="ask for those of a key"):
            list(counting.table)


async def test_a_windowed_key_goes_to_the_partition_of_its_key() -> None:
    counting = Counting(partitions=4)
    async with TestDriver(counting.app) as driver:
        await send(driver, *((key, moment) for moment in (5, 15, 25) for key in "abcdefgh"))
        rows = driver.read("out")
        assert len(rows) == 24
        assert all(row.partition == partition_of(row.key.key.encode(), 4) for row in rows)
