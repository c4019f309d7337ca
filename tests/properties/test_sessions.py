"""Sessions give what a few obvious lines over a dict give, however rows come together, commit and restart."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.aggregation.folding import Folding, aggregating, counting, reducing
from streamz_actors.aggregation.sessions import session, session_state
from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.serde.schema import schema_for
from streamz_actors.windows.definitions import Session
from tests.properties.machine import EXAMPLES, Machine, Row, Run, Shown, flattened, longer, runs


def added(before: int, value: int | None) -> int | None:
    """A reducer that deletes where a value is missing."""
    return None if value is None else before + value


def both(key: str, one: list[int], two: list[int]) -> list[int]:
    """A merger that changes what it is given."""
    one.extend(two)
    return one


def folded(kind: str, key: str, value: int | None, near: Sequence[Any]) -> Any:
    """What one more record makes of the sessions that it touches, None for none."""
    match kind:
        case "count":
            return sum(near) + 1
        case "reduce":
            return value if not near else added(sum(near), value)
        case _:
            return longer(key, value, [item for one in near for item in one])


def folding_of(kind: str) -> Folding:
    match kind:
        case "count":
            return counting("t")
        case "reduce":
            return reducing("t", added)
        case _:
            return aggregating("t", list, longer, both)


def naive(
    rows: list[Row], window: Session, kind: str, emit: str, groups: Sequence[int] = ()
) -> tuple[list[Shown], list[tuple[int, int]], Any]:
    """What comes out, the bounds of what was late, and what is held in the end: by key, start and end.

    `groups`: by row, whose stream time it moves, where there are several.
    """
    gap, kept = window.gap, window.gap + window.grace
    clocks, newest = [-1, -1], -1
    held: dict[tuple[str, int, int], Any] = {}
    out: list[Shown] = []
    late: list[tuple[int, int]] = []
    for (key, value, time), group in zip(rows, groups or [0] * len(rows), strict=True):
        if key is None:
            continue
        now = clocks[group] = max(clocks[group], time)
        near = [place for place in held if place[0] == key and place[2] >= time - gap and place[1] <= time + gap]
        near = sorted((place for place in near if place[2] > newest - kept), key=lambda place: place[2])
        start = min([time, *(place[1] for place in near)])
        end = max([time, *(place[2] for place in near)])
        if end < now - kept:
            late.append((start, end))
            continue
        new = folded(kind, key, value, [held[place] for place in near])
        for place in near:
            del held[place]
            if emit == "update" and start != end:
                out.append((*place, None, place[2]))
        held[key, start, end] = new
        if emit == "update":
            out.append((key, start, end, new, end))
        if new is None:
            del held[key, start, end]
        newest = max(newest, end)
        if emit == "close":
            for closed in sorted((end, start, key) for key, start, end in held if end < now - kept):
                end, start, owner = closed
                out.append((owner, start, end, held.pop((owner, start, end)), end))
    readable = {place: value for place, value in held.items() if place[2] > newest - kept}
    return out, late, readable


def state(window: Session, kind: str) -> StoreSpec:
    value = schema_for({"count": int, "reduce": int}.get(kind, list[int]))
    schema, layout, retention = session_state(window, value, 0)
    return StoreSpec("t", schema_for(str, key=True), schema, None, retention=retention, layout=layout)


def machine(window: Session, kind: str, emit: str, *, idle: int | None = None, olds: bool = False) -> Machine:
    spec = state(window, kind)
    parent = Node("in", "source", lambda _: _never())
    node = session(parent, spec, window, folding_of(kind), emit=emit, on_late=None, close_on_idle=idle)
    return Machine(spec, node, olds=olds)


def _never() -> Any:
    raise AssertionError("a source has no operator")


def stretched(scale: int, window: tuple[int, int], stream: list[Run]) -> tuple[Session, list[Run]]:
    """All times longer: then they go through many segments of a store."""
    gap, grace = window
    rows = [Run([(key, value, time * scale) for key, value, time in run.rows], run.then) for run in stream]
    return Session(gap * scale / 1000, grace * scale / 1000), rows


cases = st.builds(
    stretched, st.sampled_from([1, 1, 7_000, 60_000]), st.tuples(st.integers(1, 15), st.integers(0, 15)), runs()
)
kinds = st.sampled_from(["count", "reduce", "aggregate"])

Case = tuple[Session, list[Run]]


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
def test_every_update_is_the_naive_one(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "update")
    out, late, _ = naive(flattened(stream), window, kind, "update")
    assert made.play(stream) == out
    assert [(record.window_start, record.window_end) for record in made.lates] == late


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
def test_every_closed_session_is_the_naive_one(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "close")
    out, late, _ = naive(flattened(stream), window, kind, "close")
    assert made.play(stream) == out
    assert [(record.window_start, record.window_end) for record in made.lates] == late


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(1, 9), st.lists(st.integers(0, 200), min_size=1, max_size=30))
def test_with_grace_enough_any_order_gives_the_sessions_of_the_sorted_times(gap: int, times: list[int]) -> None:
    out = machine(Session(gap / 1000, 1), "count", "close").play(
        [Run([("a", 1, time) for time in times], ""), Run([("z", 1, 100_000)], "")]
    )
    expected: list[list[int]] = []
    for time in sorted(times):
        if expected and time - expected[-1][-1] <= gap:
            expected[-1].append(time)
        else:
            expected.append([time])
    assert out == [("a", group[0], group[-1], len(group), group[-1]) for group in expected]


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
def test_old_values_are_those_of_the_update_before(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "update", olds=True)
    made.play(stream)
    held: dict[Any, Any] = {}
    for batch in made.batches:
        assert batch.olds is not None
        for key, value, old in zip(batch.keys, batch.values, batch.olds, strict=True):
            # A session that is out of retention is no more: another of the same bounds begins anew.
            assert old == held.get(key) or (old is None and value is not None)
            held[key] = value


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
def test_sessions_that_are_kept_can_be_looked_up(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "update")
    made.play(stream)
    _, _, held = naive(flattened(stream), window, kind, "update")
    layout = made.spec.layout
    assert layout is not None
    for key in ("a", "b", "c"):
        kept = sorted((start, end, value, end) for (owner, start, end), value in held.items() if owner == key)
        assert layout.windows(made.state.logged, key.encode(), None, None) == kept
        assert layout.windows(made.state.logged, key.encode(), 7, 40) == [row for row in kept if 7 <= row[0] < 40]


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
def test_when_input_stops_all_that_is_open_closes_once(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "close", idle=5_000)
    out = made.play(stream)
    made.clock.advance_to_next(4.999)
    assert made.tick() == []
    made.clock.advance_to_next(10.0)
    out += made.tick()
    assert made.tick() == []
    end = max((time for key, _, time in flattened(stream) if key is not None), default=0) + 10_000_000
    closed, _, _ = naive([*flattened(stream), ("z", 0, end)], window, kind, "close")
    assert out == closed
