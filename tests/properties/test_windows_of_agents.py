"""Windows that handlers write hold what a list of all writes says, in whatever order events come."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Context, Link, current
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.serde.schema import schema_for
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.streams.windowed_table import WindowTable, WrittenWindow, declare_windows
from streamz_actors.tables.windowed import WindowLayout, WindowState
from streamz_actors.types import TopicPartition
from streamz_actors.windows.definitions import Hopping, Session, Sliding, Tumbling
from tests.properties.machine import EXAMPLES, steps

KEY, NUMBER = schema_for(str, key=True), schema_for(int)
LONG = 10.0
"""Seconds: longer than any example lasts."""

Event = tuple[str, int, int, bool]
"""Key, value, time in ms, whether a commit follows."""

events = steps([[["a", "b"]], [range(1, 100)], [range(61)], [[False, True]]], most=20)
sizes = st.integers(1, 15)


class Handler:
    """An agent's body without an agent: each event adds its value."""

    def __init__(self, window: WrittenWindow, expires: float, **options: Any) -> None:
        self.table: WindowTable[str, int] = declare_windows(
            TopologyBuilder("app", Link()), "t", (KEY, NUMBER), window, default=int, expires=expires, **options
        )
        spec = self.table.spec
        assert spec is not None
        assert isinstance(spec.layout, WindowLayout)
        self.layout = spec.layout
        store = MemoryBackend().open("task", {"t": "test"}).stores["t"]
        self.state = WindowState(spec, store, 0, 1, spec.layout)
        self.late: list[int] = []
        self.context = Context("agent 'x'", 0, {"t": self.state}, lambda record: self.late.append(record.timestamp))

    def add(self, events: Sequence[Event]) -> None:
        token = current.set(self.context)
        try:
            for key, value, time, commits in events:
                self.context.batch = Batch(
                    TopicPartition("in", 0), [0], [time], KEY, NUMBER, raw_keys=[KEY.encode(key)], values=[value]
                )
                self.table[key] += value
                self.context.journal.clear()
                if commits:
                    self.commit()
        finally:
            current.reset(token)

    def commit(self) -> None:
        logged = self.state.logged
        logged.apply(*logged.begin_flush(), None)
        logged.end_flush()

    def windows(self, key: str) -> list[tuple[int, int, int]]:
        rows = self.layout.windows(self.state.logged, KEY.encode(key) or b"", None, None)
        return [(start, end, value) for start, end, value, _ in rows]


def of_key(events: Sequence[Event], key: str) -> list[tuple[int, int]]:
    """Its values and times."""
    return [(value, time) for each, value, time, _ in events if each == key]


def held(writes: Sequence[tuple[int, int]], start: int, last: int) -> int:
    """The sum of what was written from start to last, both included."""
    return sum(value for value, time in writes if start <= time <= last)


@given(events, sizes, sizes)
@settings(max_examples=EXAMPLES, deadline=None)
def test_aligned_windows_hold_the_writes_of_their_time(events: list[Event], one: int, two: int) -> None:
    size, advance = max(one, two), min(one, two)
    window = Tumbling(size / 1000) if one > two else Hopping(size / 1000, advance / 1000)
    advance = window.advance
    handler = Handler(window, LONG)
    handler.add(events)
    for key in "ab":
        writes = of_key(events, key)
        sums = [(start, start + size, held(writes, start, start + size - 1)) for start in range(0, 61, advance)]
        assert handler.windows(key) == [row for row in sums if row[2]]


@given(events, sizes, st.integers(0, 10))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_closed_window_takes_nothing_and_is_told_once(events: list[Event], size: int, grace: int) -> None:
    told: list[Any] = []
    handler = Handler(
        Tumbling(size / 1000, grace / 1000),
        LONG,
        on_window_close=lambda key, value: told.append((key.key, key.start, value)),
    )
    handler.add(events)
    moment, sums, closed, late = -1, {}, [], []  # type: ignore[var-annotated]
    for key, value, time, _ in events:
        moment, start = max(moment, time), time - time % size
        due = [item for item in sums.items() if item[0][0] + size + grace <= moment]
        closed += sorted((name, begin, total) for (begin, name), total in due)
        for place, _total in due:
            del sums[place]
        if start + size + grace <= moment:
            late.append(time)
        else:
            sums[start, key] = sums.get((start, key), 0) + value
    assert sorted(told) == sorted(closed)
    assert [row[1] for row in told] == sorted(row[1] for row in told)
    assert handler.late == late


@given(events, sizes)
@settings(max_examples=EXAMPLES, deadline=None)
def test_sessions_are_the_stretches_without_a_gap(events: list[Event], gap: int) -> None:
    handler = Handler(Session(gap / 1000), LONG)
    handler.add(events)
    for key in "ab":
        sessions: list[tuple[int, int, int]] = []
        for value, time in sorted(of_key(events, key), key=lambda write: write[1]):
            if sessions and time - sessions[-1][1] <= gap:
                start, _, total = sessions.pop()
                sessions.append((start, time, total + value))
            else:
                sessions.append((time, time, value))
        assert handler.windows(key) == sessions


@given(events, sizes)
@settings(max_examples=EXAMPLES, deadline=None)
def test_sliding_windows_hold_what_lies_within_their_size(events: list[Event], size: int) -> None:
    handler = Handler(Sliding(size / 1000), LONG)
    handler.add(events)
    for key in "ab":
        writes = of_key(events, key)
        starts = {max(0, time - size) for _, time in writes} | {time + 1 for _, time in writes}
        expected = [(start, start + size, held(writes, start, start + size)) for start in sorted(starts)]
        assert handler.windows(key) == [row for row in expected if row[2]]
        raw = KEY.encode(key) or b""
        for time in range(0, 76, 5):
            value = handler.layout.at(handler.state.logged, raw, time, handler.state.moment)
            assert (value or 0) == held(writes, max(0, time - size), max(time, size))
