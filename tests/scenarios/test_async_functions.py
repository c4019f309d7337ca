"""Every function that the DSL takes may be `async def`: with either kind the same records come out."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from streamz_actors import App, Hopping, JoinWindow, Session, Sliding, Tumbling
from streamz_actors.errors import TopologyError
from streamz_actors.testing import TestDriver

Make = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What makes a function one of the two kinds."""


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapped(*arguments: Any) -> Any:
        await asyncio.sleep(0)
        return function(*arguments)

    return wrapped


def add(one: Any, two: Any) -> Any:
    return (one or 0) + (two or 0)


def fold(key: Any, value: Any, aggregate: Any) -> Any:
    return aggregate + (value or 0)


def unfold(key: Any, value: Any, aggregate: Any) -> Any:
    return aggregate - value


def merge(key: Any, one: Any, two: Any) -> Any:
    return one + two


def zero() -> int:
    return 0


def swapped(key: Any, value: Any) -> Any:
    return f"k{value % 2}", value


def of_value(key: Any, value: Any) -> str:
    return f"k{value % 2}"


def even(key: Any, value: Any) -> bool:
    return value % 2 == 0  # type: ignore[no-any-return]  # of integers


Case = Callable[[Any, Any, Any, Make], Any]
"""Of the app, two topics and what makes a function: the stream or table that comes out."""


WITHIN = JoinWindow(10, 10)

CASES: dict[str, Case] = {
    "map": lambda app, left, right, f: app.stream(left).map(f(swapped)),
    "map_values": lambda app, left, right, f: app.stream(left).map_values(f(lambda value: value + 1)),
    "flat_map": lambda app, left, right, f: app.stream(left).flat_map(f(lambda key, value: [(key, value)] * 2)),
    "flat_map_values": lambda app, left, right, f: app.stream(left).flat_map_values(f(lambda value: [value, value])),
    "filter": lambda app, left, right, f: app.stream(left).filter(f(even)),
    "filter_not": lambda app, left, right, f: app.stream(left).filter_not(f(even)),
    "select_key": lambda app, left, right, f: app.stream(left).select_key(f(of_value)),
    "peek": lambda app, left, right, f: app.stream(left).peek(f(lambda key, value: None)),
    "split": lambda app, left, right, f: app.stream(left).split().branch(f(even), "even").default("odd")["odd"],
    "group_by": lambda app, left, right, f: app.stream(left).group_by(f(of_value)).count(),
    "reduce": lambda app, left, right, f: app.stream(left).group_by_key().reduce(f(add)),
    "aggregate": lambda app, left, right, f: app.stream(left).group_by_key().aggregate(zero, f(fold)),
    "tumbling": lambda app, left, right, f: app.stream(left).group_by_key().windowed_by(Tumbling(2)).reduce(f(add)),
    "hopping": lambda app, left, right, f: (
        app.stream(left).group_by_key().windowed_by(Hopping(4, 2)).aggregate(zero, f(fold), emit="close")
    ),
    "sliding": lambda app, left, right, f: (
        app.stream(left).group_by_key().windowed_by(Sliding(2)).aggregate(zero, f(fold))
    ),
    "session": lambda app, left, right, f: (
        app.stream(left).group_by_key().windowed_by(Session(2)).aggregate(zero, f(fold), merger=f(merge))
    ),
    "cogroup": lambda app, left, right, f: (
        app.stream(left)
        .group_by_key()
        .cogroup(f(fold))
        .cogroup(app.stream(right).group_by_key(), f(fold))
        .aggregate(zero)
    ),
    "join with a table": lambda app, left, right, f: app.stream(left).join(app.table(right), f(add)),
    "left_join with a table": lambda app, left, right, f: app.stream(left).left_join(app.table(right), f(add)),
    "join with a versioned table": lambda app, left, right, f: app.stream(left).join(
        app.table(right, versioned=60), f(add), grace=1
    ),
    "join with a global table": lambda app, left, right, f: app.stream(left).join(
        app.global_table(right), f(add), key=f(lambda key, value: key)
    ),
    "join of streams": lambda app, left, right, f: app.stream(left).join(app.stream(right), f(add), within=WITHIN),
    "left_join of streams": lambda app, left, right, f: (
        app.stream(left).left_join(app.stream(right), f(add), within=WITHIN)
    ),
    "outer_join of streams": lambda app, left, right, f: (
        app.stream(left).outer_join(app.stream(right), f(add), within=WITHIN)
    ),
    "filter of a table": lambda app, left, right, f: app.table(left).filter(f(even), name="kept"),
    "map_values of a table": lambda app, left, right, f: app.table(left).map_values(f(lambda value: value + 1)),
    "join of tables": lambda app, left, right, f: app.table(left).join(app.table(right), f(add)),
    "left_join of tables": lambda app, left, right, f: app.table(left).left_join(app.table(right), f(add), name="both"),
    "outer_join of tables": lambda app, left, right, f: app.table(left).outer_join(app.table(right), f(add)),
    "join by a foreign key": lambda app, left, right, f: app.table(left).join(
        app.table(right), f(add), foreign_key=f(lambda key, value: "a")
    ),
    "group_by of a table": lambda app, left, right, f: app.table(left).group_by(f(swapped)).count(),
    "reduce of a grouped table": lambda app, left, right, f: (
        app.table(left).group_by(f(swapped)).reduce(f(add), f(lambda one, two: one - two))
    ),
    "aggregate of a grouped table": lambda app, left, right, f: (
        app.table(left).group_by(f(swapped)).aggregate(zero, f(fold), f(unfold))
    ),
}

RECORDS = [("left", "a", 1, 0), ("right", "a", 10, 1), ("left", "b", 2, 2), ("left", "a", 3, 3), ("right", "b", 20, 5)]
RECORDS += [("left", "a", 4, 4), ("left", "b", 5, 9), ("right", "a", 30, 9)]
RECORDS += [("left", "z", 8, 60), ("right", "z", 9, 60)]


async def played(case: Case, make: Make) -> list[tuple[Any, Any, int]]:
    app = App("kinds", topic_partitions=1)
    left = app.topic("left", key_type=str, value_type=int, partitions=1)
    right = app.topic("right", key_type=str, value_type=int, partitions=1)
    seen: list[tuple[Any, Any, int]] = []
    result = case(app, left, right, make)
    stream = result.to_stream() if hasattr(result, "to_stream") else result

    class Note:
        def init(self, context: Any) -> None:
            self._context = context

        def process(self, key: Any, value: Any) -> None:
            seen.append((key, value, self._context.timestamp))

    stream.process(Note)
    async with TestDriver(app) as driver:
        for topic, key, value, seconds in RECORDS:
            await driver.send(topic, key=key, value=value, timestamp=seconds * 1_000)
    return seen


@pytest.mark.parametrize("name", CASES)
async def test_a_function_may_be_awaited_wherever_it_may_be_called(name: str) -> None:
    expected = await played(CASES[name], plain)
    assert expected
    assert await played(CASES[name], awaited) == expected


async def test_foreach_may_be_awaited() -> None:
    app = App("last")
    seen: list[Any] = []

    async def note(key: str, value: int) -> None:
        await asyncio.sleep(0)
        seen.append((key, value))

    app.stream(app.topic("in", key_type=str, value_type=int, partitions=1)).foreach(note)
    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1)
    assert seen == [("a", 1)]


def test_initializers_and_processors_are_plain_functions() -> None:
    app = App("plain")
    grouped = app.stream(app.topic("in", key_type=str, value_type=int)).group_by_key()
    make: Any = awaited(zero)
    with pytest.raises(TopologyError, match="initializer is a plain function"):
        grouped.aggregate(make, fold)
    with pytest.raises(TopologyError, match="initializer is a plain function"):
        grouped.windowed_by(Tumbling(1)).aggregate(make, fold)
