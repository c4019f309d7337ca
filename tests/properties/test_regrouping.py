"""Tables grouped by other keys give what a few obvious lines over dicts give, with commits and restarts anywhere."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.streams.declare import declare_table
from tests.properties.engine import Engine, MakeTopic, Row
from tests.properties.machine import EXAMPLES

KINDS = ("count", "reduce", "aggregate")

changes = st.tuples(
    st.sampled_from(["a", "b", "c", None]), st.one_of(st.none(), st.integers(0, 11)), st.integers(0, 20)
)
steps = st.lists(st.one_of(changes, st.sampled_from(["commit", "restart"])), max_size=30)


def pair(key: str, value: int) -> Any:
    """Four groups; some entries belong to none, for one of three reasons."""
    match value:
        case 9:
            return None
        case 10:
            return (None, 1)
        case 11:
            return ("g1", None)
    return (f"g{value % 4}", value)


def more(key: str, value: int, aggregate: list[int]) -> list[int]:
    aggregate.append(value)
    return aggregate


def less(key: str, value: int, aggregate: list[int]) -> list[int] | None:
    aggregate.remove(value)
    return aggregate or None


def engine(kind: str, *, again: bool = False) -> Engine:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        table = declare_table(builder, topic("in", partitions=2))
        grouped = table.group_by(pair, name="groups", key_type=str, value_type=int)
        made: Any
        match kind:
            case "count":
                made = grouped.count(name="made")
            case "reduce":
                made = grouped.reduce(lambda one, two: one + two, lambda one, two: one - two, name="made")
            case _:
                made = grouped.aggregate(list, more, less, name="made", value_type=list[int])
        made.to_stream().to(topic("out", value=made.value_schema.type))
        if again:
            made.group_by(lambda key, value: ("all", value), key_type=str, value_type=int).reduce(
                lambda one, two: one + two, lambda one, two: one - two, name="sum"
            )

    return Engine(declare)


def play(made: Engine, given: list[Any]) -> list[Row]:
    out: list[Row] = []
    for step in given:
        if step == "restart":
            made.restart()
        elif step == "commit":
            made.commit()
        else:
            made.give("in", step)
            made.drain()
            out += made.read("out")
    return out


def folded(kind: str, aggregate: Any, old: int | None, new: int | None) -> Any:
    """What becomes of a group's aggregate; None is no aggregate."""
    if old is not None and aggregate is not None:
        match kind:
            case "count":
                aggregate -= 1
            case "reduce":
                aggregate -= old
            case _:
                aggregate = less("", old, list(aggregate))
    if new is None:
        return aggregate
    match kind:
        case "count":
            return (aggregate or 0) + 1
        case "reduce":
            return new if aggregate is None else aggregate + new
        case _:
            return more("", new, list(aggregate or []))


def naive(given: list[Any], kind: str) -> list[Row]:
    entries: dict[str, int] = {}
    groups: dict[str, tuple[Any, int]] = {}
    out: list[Row] = []

    def change(group: str, old: int | None, new: int | None, time: int) -> None:
        before, since = groups.get(group, (None, -1))
        after = folded(kind, before, old, new)
        at = time if before is None else max(time, since)
        groups[group] = (after, at)
        out.append((group, after, at))

    for key, value, time in given:
        if key is None:
            continue
        was, now = (_grouped(key, entry) for entry in (entries.pop(key, None), value))
        if value is not None:
            entries[key] = value
        if was is not None and now is not None and was[0] == now[0]:
            change(now[0], was[1], now[1], time)
            continue
        if was is not None:
            change(was[0], was[1], None, time)
        if now is not None:
            change(now[0], None, now[1], time)
    return out


def _grouped(key: str, value: int | None) -> tuple[str, int] | None:
    found = None if value is None else pair(key, value)
    return None if found is None or None in found else found


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(KINDS), steps)
def test_groups_follow_the_table_change_by_change(kind: str, given: list[Any]) -> None:
    out = play(engine(kind), given)
    expected = naive([step for step in given if isinstance(step, tuple)], kind)
    for group in {key for key, _, _ in out + expected}:
        assert [row for row in out if row[0] == group] == [row for row in expected if row[0] == group]


@settings(max_examples=EXAMPLES, deadline=None)
@given(steps)
def test_groups_of_groups_follow_as_well(given: list[Any]) -> None:
    made = engine("reduce", again=True)
    latest = {key: value for key, value, _ in play(made, given)}
    total = dict(made.states["sum", 0].items())
    assert total.get("all", 0) == sum(value for value in latest.values() if value is not None)
