"""Groups aggregated together give what a few obvious lines over a dict give, each with a stream time of its own."""

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamz_actors.aggregation.cogroup import spans_parts, time_parts
from streamz_actors.aggregation.folding import Folding, aggregating, counting
from streamz_actors.aggregation.time_windows import time_state
from streamz_actors.dataflow.node import Node, Operator, StoreSpec
from streamz_actors.serde.schema import schema_for
from streamz_actors.tables.mapping import State
from streamz_actors.windows.definitions import Hopping, Session, Sliding, Tumbling
from tests.properties import test_sessions, test_sliding_windows
from tests.properties.machine import EXAMPLES, Machine, Row, Run, Shown, longer, runs
from tests.unit.operators.bench import FakePlace, build

Window = Tumbling | Hopping | Session | Sliding
Stream = list[tuple[Run, int]]
"""Runs, each of the rows of one group."""

PARENTS = (Node("one", "source", lambda _: _never()), Node("two", "source", lambda _: _never()))


def _never() -> Any:
    raise AssertionError("a source has no operator")


class Groups(Machine):
    """Two groups over one store."""

    def __init__(self, spec: StoreSpec, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._parts: list[Operator] = []
        super().__init__(spec, nodes[0])

    def _start(self) -> None:
        self.state = State(self.spec, self._shelf.stores[self.spec.name], 0, 1)
        place = FakePlace({self.spec.name: self.state}, clock=self.clock, lates=self.lates)
        self._parts = [build(node, place) for node in self._nodes]
        self.operator = self._parts[0]

    def play_groups(self, stream: Stream) -> list[Shown]:
        out: list[Shown] = []
        for run, group in stream:
            self.operator = self._parts[group]
            out += self.play([run])
        return out


def machine(window: Window, kind: str) -> Groups:
    foldings = [folding_of(kind, window)] * 2
    if isinstance(window, Session):
        spec = test_sessions.state(window, kind)
        return Groups(spec, spans_parts(PARENTS, spec, window, foldings, None))
    if isinstance(window, Sliding):
        spec = test_sliding_windows.state(window, kind)
        return Groups(spec, spans_parts(PARENTS, spec, window, foldings, None))
    schema, layout, retention = time_state(window, schema_for(int if kind == "count" else list[int]), 0)
    spec = StoreSpec("t", schema_for(str, key=True), schema, None, retention=retention, layout=layout)
    return Groups(spec, time_parts(PARENTS, spec, window, foldings, None))


def folding_of(kind: str, window: Window) -> Folding:
    if kind == "count":
        return counting("t")
    return aggregating("t", list, longer, test_sessions.both if isinstance(window, Session) else None)


def aligned(
    rows: list[Row], groups: Sequence[int], window: Tumbling | Hopping, kind: str
) -> tuple[list[Shown], list[int]]:
    """What comes out in windows of one size, and the starts of windows that were closed for a record."""
    clocks, newest = [-1, -1], -1
    held: dict[tuple[int, str], tuple[Any, int]] = {}
    out: list[Shown] = []
    late: list[int] = []
    for (key, value, time), group in zip(rows, groups, strict=True):
        if key is None:
            continue
        now = clocks[group] = max(clocks[group], time)
        for start in window.starts(time):
            if start + window.size <= now - window.grace:
                late.append(start)
                continue
            kept = start > newest - window.retention
            before, latest = held.get((start, key), (None, time)) if kept else (None, time)
            new = (before or 0) + 1 if kind == "count" else longer(key, value, list(before or []))
            at = time if before is None else max(time, latest)
            held[start, key] = (new, at)
            newest = max(newest, start)
            out.append((key, start, start + window.size, new, at))
    return out, late


def interleaved(streams: list[Run], groups: list[int], scale: int) -> Stream:
    """The second group may be far ahead of the first, or behind."""
    return [
        (Run([(key, value, time * scale) for key, value, time in run.rows], run.then), group)
        for run, group in zip(streams, groups, strict=False)
    ]


streams = st.builds(
    interleaved, runs(), st.lists(st.integers(0, 1), min_size=12, max_size=12), st.sampled_from([1, 1, 60_000])
)
kinds = st.sampled_from(["count", "aggregate"])


@settings(max_examples=EXAMPLES, deadline=None)
@given(streams, kinds, st.sampled_from([Tumbling(0.010, 0.005), Tumbling(0.004), Hopping(0.010, 0.003, 0.002)]))
def test_groups_in_windows_of_one_size(stream: Stream, kind: str, window: Tumbling | Hopping) -> None:
    rows, groups = _rows(stream)
    made = machine(window, kind)
    out, late = aligned(rows, groups, window, kind)
    assert made.play_groups(stream) == out
    assert [record.window_start for record in made.lates] == late


@settings(max_examples=EXAMPLES, deadline=None)
@given(streams, kinds, st.sampled_from([Session(0.006, 0.005), Session(0.004), Session(300, 200)]))
def test_groups_in_sessions(stream: Stream, kind: str, window: Session) -> None:
    rows, groups = _rows(stream)
    made = machine(window, kind)
    out, late, _ = test_sessions.naive(rows, window, kind, "update", groups)
    assert made.play_groups(stream) == out
    assert [(record.window_start, record.window_end) for record in made.lates] == late


OUT_OF_REACH: Stream = [
    (Run([("c", 6, 3_240_000)], ""), 0),
    (Run([("c", 3, 3_600_000)], ""), 0),
    (Run([("c", 3, 3_240_000)], ""), 1),
]
"""The last is not late for its group, and what is there of its window is not to be found any more."""


@settings(max_examples=EXAMPLES, deadline=None)
@given(streams, kinds, st.sampled_from([Sliding(0.006, 0.005), Sliding(0.004), Sliding(300, 200)]))
@example(OUT_OF_REACH, "count", Sliding(0.006, 0.005))
def test_groups_in_sliding_windows(stream: Stream, kind: str, window: Sliding) -> None:
    rows, groups = _rows(stream)
    made = machine(window, kind)
    out, late, _ = test_sliding_windows.naive(rows, window, kind, "update", groups)
    assert made.play_groups(stream) == out
    assert [record.window_start for record in made.lates] == late


def _rows(stream: Stream) -> tuple[list[Row], list[int]]:
    return [row for run, _ in stream for row in run.rows], [group for run, group in stream for _ in run.rows]
