"""Joins by a foreign key end with the join of the two tables, in whatever order answers travel and tasks restart."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.streams.declare import declare_table
from tests.properties.engine import Engine, MakeTopic, Row
from tests.properties.machine import EXAMPLES

KINDS = ("join", "left_join")

Left = list[Any] | None
"""The foreign key and a number."""

lefts = st.one_of(st.none(), st.tuples(st.sampled_from(["x", "y", None]), st.integers(0, 2)).map(list))
rights = st.one_of(st.none(), st.integers(0, 3))
changes = st.one_of(
    st.tuples(st.just("left"), st.sampled_from(["a", "b", "c"]), lefts, st.integers(0, 20)),
    st.tuples(st.just("right"), st.sampled_from(["x", "y"]), rights, st.integers(0, 20)),
)
deliveries = st.integers(0, 9)
ends = st.sampled_from(["commit", "restart"])


def told(left: list[Any], right: int | None) -> str:
    return f"{left[1]}&{right}"


def foreign(key: str, left: list[Any]) -> str | None:
    return left[0]  # type: ignore[no-any-return]  # what is written there


def joined(kind: str, left: Left, rights: dict[str, tuple[int, int]]) -> str | None:
    """What a left row has in the joined table."""
    if left is None:
        return None
    right = rights.get(left[0] or "")
    return None if right is None and kind == "join" else f"{left[1]}&{None if right is None else right[0]}"


def engine(kind: str, partitions: tuple[int, int], *, view: bool = False) -> Engine:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        left = declare_table(builder, topic("left", value=list, partitions=partitions[0]))
        right = declare_table(builder, topic("right", partitions=partitions[1]))
        if view:
            left, right = left.map_values(list, value_type=list), right.map_values(int, value_type=int)
        made = getattr(left, kind)(right, told, foreign_key=foreign, value_type=str, name="joined")
        made.to_stream().to(topic("out", value=str))

    return Engine(declare)


def held(made: Engine, partitions: int) -> dict[str, str]:
    return {key: value for number in range(partitions) for key, value in made.states["joined", number].items()}


class Tables:
    """The two tables, as far as changes have been given."""

    def __init__(self) -> None:
        self.left: dict[str, tuple[list[Any], int]] = {}
        self.right: dict[str, tuple[int, int]] = {}

    def change(self, side: str, key: str, value: Any, time: int) -> None:
        table: dict[str, Any] = self.left if side == "left" else self.right
        table.pop(key, None)
        if value is not None:
            table[key] = (value, time)

    def joined(self, kind: str) -> dict[str, str]:
        found = {key: joined(kind, left, self.right) for key, (left, _) in self.left.items()}
        return {key: value for key, value in found.items() if value is not None}


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from([(1, 1), (2, 3), (3, 1)]),
    st.booleans(),
    st.lists(st.one_of(changes, deliveries, deliveries, ends), max_size=40),
)
def test_whatever_is_overtaken_the_end_is_the_join(
    kind: str, partitions: tuple[int, int], view: bool, given: list[Any]
) -> None:
    made, tables = engine(kind, partitions, view=view), Tables()
    for step in given:
        if isinstance(step, tuple):
            side, *row = step
            tables.change(*step)
            made.give(side, tuple(row))
        elif isinstance(step, int):
            places = sorted(made.waiting)
            if places:
                made.deliver(places[step % len(places)], 1 + step % 3)
        elif step == "commit":
            made.commit()
        else:
            made.restart()
    made.drain(most=2)
    out = made.read("out")
    assert held(made, partitions[0]) == tables.joined(kind)
    latest = {key: value for key, value, _ in out}
    assert {key: value for key, value in latest.items() if value is not None} == tables.joined(kind)
    assert not _idle_tombstones(out)


def _idle_tombstones(out: list[Row]) -> list[Row]:
    """Those that delete what is not there."""
    present: set[str] = set()
    idle = []
    for key, value, time in out:
        if value is None and key not in present:
            idle.append((key, value, time))
        (present.discard if value is None else present.add)(key)
    return idle


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(KINDS), st.lists(st.one_of(changes, st.just("restart")), max_size=25))
def test_a_change_at_rest_gives_each_result_once_with_its_time(kind: str, given: list[Any]) -> None:
    made, tables = engine(kind, (2, 2)), Tables()
    for step in given:
        if step == "restart":
            made.restart()
            continue
        side, key, value, time = step
        before = tables.joined(kind)
        tables.change(*step)
        made.give(side, (key, value, time))
        made.drain()
        assert sorted(made.read("out"), key=lambda row: row[0]) == _results(tables, kind, side, key, time, before)


def _results(tables: Tables, kind: str, side: str, key: str, time: int, before: dict[str, str]) -> list[Row]:
    """A row of the left tells its own result, one of the right those of all who want it; nothing deletes nothing."""
    after = tables.joined(kind)
    if side == "right":
        wanting = [one for one, (left, _) in sorted(tables.left.items()) if left[0] == key]
        return [(one, after.get(one), time) for one in wanting if one in before or one in after]
    if key not in before and key not in after:
        return []
    left = tables.left.get(key)
    right = None if left is None else tables.right.get(left[0][0] or "")
    return [(key, after.get(key), time if right is None else max(time, right[1]))]


def test_an_answer_that_a_change_has_overtaken_says_nothing_wrong() -> None:
    made, deliver = _overtaken()
    made.give("left", ("a", ["y", 2], 3))
    deliver("left")
    deliver("p-joined-response")
    assert made.read("out") == []
    made.drain()
    assert made.read("out") == []
    assert held(made, 1) == {}


def _overtaken() -> tuple[Engine, Callable[[str], None]]:
    """The answer for the first row of "a" is on its way back."""
    made = engine("join", (1, 1))

    def deliver(topic: str) -> None:
        made.deliver(next(place for place in made.waiting if place.topic == topic))

    made.give("right", ("x", 7, 1))
    deliver("right")
    made.give("left", ("a", ["x", 1], 2))
    deliver("left")
    deliver("p-joined-subscription")
    return made, deliver
