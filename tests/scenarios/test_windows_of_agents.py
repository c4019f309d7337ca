"""Tables of windows that handlers write: which windows a write reaches, what is read, closes, expires, survives."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import AgentStream, App, Hopping, Record, Retry, Session, Skip, Sliding, Tumbling, Windowed
from streamz_actors.errors import TopologyError, UsageError
from streamz_actors.testing import TestDriver
from tests.scenarios.support import Site, ended, values

SECOND = 1_000


def counting(window: Any, **options: Any) -> tuple[App, Any, list[Any]]:
    """Counts events by key; each handler's view goes to the list."""
    app = App("windows")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    table = app.table("counts", key_type=str, value_type=int, default=int, windowed=window, **options)
    seen: list[Any] = []

    @app.agent(source)
    async def count(stream: AgentStream[str, int]) -> None:
        async for key, value in stream.items():
            table[key] += value
            seen.append(table[key].current())

    return app, table, seen


async def play(app: App, *events: tuple[str, int, int]) -> Any:
    """Sends events (key, value, seconds) and gives what the table's key `a` holds at the end."""
    async with TestDriver(app) as driver:
        for key, value, seconds in events:
            await driver.send("in", key=key, value=value, timestamp=round(seconds * SECOND))
        return [(row.start // SECOND, row.end // SECOND, row.value) for row in driver.table("counts").windows("a")]


async def test_a_write_goes_to_the_tumbling_window_of_its_event() -> None:
    app, _, seen = counting(Tumbling(10))
    found = await play(app, ("a", 1, 3), ("a", 2, 9), ("b", 5, 9), ("a", 1, 10), ("a", 1, 4))
    assert found == [(0, 10, 4), (10, 20, 1)]
    assert seen == [1, 3, 5, 1, 4]


async def test_a_write_goes_to_every_hopping_window_that_holds_its_event() -> None:
    app, _, seen = counting(Hopping(10, 5))
    found = await play(app, ("a", 1, 3), ("a", 2, 7), ("a", 4, 12))
    assert found == [(0, 10, 3), (5, 15, 6), (10, 20, 4)]
    assert seen == [1, 3, 6]  # of the oldest window that holds the event


async def test_sessions_grow_and_become_one() -> None:
    app, _, seen = counting(Session(10))
    found = await play(app, ("a", 1, 0), ("a", 2, 25), ("a", 4, 30), ("a", 8, 15), ("a", 16, 60))
    assert found == [(15, 30, 14), (60, 60, 16)] or found == [(0, 0, 1), (15, 30, 14), (60, 60, 16)]
    assert seen == [1, 2, 6, 14, 16]


async def test_the_current_sliding_window_holds_what_was_up_to_its_size_before_the_event() -> None:
    app, _, seen = counting(Sliding(10))
    await play(app, ("a", 1, 0), ("a", 2, 5), ("a", 4, 10), ("a", 8, 11), ("a", 16, 30), ("a", 32, 12))
    assert seen == [1, 3, 7, 14, 16, 46]


async def test_windows_can_be_smaller_than_a_second() -> None:
    app, _, seen = counting(Tumbling(timedelta(milliseconds=5)))
    async with TestDriver(app) as driver:
        for timestamp in (0, 4, 5, 9, 10):
            await driver.send("in", key="a", value=1, timestamp=timestamp)
    assert seen == [1, 2, 1, 2, 1]


async def test_a_handler_reads_other_windows_than_the_current() -> None:
    app = App("reads")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    table = app.table("t", key_type=str, value_type=int, default=int).tumbling(10, expires=100)
    seen: list[Any] = []

    @app.agent(source)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for key, value in stream.items():
            table[key] = value
            windows = table[key]
            then = datetime.fromtimestamp(2, UTC)
            seen.append((windows.delta(10), windows.at(2_000), windows.at(then), windows.now()))
            seen.append([row.value for row in windows.windows(5_000, 15_000)])
            seen.append((key in table, "other" in table))
            if value == 3:
                del table[key]
                seen.append((key in table, table[key].current()))

    async with TestDriver(app) as driver:
        await driver.advance(12.0)
        for value in (1, 2, 3):
            await driver.send("in", key="a", value=value, timestamp=value * 10 * SECOND - 9 * SECOND)
    assert seen == [
        (0, 1, 1, 0),
        [],
        (True, False),
        (1, 1, 1, 2),
        [2],
        (True, False),
        (2, 1, 1, 2),
        [2],
        (True, False),
        (False, 0),
    ]


async def test_what_time_it_is_can_be_the_wall_clock_or_a_field() -> None:
    class Trip(Record):
        at: int
        begun: datetime

    app = App("relative")
    source = app.topic("in", key_type=str, value_type=Trip, partitions=1)
    tables = {
        "now": app.table("now", key_type=str, value_type=int, default=int).tumbling(10).relative_to_now(),
        "at": app.table("at", key_type=str, value_type=int, default=int).tumbling(10).relative_to_field("at"),
        "begun": app.table("begun", key_type=str, value_type=int, default=int)
        .tumbling(10)
        .relative_to_field(lambda trip: trip.begun),
        "stream": app.table("stream", key_type=str, value_type=int, default=int).tumbling(10).relative_to_stream(),
    }

    @app.agent(source)
    async def handle(stream: AgentStream[str, Trip]) -> None:
        async for event in stream.events():
            for table in tables.values():
                table[event.key] += 1

    async with TestDriver(app) as driver:
        await driver.advance(42)
        trip = Trip(21 * SECOND, datetime.fromtimestamp(33, UTC))
        await driver.send("in", key="a", value=trip, timestamp=11 * SECOND)
        starts = {name: [row.start // SECOND for row in driver.table(name).windows("a")] for name in tables}
    assert starts == {"now": [40], "at": [20], "begun": [30], "stream": [10]}


@pytest.mark.parametrize(
    ("window", "closed"),
    [
        (Tumbling(10, grace=2), [("a", 0, 10, 3), ("b", 0, 10, 4), ("a", 10, 20, 8)]),
        (Session(5, grace=2), [("b", 2, 2, 4), ("a", 1, 4, 3), ("a", 11, 11, 8)]),
        (
            Sliding(3, grace=2),
            [("a", 0, 3, 1), ("b", 0, 3, 4), ("a", 1, 4, 3), ("a", 1, 4, 2), ("a", 8, 11, 8)],
        ),
    ],
    ids=str,
)
async def test_what_has_closed_is_told_once_in_the_order_of_closing(window: Any, closed: list[Any]) -> None:
    told: list[Any] = []

    def close(key: Windowed[str], value: int) -> None:
        told.append((key.key, key.start // SECOND, key.end // SECOND, value))

    app, _, _ = counting(window, on_window_close=close)
    await play(app, ("a", 1, 1), ("b", 4, 2), ("a", 2, 4), ("a", 8, 11), ("z", 16, 100), ("z", 16, 101))
    assert told == closed


async def test_a_write_that_comes_too_late_is_reported_and_changes_nothing() -> None:
    app, _, _ = counting(Tumbling(10, grace=5), on_window_close=lambda key, value: None)
    async with TestDriver(app) as driver:
        for value, seconds in ((1, 3), (2, 14), (4, 9), (8, 15), (16, 9)):
            await driver.send("in", key="a", value=value, timestamp=seconds * SECOND)
        assert [row.value for row in driver.table("counts").windows("a")] == [5, 10]
        (late,) = driver.late
    assert (late.operator, late.offset, late.window_start, late.window_end) == ("table 'counts'", 4, 0, 10 * SECOND)
    assert (late.key, late.value, late.stream_time) == ("a", 16, 15 * SECOND)


async def test_without_somebody_to_tell_a_window_takes_writes_until_it_expires() -> None:
    app, _, _ = counting(Tumbling(10), expires=20)
    assert await play(app, ("a", 1, 3), ("b", 1, 29), ("a", 1, 3), ("b", 1, 30), ("a", 1, 3)) == []
    async with TestDriver(app) as driver:
        for key, seconds in (("a", 3), ("b", 29), ("a", 3)):
            await driver.send("in", key=key, value=1, timestamp=seconds * SECOND)
        assert [row.value for row in driver.table("counts").windows("a")] == [2]
        assert driver.late == []
        for key, seconds in (("b", 30), ("a", 3)):
            await driver.send("in", key=key, value=1, timestamp=seconds * SECOND)
        assert len(driver.late) == 1


@pytest.mark.parametrize("window", [Tumbling(10), Hopping(10, 5), Session(10), Sliding(10)], ids=str)
async def test_a_failed_attempt_leaves_every_window_as_it_was(window: Any) -> None:
    app = App("undone")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    table = app.table("counts", key_type=str, value_type=int, default=int, windowed=window)
    fails = True

    @app.agent(source, on_error=Retry(2, 0.1, then=Skip()))
    async def count(stream: AgentStream[str, int]) -> None:
        nonlocal fails
        async for key, value in stream.items():
            table[key] += value
            if value == 4 or (value == 2 and fails):
                fails = False
                raise ValueError(value)

    async with TestDriver(app) as driver:
        for value, seconds in ((1, 3), (2, 8), (4, 60)):
            await driver.send("in", key="a", value=value, timestamp=seconds * SECOND)
            await driver.advance(1)
        assert max(row.value for row in driver.table("counts").windows("a")) == 3
        assert all(row.start < 10 * SECOND for row in driver.table("counts").windows("a"))


@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
@pytest.mark.parametrize("window", [Tumbling(10), Hopping(10, 5), Session(10), Sliding(10)], ids=str)
async def test_windows_and_their_time_survive_a_restart(window: Any, store: str, tmp_path: Path) -> None:
    events = [(1, 2), (2, 6), (4, 11), (8, 5), (16, 13), (32, 40), (64, 8)]
    told: list[Any] = []

    def close(key: Windowed[str], value: int) -> None:
        told.append((key, value))

    async def run(site: Site, *parts: Any) -> list[Any]:
        late: list[Any] = []
        told.clear()
        for part in parts:
            app, _, _ = counting(window, on_window_close=close)
            running, life = await site.begin(app)
            for value, seconds in part:
                running.collector.send("in", b"a", str(value).encode(), seconds * SECOND)
                await site.settle(running)
            state = running.worker.tasks["in-0"].own["counts"]
            assert state.spec.layout is not None
            held = state.spec.layout.windows(state.logged, state.encode_key("a"), None, None)
            late += running.worker.late
            await ended(running, life, site.clock)
        return [held, late, list(told)]

    whole = await run(Site(store, tmp_path / "whole"), events)
    for cut in (3, 6):
        assert await run(Site(store, tmp_path / str(cut)), events[:cut], events[cut:]) == whole
    assert len(whole[1]) > 0
    assert len(whole[2]) > 0


async def test_changes_of_windows_are_a_stream() -> None:
    app, table, _ = counting(Tumbling(10))
    out = app.topic("out", key_type=Windowed[str], value_type=int, partitions=1)
    app.stream(table).to(out)
    async with TestDriver(app) as driver:
        for value, seconds in ((1, 3), (2, 9), (4, 10)):
            await driver.send("in", key="a", value=value, timestamp=seconds * SECOND)
        assert [(record.key, record.value, record.timestamp) for record in driver.read("out")] == [
            (Windowed("a", 0, 10 * SECOND), 1, 3 * SECOND),
            (Windowed("a", 0, 10 * SECOND), 3, 9 * SECOND),
            (Windowed("a", 10 * SECOND, 20 * SECOND), 4, 10 * SECOND),
        ]


async def test_values_that_can_be_changed_in_place_are_not_shared() -> None:
    app = App("lists")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=list, partitions=1)
    table = app.table("lists", key_type=str, value_type=list, default=list, windowed=Hopping(10, 5))

    @app.agent(source, sinks=[out])
    async def gather(stream: AgentStream[str, int]) -> AsyncIterator[list[int]]:
        async for key, value in stream.items():
            table[key] += [value]
            table[key].current().append("scribble")
            yield table[key].current()

    async with TestDriver(app) as driver:
        for value, seconds in ((1, 3), (2, 7)):
            await driver.send("in", key="a", value=value, timestamp=seconds * SECOND)
        assert values(driver, "out") == [[1], [1, 2]]
        assert [row.value for row in driver.table("lists").windows("a")] == [[1, 2], [2]]


async def test_windows_are_looked_up_from_anywhere() -> None:
    app, table, _ = counting(Tumbling(10))
    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=5, timestamp=3 * SECOND)
        (row,) = await table.lookup_windows("a")
        assert (row.start, row.end, row.value, row.timestamp) == (0, 10 * SECOND, 5, 3 * SECOND)
        assert await table.lookup_windows("a", 5 * SECOND) == []
        with pytest.raises(UsageError, match="lookup_windows"):
            await table.lookup("a")
        with pytest.raises(UsageError, match=r"t\[key\]\.windows\(\)"):
            list(table)


def test_what_makes_no_sense_is_said() -> None:
    app = App("wrong")
    source = app.topic("in", key_type=str, value_type=int)
    with pytest.raises(TopologyError, match="windowed_by"):
        app.table(source).tumbling(10)
    with pytest.raises(TopologyError, match="merger= is for sessions"):
        app.table("t", windowed=Tumbling(10), merger=max)
    followed = app.table("followed", key_type=str, value_type=int)
    app.stream(followed)
    with pytest.raises(TopologyError, match="in use already"):
        followed.tumbling(10)
    with pytest.raises(TopologyError, match="windowed_by"):
        app.stream(app.table("sessions", value_type=int).session(10))
    plain: Any = "plain"
    with pytest.raises(TopologyError, match="is none of"):
        app.table("u", windowed=plain)
