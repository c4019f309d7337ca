"""Windows of one size give what a few obvious lines over lists give, however rows come together, commit and restart."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.aggregation.folding import Folding, aggregating, counting, reducing
from streamz_actors.aggregation.time_windows import time_state, time_windows
from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.serde.schema import schema_for
from streamz_actors.windows.definitions import Hopping, Tumbling
from tests.properties.machine import EXAMPLES, Machine, Row, Run, Shown, flattened, longer, runs

Aligned = Tumbling | Hopping


def folded(kind: str, key: str, value: int | None, before: Any) -> Any:
    """What one more record makes of an aggregate, None for none."""
    match kind:
        case "count":
            return (before or 0) + 1
        case "reduce":
            return value if before is None else added(before, value)
        case _:
            return longer(key, value, list(before or []))


def added(before: int, value: int | None) -> int | None:
    """A reducer that deletes where a value is missing."""
    return None if value is None else before + value


def folding_of(kind: str) -> Folding:
    match kind:
        case "count":
            return counting("t")
        case "reduce":
            return reducing("t", added)
        case _:
            return aggregating("t", list, longer)


def naive(rows: list[Row], window: Aligned, kind: str, emit: str) -> tuple[list[Shown], list[tuple[int, int]]]:
    """What comes out, and which windows (by timestamp and start) were closed for a record."""
    now = -1
    held: dict[tuple[int, str], tuple[Any, int]] = {}
    out: list[Shown] = []
    late: list[tuple[int, int]] = []
    for key, value, time in rows:
        if key is None:
            continue
        now = max(now, time)
        for start in range(0, time + 1, window.advance):
            if time >= start + window.size:
                continue
            if start + window.size <= now - window.grace:
                late.append((time, start))
                continue
            before, latest = held.get((start, key), (None, time))
            new, at = folded(kind, key, value, before), time if before is None else max(time, latest)
            held[start, key] = (new, at)
            if emit == "update":
                out.append((key, start, start + window.size, new, at))
        if emit == "close":
            closed = sorted(place for place in held if place[0] + window.size <= now - window.grace)
            for start, owner in closed:
                new, at = held.pop((start, owner))
                if new is not None:
                    out.append((owner, start, start + window.size, new, at))
    return out, late


def machine(window: Aligned, kind: str, emit: str, *, idle: int | None = None, olds: bool = False) -> Machine:
    value = schema_for({"count": int, "reduce": int}.get(kind, list[int]))
    schema, layout, retention = time_state(window, value, 0)
    key = schema_for(str, key=True)
    spec = StoreSpec("t", key, schema, None, retention=retention, layout=layout)
    parent = Node("in", "source", lambda _: _never())
    node = time_windows(parent, spec, window, folding_of(kind), emit=emit, on_late=None, close_on_idle=idle)
    return Machine(spec, node, olds=olds)


def _never() -> Any:
    raise AssertionError("a source has no operator")


def seconds(strategy: st.SearchStrategy[int]) -> st.SearchStrategy[float]:
    return strategy.map(lambda milliseconds: milliseconds / 1000)


def tumbling() -> st.SearchStrategy[Tumbling]:
    return st.builds(Tumbling, seconds(st.integers(1, 25)), seconds(st.integers(0, 15)))


@st.composite
def hopping(draw: Callable[[st.SearchStrategy[int]], int]) -> Hopping:
    size = draw(st.integers(1, 25))
    advance = draw(st.integers(1, size))
    return Hopping(size / 1000, advance / 1000, draw(st.integers(0, 15)) / 1000)


windows = st.one_of(tumbling(), hopping())
kinds = st.sampled_from(["count", "reduce", "aggregate"])


@settings(max_examples=EXAMPLES, deadline=None)
@given(windows, kinds, runs())
def test_every_update_is_the_naive_one(window: Aligned, kind: str, stream: list[Run]) -> None:
    made = machine(window, kind, "update")
    out, late = naive(flattened(stream), window, kind, "update")
    assert made.play(stream) == out
    assert [(record.timestamp, record.window_start) for record in made.lates] == late


@settings(max_examples=EXAMPLES, deadline=None)
@given(windows, kinds, runs())
def test_every_closed_window_is_the_naive_one(window: Aligned, kind: str, stream: list[Run]) -> None:
    made = machine(window, kind, "close")
    out, late = naive(flattened(stream), window, kind, "close")
    assert made.play(stream) == out
    assert [(record.timestamp, record.window_start) for record in made.lates] == late


@settings(max_examples=EXAMPLES, deadline=None)
@given(windows, kinds, runs())
def test_old_values_are_those_of_the_update_before(window: Aligned, kind: str, stream: list[Run]) -> None:
    made = machine(window, kind, "update", olds=True)
    made.play(stream)
    held: dict[Any, Any] = {}
    for batch in made.batches:
        assert batch.olds is not None
        for key, value, old in zip(batch.keys, batch.values, batch.olds, strict=True):
            assert old == held.get(key)
            held[key] = value


@settings(max_examples=EXAMPLES, deadline=None)
@given(windows, kinds, runs())
def test_windows_that_are_kept_can_be_looked_up(window: Aligned, kind: str, stream: list[Run]) -> None:
    made = machine(window, kind, "update")
    held: dict[tuple[str, int], Any] = {}
    for key, start, _, value, time in made.play(stream):
        held[key, start] = (value, time)
    now = max((time for key, _, time in flattened(stream) if key is not None), default=-1)
    layout = made.spec.layout
    assert layout is not None
    for key in ("a", "b", "c"):
        kept = [
            (start, start + window.size, value, time)
            for (owner, start), (value, time) in sorted(held.items())
            if owner == key and value is not None and start > now // window.advance * window.advance - window.retention
        ]
        assert layout.windows(made.state.logged, key.encode(), None, None) == kept
        assert layout.windows(made.state.logged, key.encode(), 7, 40) == [row for row in kept if 7 <= row[0] < 40]


@settings(max_examples=EXAMPLES, deadline=None)
@given(windows, kinds, runs())
def test_when_input_stops_all_that_is_open_closes_once(window: Aligned, kind: str, stream: list[Run]) -> None:
    made = machine(window, kind, "close", idle=5_000)
    out = made.play(stream)
    made.clock.advance_to_next(4.999)
    assert made.tick() == []
    made.clock.advance_to_next(10.0)
    out += made.tick()
    assert made.tick() == []
    rows = flattened(stream)
    end = max((time for key, _, time in rows if key is not None), default=0) + 1_000_000
    closed, _ = naive([*rows, ("z", 0, end)], window, kind, "close")
    assert out == closed
