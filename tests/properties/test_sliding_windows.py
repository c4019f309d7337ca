"""Sliding windows give what Kafka Streams' rules give over a plain dict, and what the definition says."""

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamz_actors.aggregation.folding import Folding, aggregating, counting, reducing
from streamz_actors.aggregation.sliding_windows import sliding, sliding_state
from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.serde.schema import schema_for
from streamz_actors.windows.definitions import Sliding
from tests.properties.machine import EXAMPLES, Machine, Row, Run, Shown, flattened, longer, runs

Held = dict[int, tuple[Any, int]]
"""The windows of one key by start: what each holds, and the time of its last record."""


def added(before: int, value: int) -> int | None:
    """A reducer that deletes where a sum is 5."""
    return None if before + value == 5 else before + value


def folded(kind: str, key: str, value: int, before: Any) -> Any:
    """What one more record makes of an aggregate, None for none."""
    match kind:
        case "count":
            return (before or 0) + 1
        case "reduce":
            return value if before is None else added(before, value)
        case _:
            return longer(key, value, list(before or []))


def folding_of(kind: str) -> Folding:
    match kind:
        case "count":
            return counting("t")
        case "reduce":
            return reducing("t", added)
        case _:
            return aggregating("t", list, longer)


def slid(held: Held, time: int, size: int, oldest: int) -> list[tuple[int, Any, int | None]]:
    """The windows that take a record: start, what they hold before it, when their last record was (None: they are new).

    Where what they hold is a `Split`, the record does not go into it.
    """
    near = [start for start in sorted(held, reverse=True) if max(time - 2 * size, oldest) <= start <= time + 1]
    takes: list[tuple[int, Any, int | None]] = [(start, *held[start]) for start in near if time - size <= start <= time]
    around = [held[start] for start in near if time - size < start <= time]
    behind = around[0] if around and around[0][1] > time else None
    split = [(time + 1, Split(behind[0], behind[1]), None)] if behind and time + 1 not in near else []
    left = held[time - size] if time - size in near else None
    if left is not None and left[1] == time:
        return takes
    older = next((held[start] for start in near if start < time - size), None)
    before = left if older is None else older
    latest = None if before is None else before[1]
    if latest is not None and latest + 1 not in near and latest + 1 + size >= time:
        takes.append((latest + 1, None, None))
    if left is None:
        shared = before is not None and time - size <= before[1]
        takes.append((time - size, before[0] if before is not None and shared else None, None))
    return takes + split


class Split:
    """What a new window holds of those around it."""

    def __init__(self, value: Any, latest: int) -> None:
        self.value, self.latest = value, latest


def early(held: Held, time: int, oldest: int) -> list[tuple[int, Any, int | None]]:
    """As `slid`, in the first `size` ms."""
    near = [start for start in sorted(held) if oldest <= start <= time + 1]
    takes: list[tuple[int, Any, int | None]] = [(start, *held[start]) for start in near if 0 < start <= time]
    first = held[0] if 0 in near else None
    around = held[takes[-1][0]] if takes else first
    if around is not None and around[1] > time and time + 1 not in near:
        takes.append((time + 1, Split(*around), None))
    if first is not None and first[1] < time and first[1] + 1 not in near:
        takes.append((first[1] + 1, None, None))
    return [*takes, (0, *(first or (None, None)))]


def taking(held: Held, time: int, size: int, oldest: int) -> list[tuple[int, Any, int | None]]:
    return early(held, time, oldest) if time < size else slid(held, time, size, oldest)


def naive(
    rows: list[Row], window: Sliding, kind: str, emit: str, groups: Sequence[int] = ()
) -> tuple[list[Shown], list[int], dict[str, Held]]:
    """What comes out, the starts of windows that were closed for a record, and what is held in the end.

    `groups`: by row, whose stream time it moves, where there are several.
    """
    size = window.size
    clocks, newest = [-1, -1], -1
    held: dict[str, Held] = {}
    open_: set[tuple[int, str]] = set()
    out: list[Shown] = []
    late: list[int] = []
    for (key, value, time), group in zip(rows, groups or [0] * len(rows), strict=True):
        if key is None or value is None:
            continue
        now = clocks[group] = max(clocks[group], time)
        edge = now - window.grace - size
        if time < edge:
            late.append(time)
            continue
        own = held.setdefault(key, {})
        oldest = max(0, newest - window.retention + (0 if emit == "close" else 1))
        for start, before, latest in taking(own, time, size, oldest):
            if isinstance(before, Split):
                new, at = before.value, before.latest
            elif start < edge:
                late.append(start)
                continue
            else:
                new, at = folded(kind, key, value, before), time if latest is None else max(time, latest)
            own[start] = (new, at)
            open_.add((start, key))
            newest = max(newest, start)
            if emit == "update":
                out.append((key, start, start + size, new, at))
            if new is None:
                del own[start]
        closed = sorted(place for place in open_ if emit == "close" and place[0] < edge)
        open_.difference_update(closed)
        out += [(owner, start, start + size, *held[owner][start]) for start, owner in closed if start in held[owner]]
    return out, late, held


def state(window: Sliding, kind: str) -> StoreSpec:
    value = schema_for({"count": int, "reduce": int}.get(kind, list[int]))
    schema, layout, retention = sliding_state(window, value, 0)
    return StoreSpec("t", schema_for(str, key=True), schema, None, retention=retention, layout=layout)


def machine(window: Sliding, kind: str, emit: str, *, idle: int | None = None, olds: bool = False) -> Machine:
    spec = state(window, kind)
    parent = Node("in", "source", lambda _: _never())
    node = sliding(parent, spec, window, folding_of(kind), emit=emit, on_late=None, close_on_idle=idle)
    return Machine(spec, node, olds=olds)


def _never() -> Any:
    raise AssertionError("a source has no operator")


def stretched(scale: int, window: tuple[int, int], stream: list[Run]) -> tuple[Sliding, list[Run]]:
    """All times longer: then they go through many segments of a store."""
    size, grace = window
    rows = [Run([(key, value, time * scale) for key, value, time in run.rows], run.then) for run in stream]
    return Sliding(size * scale / 1000, grace * scale / 1000), rows


cases = st.builds(
    stretched, st.sampled_from([1, 1, 7_000, 60_000]), st.tuples(st.integers(0, 15), st.integers(0, 15)), runs()
)
kinds = st.sampled_from(["count", "reduce", "aggregate"])

Case = tuple[Sliding, list[Run]]


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
def test_every_update_is_the_naive_one(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "update")
    out, late, _ = naive(flattened(stream), window, kind, "update")
    assert made.play(stream) == out
    assert [record.window_start for record in made.lates] == late


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
@example(  # a row out of order makes the newest window, then a restart
    (
        Sliding(14.0),
        [Run([("a", 0, 189_000)], ""), Run([("a", 0, 182_000)], "restart"), Run([("a", 0, 16_800_000)], "")],
    ),
    "count",
)
def test_every_closed_window_is_the_naive_one(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "close")
    out, late, _ = naive(flattened(stream), window, kind, "close")
    assert made.play(stream) == out
    assert [record.window_start for record in made.lates] == late


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 20), st.lists(st.integers(0, 80), min_size=1, max_size=25))
def test_with_grace_enough_windows_are_those_of_the_definition(size: int, times: list[int]) -> None:
    made = machine(Sliding(size / 1000, 1), "count", "update")
    last = {start: value for _, start, _, value, _ in made.play([Run([("a", 1, time) for time in times], "")])}

    def inside(start: int) -> int:
        return sum(start <= time <= start + size for time in times)

    left = {max(0, time - size) for time in times}
    right = {time + 1 for time in times if inside(time + 1)}
    assert last == {start: inside(start) for start in left | right}


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
def test_old_values_are_those_of_the_update_before(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "update", olds=True)
    made.play(stream)
    held: dict[Any, Any] = {}
    newest = -1
    for batch in made.batches:
        assert batch.olds is not None
        for key, value, old in zip(batch.keys, batch.values, batch.olds, strict=True):
            newest = max(newest, key.start)
            # A window out of the store's retention begins anew with each record, as in Kafka Streams.
            forgotten = key.start <= newest - window.retention
            assert old == held.get(key) or (forgotten and old is None)
            held[key] = value


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, kinds)
def test_windows_that_are_kept_can_be_looked_up(case: Case, kind: str) -> None:
    window, stream = case
    made = machine(window, kind, "update")
    made.play(stream)
    _, _, held = naive(flattened(stream), window, kind, "update")
    layout, size = made.spec.layout, window.size
    assert layout is not None
    newest = max((start for own in held.values() for start in own), default=-1)
    for key in ("a", "b", "c"):
        shown = layout.windows(made.state.logged, key.encode(), None, None)
        every = [(start, start + size, value, time) for start, (value, time) in sorted(held.get(key, {}).items())]
        # What a deleted window was the newest of is kept for less long: nothing else may be missing.
        assert [row for row in every if row in shown] == shown
        if kind == "count":
            assert shown == [row for row in every if row[0] > newest - window.retention]
        assert layout.windows(made.state.logged, key.encode(), 7, 40) == [row for row in shown if 7 <= row[0] < 40]


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
