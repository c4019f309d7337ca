"""Versioned tables hold, and joins as of a time find, what a list of all updates says; with commits and restarts."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.operators.versioned import versions_of
from streamz_actors.streams.declare import declare_stream, declare_table
from tests.properties.engine import Engine, MakeTopic, Row
from tests.properties.machine import EXAMPLES, Column, steps

RECORD: list[Column] = [
    [["table", "table", "stream"]],
    [["a", "a", "b", None]],
    [[None], range(10)],
    [range(31), range(31), range(60_001)],
]
histories = steps(RECORD, ["restart", "commit"], most=30)
retentions = st.sampled_from([1, 10, 2_000, 40_000])


@dataclass
class Naive:
    retention: int
    updates: list[tuple[str, int, int | None]] = field(default_factory=list)
    """Key, time, value, as they came and were taken."""
    moment: int = -1

    def put(self, key: str, value: int | None, time: int) -> bool:
        """Whether it is taken."""
        self.moment = max(self.moment, time)
        if time < self.moment - self.retention:
            return False
        self.updates.append((key, time, value))
        return True

    def history(self, key: str) -> dict[int, int | None]:
        """By time: at one time the last that came counts."""
        return {time: value for its, time, value in self.updates if its == key}

    def at(self, key: str, time: int) -> int | None:
        history = self.history(key)
        valid = max((since for since in history if since <= time), default=None)
        if valid is None or (time < self.moment - self.retention and valid != max(history)):
            return None
        return history[valid]

    def latest(self, key: str) -> int | None:
        history = self.history(key)
        return history[max(history)] if history else None


def engine(retention: int, kind: str, grace: int | None, *, view: bool = False) -> Engine:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        table: Any = declare_table(builder, topic("table"), versioned=timedelta(milliseconds=retention))
        table.to_stream().to(topic("changes"))
        seen = table.filter(lambda _, value: value % 2 == 0) if view else table
        stream = declare_stream(builder, topic("stream"))
        options = {} if grace is None else {"grace": timedelta(milliseconds=grace)}
        joined: Any = getattr(stream, kind)(seen, met, value_type=str, **options)
        joined.to(topic("out", value=str))

    return Engine(declare)


def met(value: int, held: int | None) -> str:
    return f"{value}@{held}"


def play(made: Engine, given: list[Any]) -> tuple[list[Row], list[Row]]:
    """What the join gives, and the changes of the table."""
    out: list[Row] = []
    changes: list[Row] = []
    for step in given:
        if step == "restart":
            made.restart()
        elif step == "commit":
            made.commit()
        else:
            made.give(step[0], step[1:])
            made.drain()
            out += made.read("out")
            changes += made.read("changes")
    return out, changes


@settings(max_examples=EXAMPLES, deadline=None)
@given(retentions, st.sampled_from(["join", "left_join"]), st.booleans(), histories)
def test_a_record_meets_what_was_held_at_its_time(retention: int, kind: str, view: bool, given: list[Any]) -> None:
    made, model = engine(retention, kind, None, view=view), Naive(retention)
    wanted: list[Row] = []
    taken: list[Row] = []
    lates = 0
    for step in given:
        if not isinstance(step, tuple):
            continue
        side, key, value, time = step
        if side == "stream":
            wanted += met_at(model, kind, key, value, time, view=view)
        elif key is not None and model.put(key, value, time):
            taken.append((key, value, time))
        elif key is not None:
            lates += 1
    assert play(made, given) == (wanted, taken)
    assert len(made.lates) == lates


def met_at(model: Naive, kind: str, key: str | None, value: int | None, time: int, *, view: bool) -> list[Row]:
    held = None if key is None else model.at(key, time)
    if view and held is not None and held % 2:
        held = None
    if value is None or (held is None and kind == "join"):
        return []
    return [(key, met(value, held), time)]


@settings(max_examples=EXAMPLES, deadline=None)
@given(retentions, histories)
def test_the_table_is_the_latest_and_remembers_what_was_before(retention: int, given: list[Any]) -> None:
    made, model = engine(retention, "join", None), Naive(retention)
    play(made, given)
    for step in given:
        if isinstance(step, tuple) and step[0] == "table" and step[1] is not None:
            model.put(*step[1:])
    states = {name: state for (name, _), state in made.states.items()}
    versions = versions_of(states, states["table"].spec, states["table-history"].spec)
    for key in ("a", "b"):
        assert states["table"].get(key) == model.latest(key)
        history = model.history(key)
        for time in sorted({*history, *(since + 1 for since in history), *(since - 1 for since in history), 70_000}):
            assert versions.at(states["table"].encode_key(key), time) == model.at(key, time)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(["join", "left_join"]), st.integers(0, 15), histories)
def test_with_a_grace_a_record_waits_for_the_table(kind: str, grace: int, given: list[Any]) -> None:
    retention = 40_000
    made, model = engine(retention, kind, grace), Naive(retention)
    wanted: list[Row] = []
    waiting: list[tuple[int, str, int, int]] = []
    stream_time = -1
    for number, step in enumerate(given):
        if not isinstance(step, tuple):
            continue
        side, key, value, time = step
        if side == "table":
            if key is not None:
                model.put(key, value, time)
            continue
        if value is None:
            continue
        if key is None or time < stream_time - grace:
            wanted += met_at(model, kind, key, value, time, view=False)
        else:
            waiting.append((time, key, number, value))
        if key is not None:
            stream_time = max(stream_time, time)
        for row in sorted(waiting):
            if row[0] <= stream_time - grace:
                waiting.remove(row)
                wanted += met_at(model, kind, row[1], row[3], row[0], view=False)
    out, _ = play(made, given)
    assert out == wanted
