"""Joins of streams and versioned tables as an application runs them: restarts, late records, failures, handlers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import AgentStream, App, JoinWindow, VersionedTable, current_event
from streamz_actors.errors import HandlerError, TopologyError
from streamz_actors.testing import TestDriver


@pytest.fixture(params=["memory://", "rocksdb://"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def met(left: int | None, right: int | None) -> str:
    return f"{left}+{right}"


class Meeting:
    """Two streams, joined within 10 ms and 5 ms of grace, unless it is told otherwise."""

    def __init__(
        self, kind: str, joiner: Callable[..., Any] = met, within: Any = None, left: Any = None, **options: Any
    ) -> None:
        self.app = App("meeting", topic_partitions=1)
        topics = [self.app.topic(name, key_type=str, value_type=int, partitions=1) for name in ("left", "right")]
        self.out: Any = self.app.topic("out", key_type=str, value_type=str, partitions=1)
        one, other = (self.app.stream(topic) for topic in topics)
        made = getattr(one, kind)(other, joiner, within=within or JoinWindow(0.01, 0.01, grace=0.005), **options)
        made.to(self.out)


async def send(driver: TestDriver, *rows: tuple[str, str | None, int, int]) -> None:
    for topic, key, value, timestamp in rows:
        await driver.send(topic, key=key, value=value, timestamp=timestamp)


def shown(driver: TestDriver) -> list[tuple[str | None, str, int]]:
    return [(row.key, row.value, row.timestamp) for row in driver.read("out")]


# -- two streams


async def test_partners_meet_over_a_restart(store: str, tmp_path: Path) -> None:
    driver = TestDriver(Meeting("join").app, store=store, data_dir=tmp_path)
    await driver.start()
    await send(driver, ("left", "a", 1, 100), ("left", "a", 2, 108), ("left", "b", 3, 100))
    await driver.stop()
    await driver.start()
    await send(driver, ("right", "a", 7, 105), ("right", "b", 8, 111))
    assert shown(driver) == [("a", "1+7", 105), ("a", "2+7", 108)]
    await driver.stop()


@pytest.mark.parametrize("kind", ["left_join", "outer_join"])
async def test_what_waits_for_a_partner_and_the_time_of_both_sides_survive_a_restart(
    kind: str, store: str, tmp_path: Path
) -> None:
    driver = TestDriver(Meeting(kind).app, store=store, data_dir=tmp_path)
    await driver.start()
    await send(driver, ("left", "a", 1, 100), ("right", "b", 2, 101), ("left", "c", 3, 102))
    await send(driver, ("right", "c", 4, 103), ("right", "x", 0, 115))
    assert shown(driver) == [("c", "3+4", 103)]
    await driver.stop()
    await driver.start()
    await send(driver, ("left", "d", 5, 101), ("left", "e", 6, 99))
    assert shown(driver) == [("e", "6+None", 99)]  # stream time is 115, as it was: e's window and the grace are over
    await send(driver, ("right", "a", 6, 109), ("left", "y", 0, 117))
    only_right = [("b", "None+2", 101)] if kind == "outer_join" else []
    assert shown(driver) == [("a", "1+6", 109), *only_right, ("d", "5+None", 101)]
    await driver.stop()


async def test_a_record_that_is_too_late_to_wait_is_reported_and_meets_who_is_still_there() -> None:
    late: list[Any] = []
    meeting = Meeting("join", within=JoinWindow(0.01, 0.01), on_late=late.append)
    async with TestDriver(meeting.app) as driver:
        await send(driver, ("left", "a", 1, 130), ("right", "a", 2, 100), ("left", "a", 3, 110))
        assert shown(driver) == [("a", "3+2", 110)]
        (record,) = driver.late
        assert late == [record]
        assert (record.operator, record.topic, record.offset) == ("join 'left-join-right-met'", "left", 1)
        assert (record.key, record.value, record.timestamp, record.stream_time) == ("a", 3, 110, 130)
        assert record.window_start is None


async def test_records_without_a_key_leave_an_outer_join_alone_and_at_once() -> None:
    async with TestDriver(Meeting("outer_join").app) as driver:
        await send(driver, ("left", None, 1, 100), ("right", None, 2, 100))
        assert shown(driver) == [(None, "1+None", 100), (None, "None+2", 100)]


async def test_an_error_of_a_joiner_says_which_record_it_was() -> None:
    def failing(left: int, right: int) -> str:
        raise ValueError(f"{left} and {right}")

    async with TestDriver(Meeting("join", failing, name="pairs").app) as driver:
        await send(driver, ("left", "a", 1, 100), ("right", "b", 2, 100))
        with pytest.raises(HandlerError, match=r"join 'pairs'.*topic 'right', partition 0, offset 1.*1 and 9"):
            await send(driver, ("right", "a", 9, 100))


async def test_joiners_may_be_slow() -> None:
    async def slow(left: int, right: int) -> str:
        return met(left, right)

    async with TestDriver(Meeting("join", slow).app) as driver:
        await send(driver, ("left", "a", 1, 100), ("right", "a", 2, 100))
        assert shown(driver) == [("a", "1+2", 100)]


async def test_streams_whose_keys_changed_meet_by_the_new_ones() -> None:
    app = App("rekeyed", topic_partitions=2)
    orders = app.topic("orders", key_type=str, value_type=int, partitions=3)
    visits = app.topic("visits", key_type=int, value_type=int, partitions=2)
    out = app.topic("out", key_type=int, value_type=str, partitions=1)
    by_value = app.stream(orders).select_key(lambda _, value: value, key_type=int)
    by_value.join(app.stream(visits), met, within=JoinWindow(1, 1)).to(out)
    async with TestDriver(app) as driver:
        for number in range(6):
            await driver.send("orders", key=f"k{number}", value=number, timestamp=100)
        for number in range(6):
            await driver.send("visits", key=number, value=number, timestamp=200)
        assert sorted(row.value for row in driver.read("out")) == [f"{number}+{number}" for number in range(6)]


def test_a_join_that_cannot_work_is_refused() -> None:
    app = App("refused")
    left = app.stream(app.topic("left", key_type=str, value_type=int, partitions=1))
    right = app.stream(app.topic("right", key_type=int, value_type=int, partitions=1))
    anything: Any = left
    with pytest.raises(TopologyError, match=r"pass within=JoinWindow"):
        anything.join(left, met)
    with pytest.raises(TopologyError, match=r"writes its keys as str, stream 'right' as json"):
        anything.join(right, met, within=JoinWindow(1, 1))
    table: Any = app.table(app.topic("table", key_type=str, value_type=int))
    with pytest.raises(TopologyError, match="is no stream: left_join is for tables"):
        anything.outer_join(table, met, within=JoinWindow(1, 1))
    with pytest.raises(TopologyError, match="within= is for streams"):
        anything.join(table, met, within=JoinWindow(1, 1))
    with pytest.raises(TopologyError, match=r"only a versioned table knows"):
        anything.join(table, met, grace=1)
    with pytest.raises(TopologyError, match=r"no history to wait for"):
        anything.join(app.global_table(app.topic("global", key_type=str, value_type=int)), met, grace=1)
    short = app.table(app.topic("short", key_type=str, value_type=int), versioned=2)
    with pytest.raises(TopologyError, match=r"grace of 3000 ms is longer than its history"):
        anything.join(short, met, grace=3)


# -- versioned tables


def prices_app() -> tuple[App, VersionedTable[str, int]]:
    app = App("prices")
    prices: VersionedTable[str, int] = app.table(
        app.topic("prices", key_type=str, value_type=int, partitions=1), versioned=1
    )
    return app, prices


async def test_what_a_table_was_survives_a_restart(store: str, tmp_path: Path) -> None:
    app, prices = prices_app()
    orders = app.topic("orders", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=str, partitions=1)
    app.stream(orders).left_join(prices, met, grace=0.01).to(out)
    driver = TestDriver(app, store=store, data_dir=tmp_path)
    await driver.start()
    await send(driver, ("prices", "a", 5, 100), ("prices", "a", 6, 120), ("orders", "a", 1, 110))
    assert shown(driver) == []
    await driver.stop()
    await driver.start()
    await send(driver, ("prices", "a", 7, 108), ("orders", "a", 2, 125))
    await send(driver, ("orders", "b", 3, 119), ("prices", "a", 8, 90))
    assert shown(driver) == [("a", "1+7", 110)]
    await send(driver, ("orders", "a", 4, 2_000), ("prices", "a", 9, 2_000), ("prices", "a", 0, 900))
    assert shown(driver) == [("b", "3+None", 119), ("a", "2+6", 125)]
    assert [(record.operator, record.timestamp) for record in driver.late] == [("table 'prices'", 900)]
    assert driver.table("prices")["a"] == 9
    await driver.stop()


async def test_a_handler_asks_what_a_key_held_at_a_time() -> None:
    app, prices = prices_app()
    asked = app.topic("asked", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=Any, partitions=1)

    @app.agent(asked, sinks=[out], tables=[prices])
    async def answer(stream: AgentStream[str, int]) -> Any:
        async for key, time in stream.items():
            assert current_event().timestamp == 300
            yield [prices.at(key, time), prices.get(key), [tuple(version) for version in prices.versions(key)]]

    async with TestDriver(app) as driver:
        await send(driver, ("prices", "a", 5, 100), ("prices", "a", 7, 200), ("prices", "a", 6, 150))
        history = [[100, 150, 5, 100], [150, 200, 6, 150]]
        for time, held in ((99, None), (100, 5), (149, 5), (199, 6), (200, 7), (999, 7)):
            await driver.send("asked", key="a", value=time, timestamp=300)
            assert driver.read("out")[0].value == [held, 7, history]
        await driver.send("prices", key="a", value=None, timestamp=250)
        await driver.send("asked", key="a", value=260, timestamp=300)
        assert driver.read("out")[0].value == [None, None, [*history, [200, 250, 7, 200]]]
        assert await prices.lookup("a") is None
        assert [await prices.lookup("a", at=time) for time in (99, 100, 160, 249, 250)] == [None, 5, 6, 7, None]
        await driver.send("prices", key="a", value=8, timestamp=400)
        assert [await prices.lookup("a", at=time) for time in (300, 400, 500)] == [None, 8, 8]


async def test_those_who_follow_its_latest_values_see_no_changes_of_the_past() -> None:
    app, prices = prices_app()
    every = app.topic("every", key_type=str, value_type=int, partitions=1)
    even = app.topic("even", key_type=str, value_type=int, partitions=1)
    prices.to_stream().to(every)
    prices.filter(lambda _, price: price % 2 == 0).to_stream().to(even)
    prices.filter(lambda _, price: price % 2 == 0, name="kept")
    async with TestDriver(app) as driver:
        await send(driver, ("prices", "a", 4, 100), ("prices", "a", 2, 50), ("prices", "a", 6, 120))
        assert [row.value for row in driver.read("every")] == [4, 2, 6]
        assert [row.value for row in driver.read("even")] == [4, 2, 6]
        assert driver.table("kept").timestamp("a") == 120
        await send(driver, ("prices", "a", 8, 110))
        assert dict(driver.table("kept")) == {"a": 6}


async def test_a_stream_becomes_a_versioned_table() -> None:
    app = App("versions")
    stream = app.stream(app.topic("prices", key_type=str, value_type=int, partitions=1))
    table = stream.map_values(lambda value: 10 * value).to_table("tens", versioned=1)
    async with TestDriver(app) as driver:
        await send(driver, ("prices", "a", 1, 100), ("prices", "a", 2, 200))
        assert await table.lookup("a", at=150) == 10
        assert driver.table("tens-history").windows("a") == [(100, 200, 10, 100)]


def test_a_versioned_table_is_declared_once_or_alike() -> None:
    app, prices = prices_app()
    topic = next(topic for topic in app.topics if topic.name == "prices")
    assert app.table(topic, versioned=1).node.parents == prices.node.parents
    with pytest.raises(TopologyError, match="with another history"):
        app.table(topic, versioned=2)
    with pytest.raises(TopologyError, match=r"versioned= is for the table of a topic"):
        app.table("written", key_type=str, versioned=1)


async def test_a_record_without_a_value_is_skipped_before_its_key_in_a_global_table_is_asked_for() -> None:
    app = App("places", topic_partitions=1)
    orders = app.topic("orders", key_type=str, value_type=dict[str, str], partitions=1)
    cities = app.global_table(app.topic("cities", key_type=str, value_type=str, partitions=1))
    out = app.topic("out", key_type=str, value_type=str, partitions=1)
    joined = app.stream(orders).left_join(
        cities, lambda order, city: f"{order['city']}: {city}", key=lambda key, order: order["city"]
    )
    joined.to(out)
    async with TestDriver(app) as driver:
        await driver.send("cities", key="C", value="Cologne")
        await driver.send("orders", key="1", value=None)
        await driver.send("orders", key="2", value={"city": "C"})
        await driver.send("orders", key="3", value={"city": "D"})
        assert [(row.key, row.value) for row in driver.read("out")] == [("2", "C: Cologne"), ("3", "D: None")]
