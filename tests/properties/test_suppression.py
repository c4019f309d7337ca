"""Changes are held back as a few obvious lines over a list say, with commits and restarts anywhere."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import StateError
from streamz_actors.operators.suppress import OVERHEAD
from streamz_actors.streams.declare import declare_stream, declare_table
from streamz_actors.types import Windowed
from streamz_actors.windows.definitions import Hopping, Session, Sliding, Tumbling, Window
from streamz_actors.windows.suppression import Until, closing_after, until_time_limit, until_window_closes
from tests.properties.engine import Engine, MakeTopic, Row
from tests.properties.machine import EXAMPLES, Column, steps

CHANGE: list[Column] = [[["a", "b", "c"]], [[None], range(6)], [range(41)]]
histories = steps(CHANGE, ["commit", "restart"], often=2, most=30)
limits = st.builds(
    lambda limit, records, size: until_time_limit(limit / 1000, max_records=records, max_bytes=size),
    st.integers(0, 15),
    st.one_of(st.none(), st.integers(0, 3)),
    st.one_of(st.none(), st.integers(0, 70)),
)


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


def engine(until: Until) -> Engine:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        calm = declare_table(builder, topic("in")).suppress(until, name="calm")
        calm.to_stream().to(topic("out"))
        calm.group_by(lambda key, value: ("all", value), name="sum", key_type=str, value_type=int).reduce(
            lambda one, two: one + two, lambda one, two: one - two, name="summed"
        )

    return Engine(declare)


class Waiting:
    """What waits in a list, and what has left."""

    def __init__(self, until: Until) -> None:
        self.until, self.now = until, -1
        self.rows: list[list[Any]] = []
        """When each began to wait, its key, value, time, and what was known before it began."""
        self.known: dict[str, int | None] = {}
        self.out: list[Row] = []

    def change(self, key: str, value: int | None, time: int) -> None:
        self.now = max(self.now, time)
        row = next((row for row in self.rows if row[1] == key), None)
        if row is None:
            self.rows.append([time, key, value, time, self.known.get(key)])
        else:
            row[2:4] = value, time
        self.known[key] = value
        self.rows.sort(key=lambda row: (row[0], row[1]))
        assert self.until.limit is not None
        while self.rows and self.rows[0][0] <= self.now - self.until.limit:
            self._leave()
        while self.rows and self.full():
            self._leave()

    def _leave(self) -> None:
        _, key, value, time, _ = self.rows.pop(0)
        self.out.append((key, value, time))

    def full(self) -> bool:
        size = sum(OVERHEAD + 1 + sum(value is not None for value in (row[2], row[4])) for row in self.rows)
        records, most = self.until.max_records, self.until.max_bytes
        return (records is not None and len(self.rows) > records) or (most is not None and size > most)


@settings(max_examples=EXAMPLES, deadline=None)
@given(limits, histories)
def test_the_latest_change_of_a_key_leaves_after_the_limit(until: Until, given: list[Any]) -> None:
    made, waiting = engine(until), Waiting(until)
    out = play(made, given)
    for step in given:
        if isinstance(step, tuple):
            waiting.change(*step)
    assert out == waiting.out
    left = {key: value for key, value, _ in out}
    assert dict(made.states["summed", 0].items()).get("all", 0) == sum(filter(None, left.values()))


@pytest.mark.parametrize("bound", [{"max_records": 1}, {"max_bytes": 30}])
def test_more_than_may_wait_stops_the_task(bound: dict[str, int]) -> None:
    made = engine(until_time_limit(10, **bound, overflow="shut_down"))
    made.give("in", ("a", 1, 5))
    made.drain()
    made.give("in", ("b", 2, 6))
    with pytest.raises(StateError, match=r"suppress .calm. at topic .in., partition 0, offset 1: 2 records"):
        made.drain()


# -- windows


windows = st.one_of(
    st.builds(lambda size, grace: Tumbling(size / 1000, grace / 1000), st.integers(1, 12), st.integers(0, 8)),
    st.builds(lambda size, grace: Hopping(size / 1000, 0.003, grace / 1000), st.integers(3, 12), st.integers(0, 8)),
    st.builds(lambda size, grace: Sliding(size / 1000, grace / 1000), st.integers(0, 12), st.integers(0, 8)),
    st.builds(lambda gap, grace: Session(gap / 1000, grace / 1000), st.integers(1, 6), st.integers(0, 8)),
)


def windowed(window: Window) -> Engine:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        counted = declare_stream(builder, topic("in")).group_by_key().windowed_by(window).count(name="counted")
        counted.to_stream().to(topic("out", key=Windowed[str]))
        final = counted.suppress(until_window_closes(), name="final")
        final.to_stream().to(topic("final", key=Windowed[str]))

    return Engine(declare)


def closing(rows: list[Row], after: int) -> list[Row]:
    """The last value of each window, when it has closed; what was taken back gives none."""
    waiting: dict[Windowed[str], tuple[int | None, int]] = {}
    now, out = -1, []
    for key, value, time in rows:
        now = max(now, time)
        waiting[key] = (value, time)
        for due in sorted(waiting, key=lambda key: (key.end, key.key, key.start)):
            if due.end + after <= now:
                held, at = waiting.pop(due)
                out += [(due, held, at)] if held is not None else []
    return out


@settings(max_examples=EXAMPLES, deadline=None)
@given(windows, histories)
def test_a_window_gives_its_last_value_once_it_has_closed(window: Window, given: list[Any]) -> None:
    made = windowed(window)
    out, final = play(made, given), made.read("final")
    after = closing_after(window)
    assert after is not None
    assert final == closing(out, after)
    if isinstance(window, Tumbling | Hopping):
        # Sliding windows and sessions hold their end, and take records in the very millisecond in which they close.
        assert len(final) == len({key for key, _, _ in final})
