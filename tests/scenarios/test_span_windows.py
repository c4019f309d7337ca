"""Sessions, sliding windows and groups of several streams go on after a restart as if there had been none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import App, Session, Sliding, Tumbling, Windowed
from streamz_actors.testing import TestDriver

Record = tuple[str, str, int, int]
"""Topic, key, value, timestamp."""


def add(key: str, value: int, total: int) -> int:
    return total + value


def subtract(key: str, value: int, total: int) -> int:
    return total - value


def both(key: str, one: int, two: int) -> int:
    return one + two


def windowed(window: Any, **options: Any) -> Callable[[Any, Any], Any]:
    merger = {"merger": both} if isinstance(window, Session) else {}

    def declare(one: Any, two: Any) -> Any:
        return one.group_by_key().windowed_by(window).aggregate(int, add, "totals", **merger, **options)

    return declare


def cogrouped(window: Any = None) -> Callable[[Any, Any], Any]:
    def declare(one: Any, two: Any) -> Any:
        groups = one.group_by_key().cogroup(add).cogroup(two.group_by_key(), subtract)
        if window is None:
            return groups.aggregate(int, "totals")
        merger = {"merger": both} if isinstance(window, Session) else {}
        return groups.windowed_by(window).aggregate(int, "totals", **merger)

    return declare


KINDS = {
    "sessions": windowed(Session(0.010, grace=0.005)),
    "closed sessions": windowed(Session(0.010, grace=0.005), emit="close"),
    "sliding windows": windowed(Sliding(0.010, grace=0.005)),
    "closed sliding windows": windowed(Sliding(0.010, grace=0.005), emit="close"),
    "groups": cogrouped(),
    "groups in sessions": cogrouped(Session(0.010, grace=0.005)),
    "groups in sliding windows": cogrouped(Sliding(0.010, grace=0.005)),
    "groups in tumbling windows": cogrouped(Tumbling(0.010, grace=0.005)),
}

RECORDS: list[Record] = [
    ("one", "a", 1, 100),
    ("two", "a", 2, 104),
    ("one", "b", 3, 107),
    ("one", "a", 4, 112),
    ("two", "b", 5, 120),
    # The worker is started anew here.
    ("one", "a", 6, 108),
    ("one", "b", 7, 93),  # late for what has seen 112, not for what begins anew
    ("two", "b", 8, 103),
    ("two", "a", 9, 122),
    ("one", "a", 10, 131),
    ("one", "b", 11, 118),
    ("one", "b", 12, 190),
    ("two", "b", 13, 191),
]


def app_of(kind: str) -> App:
    app = App("spans", topic_partitions=1)
    one = app.topic("one", key_type=str, value_type=int, partitions=1)
    two = app.topic("two", key_type=str, value_type=int, partitions=1)
    key_type = str if kind == "groups" else Windowed[str]
    out = app.topic("out", key_type=key_type, value_type=int, partitions=1)
    KINDS[kind](app.stream(one), app.stream(two)).to_stream().to(out)
    return app


async def results(
    kind: str, store: str, data_dir: Path, restart_before: int | None
) -> tuple[list[tuple[Any, Any, int]], set[int]]:
    """What came out, and the times of late records since the last start."""
    found: list[tuple[Any, Any, int]] = []
    async with TestDriver(app_of(kind), store=store, data_dir=data_dir) as driver:
        for number, (topic, key, value, timestamp) in enumerate(RECORDS):
            if number == restart_before:
                await driver.stop()
                await driver.start()
            await driver.send(topic, key=key, value=value, timestamp=timestamp)
            found += [(record.key, record.value, record.timestamp) for record in driver.read("out")]
        return found, {late.timestamp for late in driver.late}


@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_restart_in_the_middle_changes_nothing(kind: str, store: str, tmp_path: Path) -> None:
    unbroken, late = await results(kind, store, tmp_path / "unbroken", None)
    assert unbroken
    assert (93 in late) == (kind != "groups")
    assert await results(kind, store, tmp_path / "broken", 5) == (unbroken, late)


async def test_sessions_close_by_the_wall_clock_when_input_stops() -> None:
    app = App("idle", topic_partitions=1)
    visits = app.topic("visits", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=Windowed[str], value_type=int, partitions=1)
    sessions = app.stream(visits).group_by_key().windowed_by(Session(30))
    sessions.count("visits", emit="close", close_on_idle=5).to_stream().to(out)
    async with TestDriver(app) as driver:
        await driver.send("visits", key="ann", value=1, timestamp=1_000)
        await driver.send("visits", key="ann", value=1, timestamp=9_000)
        await driver.advance(seconds=4.9)
        assert driver.read("out") == []
        await driver.advance(seconds=0.2)
        (closed,) = driver.read("out")
        assert (closed.key, closed.value, closed.timestamp) == (Windowed("ann", 1_000, 9_000), 2, 9_000)
        await driver.send("visits", key="ann", value=1, timestamp=8_000)
        assert [late.timestamp for late in driver.late] == [8_000]
        await driver.send("visits", key="ann", value=1, timestamp=60_000)
        await driver.advance(seconds=6)
        assert [record.key for record in driver.read("out")] == [Windowed("ann", 60_000, 60_000)]


@pytest.mark.parametrize(
    ("window", "held"),
    [(Session(0.010), [(100, 104, 2)]), (Sliding(0.010), [(90, 100, 1), (94, 104, 2), (101, 111, 1)])],
)
async def test_windows_are_looked_up_in_handlers_and_from_outside(window: Any, held: list[Any]) -> None:
    app = App("look", topic_partitions=1)
    one = app.topic("one", key_type=str, value_type=int, partitions=1)
    asked = app.topic("asked", key_type=str, value_type=int, partitions=1)
    counts = app.stream(one).group_by_key().windowed_by(window).count("counts")
    seen: list[Any] = []

    @app.agent(asked, tables=[counts])
    async def look(stream: Any) -> None:
        async for event in stream.events():
            seen.extend(counts.windows(event.key))

    async with TestDriver(app) as driver:
        for timestamp in (100, 104):
            await driver.send("one", key="a", value=1, timestamp=timestamp)
        await driver.send("asked", key="a", value=0, timestamp=105)
        rows = await counts.lookup_windows("a")
        assert [(row.start, row.end, row.value) for row in rows] == held
        assert seen == rows == driver.table("counts").windows("a")
        assert await counts.lookup(Windowed("a", rows[0].start, rows[0].end)) == rows[0].value
