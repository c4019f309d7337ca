"""Joins of two tables give what a few obvious lines over dicts give, with commits and restarts anywhere."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.streams.declare import declare_table
from streamz_actors.streams.stream import Table
from tests.properties.engine import Engine, MakeTopic, Row
from tests.properties.machine import EXAMPLES, Column, steps

KINDS = ("join", "left_join", "outer_join")
SHAPES = ("plain", "named", "left view", "right view", "both views", "read through")

Change = tuple[str, str | None, int | None, int]
"""Side, key, value, timestamp."""

CHANGE: list[Column] = [[["left", "right"]], [["a", "a", "b", None]], [[None], range(4)], [range(21)]]
histories = steps(CHANGE, ["restart", "commit"], often=2, most=25)


def met(one: int | None, other: int | None) -> str:
    return f"{one}&{other}"


def joined(kind: str, left: int | None, right: int | None) -> str | None:
    """What a key holds in the joined table."""
    needs = {"join": (left, right), "left_join": (left,)}.get(kind, ())
    if None in needs or (left is None and right is None):
        return None
    return met(left, right)


def viewed(side: str, shape: str, value: int | None) -> int | None:
    """A view shows even values only."""
    seen = shape in (f"{side} view", "both views") and value is not None and value % 2
    return None if seen else value


def naive(given: list[Any], kind: str, shape: str) -> tuple[list[Row], dict[str, tuple[str, int]]]:
    """What comes out, and what the joined table holds in the end."""
    held: dict[str, dict[str, tuple[int, int]]] = {"left": {}, "right": {}}
    out: list[Row] = []
    for side, key, value, time in given:
        if key is None:
            continue
        left = side == "left"
        needed = kind == "join" or (kind == "left_join" and not left)
        old, _ = held[side].pop(key, (None, 0))
        old, new = viewed(side, shape, old), viewed(side, shape, value)
        if not needed and shape in (f"{side} view", "both views") and old is None and new is None:
            continue  # where old values are known, a filter says nothing of what it never let through
        if value is not None:
            held[side][key] = (value, time)
        other, since = held["right" if left else "left"].get(key, (None, -1))
        other = viewed("right" if left else "left", shape, other)
        if other is None and (needed or (new is None and old is None)):
            continue
        result = joined(kind, new, other) if left else joined(kind, other, new)
        out.append((key, result, time if other is None else max(time, since)))
    return out, _final(held, kind, shape)


def _final(held: dict[str, dict[str, tuple[int, int]]], kind: str, shape: str) -> dict[str, tuple[str, int]]:
    final = {}
    for key in held["left"] | held["right"]:
        (left, since), (right, then) = (held[side].get(key, (None, -1)) for side in ("left", "right"))
        left, right = viewed("left", shape, left), viewed("right", shape, right)
        result = joined(kind, left, right)
        if result is not None:
            final[key] = (result, max(-1 if left is None else since, -1 if right is None else then))
    return final


def engine(kind: str, shape: str) -> Engine:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        sides: list[Table[str, int]] = []
        for side in ("left", "right"):
            table = declare_table(builder, topic(side))
            view = shape in (f"{side} view", "both views")
            sides.append(table.filter(lambda _, value: value % 2 == 0) if view else table)
        left, right = sides
        made = getattr(left, kind)(right, met, value_type=str, name="joined" if shape == "named" else None)
        made.to_stream().to(topic("out", value=str))
        if shape == "read through":
            once = made.map_values(lambda value: f"<{value}>", value_type=str)
            left.join(once, lambda _, value: value, value_type=str).to_stream().to(topic("through", value=str))

    return Engine(declare)


def play(made: Engine, given: list[Any]) -> list[Row]:
    out: list[Row] = []
    for step in given:
        if step == "restart":
            made.restart()
        elif step == "commit":
            made.commit()
        else:
            side, *row = step
            made.give(side, tuple(row))
            made.drain()
            out += made.read("out")
    return out


def records(given: list[Any]) -> list[Change]:
    return [step for step in given if isinstance(step, tuple)]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from(SHAPES), histories)
def test_every_change_is_the_naive_one(kind: str, shape: str, given: list[Any]) -> None:
    made = engine(kind, shape)
    out = play(made, given)
    expected, final = naive(records(given), kind, shape)
    assert _without_idle_tombstones(out) == _without_idle_tombstones(expected)
    if shape in ("plain", "named", "read through"):
        assert out == expected
    latest = {key: (value, time) for key, value, time in out}
    assert {key: value for key, (value, _) in latest.items() if value is not None} == {
        key: value for key, (value, _) in final.items()
    }
    if shape == "named":
        state = made.states["joined", 0]
        assert {key: state.timestamped(key) for key, _ in state.items()} == {
            key: held for key, held in latest.items() if held[0] is not None
        }


def _without_idle_tombstones(out: list[Row]) -> list[Row]:
    """Views send tombstones for what they leave out, and so more of them than the model."""
    present: set[str] = set()
    kept = []
    for key, value, time in out:
        if value is not None or key in present:
            kept.append((key, value, time))
        (present.discard if value is None else present.add)(key)
    return kept


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(KINDS), steps(CHANGE, most=25), st.booleans())
def test_groups_of_a_joined_table_follow_it(kind: str, given: list[Change], named: bool) -> None:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        left, right = declare_table(builder, topic("left")), declare_table(builder, topic("right"))
        both = getattr(left, kind)(right, met, value_type=str, name="joined" if named else None)
        groups = both.group_by(lambda _, value: (value, 1), key_type=str, value_type=int)
        groups.count().to_stream().to(topic("out"))

    made = Engine(declare)
    play(made, list(given))
    _, final = naive(list(given), kind, "plain")
    counts: dict[str, int] = {}
    for value, _ in final.values():
        counts[value] = counts.get(value, 0) + 1
    state = made.states["left-" + kind + "-right-met-group_by-count" if not named else "joined-group_by-count", 0]
    assert {key: count for key, count in state.items() if count} == counts


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from(["", "view", "named"]), histories)
def test_a_table_joined_with_itself_ends_with_its_own_values(kind: str, view: str, given: list[Any]) -> None:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        table = declare_table(builder, topic("left"))
        other = table.map_values(int, name=None if view == "view" else "same", value_type=int) if view else table
        made = getattr(table, kind)(other, met, value_type=str)
        made.to_stream().to(topic("out", value=str))

    made = Engine(declare)
    given = [("left", *step[1:]) if isinstance(step, tuple) else step for step in given]
    latest = {key: (value, time) for key, value, time in play(made, given)}
    _, final = naive([("left", *step[1:]) for step in records(given)], "left_join", "plain")
    alone = {key: (f"{value.split('&')[0]}&{value.split('&')[0]}", time) for key, (value, time) in final.items()}
    assert {key: held for key, held in latest.items() if held[0] is not None} == alone
