"""Joins of streams give what a few obvious lines over lists give, with commits and restarts anywhere."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.streams.declare import declare_stream
from streamz_actors.windows.definitions import JoinWindow
from tests.properties.engine import Engine, MakeTopic, Row
from tests.properties.machine import EXAMPLES, Column, steps

KINDS = ("join", "left_join", "outer_join")

Record = tuple[str, str | None, int | None, int]
"""Side, key, value, timestamp."""

RECORD: list[Column] = [
    [["left", "right"]],
    [["a", "b", None]],
    [[None], range(10)],
    [range(31), range(61), [5_000_000]],
]
histories = steps(RECORD, ["restart", "commit"], most=30)
bounds = st.tuples(st.integers(-3, 12), st.integers(-3, 12), st.integers(0, 6)).filter(lambda b: b[0] + b[1] >= 0)


@dataclass
class Naive:
    """Everything in lists that are never shortened."""

    kind: str
    before: int
    after: int
    grace: int
    kept: dict[str, list[tuple[str, int, int]]] = field(default_factory=lambda: {"left": [], "right": []})
    """By side: key, value, time, as they came."""
    waiting: list[tuple[int, bool, str, int]] = field(default_factory=list)
    """Time, whether it is of the left, key, value."""
    stream_time: int = -1
    lowest: int | None = None
    out: list[Row] = field(default_factory=list)

    def take(self, side: str, key: str | None, value: int | None, time: int) -> None:
        self.stream_time = max(self.stream_time, time)
        if value is None:
            return
        if key is None:
            if self._emits(side):
                self._alone(side, None, value, time)
            return
        if time == self.stream_time:
            self._let_go(side)
        found = self._found(side, key, time)
        for partner, partner_time in found:
            pair = (value, partner) if side == "left" else (partner, value)
            self.out.append((key, met(*pair), max(time, partner_time)))
            self.waiting = [row for row in self.waiting if row[:3] != (partner_time, side != "left", key)]
        if not found and self._emits(side):
            self._wait(side, key, value, time)
        self.kept[side].append((key, value, time))

    def restart(self) -> None:
        self.lowest = min((row[0] for row in self.waiting), default=None)

    def _found(self, side: str, key: str, time: int) -> list[tuple[int, int]]:
        other = self.kept["right" if side == "left" else "left"]
        before, after = (self.before, self.after) if side == "left" else (self.after, self.before)
        newest = max((time for _, _, time in other), default=-1)
        oldest = newest - max(1, self.before + self.after + self.grace) + 1
        # What was too old when it came was not kept, which is the same: the newest only rises.
        found = [
            (value, then)
            for its, value, then in other
            if its == key and max(0, time - before, oldest) <= then <= max(0, time + after)
        ]
        return sorted(found, key=lambda row: row[1])

    def _emits(self, side: str) -> bool:
        return self.kind == "outer_join" or (self.kind == "left_join" and side == "left")

    def _after(self, side: str) -> int:
        return self.after if side == "left" else self.before

    def _wait(self, side: str, key: str, value: int, time: int) -> None:
        if max(0, time + self._after(side)) + self.grace < self.stream_time:
            self._alone(side, key, value, time)
            return
        self.waiting.append((time, side == "left", key, value))
        self.lowest = time if self.lowest is None else min(self.lowest, time)

    def _alone(self, side: str, key: str | None, value: int, time: int) -> None:
        self.out.append((key, met(value, None) if side == "left" else met(None, value), time))

    def _let_go(self, side: str) -> None:
        if self.lowest is None or self.lowest + self._after(side) + self.grace >= self.stream_time:
            return
        self.lowest = None
        still_open: set[str] = set()
        for row in sorted(self.waiting, key=lambda row: row[:3]):
            time, left, key, value = row
            self.lowest = time
            if len(still_open) == 2:
                return
            its = "left" if left else "right"
            if time + self._after(its) + self.grace >= self.stream_time:
                still_open.add(its)
            else:
                self.waiting.remove(row)
                self._alone(its, key, value, time)


def met(left: int | None, right: int | None) -> str:
    return f"{left}+{right}"


async def met_slowly(left: int | None, right: int | None) -> str:
    return met(left, right)


def window(before: int, after: int, grace: int) -> JoinWindow:
    return JoinWindow(*(timedelta(milliseconds=length) for length in (before, after, grace)))


def play(made: Engine, given: list[Any]) -> list[Row]:
    """Records that follow each other on one side come together."""
    out: list[Row] = []
    for number, step in enumerate(given):
        if step == "restart":
            made.restart()
        elif step == "commit":
            made.commit()
        else:
            side, *row = step
            made.give(side, tuple(row))
            following = given[number + 1] if number + 1 < len(given) else "end"
            if following[0] != side:
                made.drain(most=10)
                out += made.read("out")
    return out


def expected(model: Naive, given: list[Any]) -> list[Row]:
    for step in given:
        if step == "restart":
            model.restart()
        elif step != "commit":
            model.take(*step)
    return model.out


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(KINDS), bounds, histories)
def test_two_streams_meet_as_in_lists(kind: str, within: tuple[int, int, int], given: list[Any]) -> None:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        left, right = declare_stream(builder, topic("left")), declare_stream(builder, topic("right"))
        joined: Any = getattr(left, kind)(right, met, within=window(*within), value_type=str)
        joined.to(topic("out", value=str))

    assert play(Engine(declare), given) == expected(Naive(kind, *within), given)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(KINDS), bounds, histories, st.booleans())
def test_a_stream_meets_itself_first_as_the_left_side(
    kind: str, within: tuple[int, int, int], given: list[Any], twice: bool
) -> None:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        stream = declare_stream(builder, topic("left"))
        again = stream.filter(lambda *_: True) if twice else stream
        joined: Any = getattr(again, kind)(stream, met, within=window(*within), value_type=str)
        joined.to(topic("out", value=str))

    given = [("left", *step[1:]) if isinstance(step, tuple) else step for step in given]
    model = Naive(kind, *within)
    for step in given:
        if step == "restart":
            model.restart()
        elif step != "commit":
            model.take(*step)
            model.take("right", *step[1:])
    assert play(Engine(declare), given) == model.out


@settings(max_examples=EXAMPLES, deadline=None)
@given(bounds, histories)
def test_several_records_at_one_time_of_one_key_each_meet(within: tuple[int, int, int], given: list[Any]) -> None:
    given = [(*step[:3], step[3] // 10) if isinstance(step, tuple) else step for step in given]

    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        left, right = declare_stream(builder, topic("left")), declare_stream(builder, topic("right"))
        joined = left.outer_join(right, met, within=window(*within), value_type=str)
        joined.to(topic("out", value=str))

    assert play(Engine(declare), given) == expected(Naive("outer_join", *within), given)
