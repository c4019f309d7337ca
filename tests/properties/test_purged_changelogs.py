"""What a changelog loses when it is purged is what its store has erased: the rest comes back as it was, in any order.

The stores of everything that forgets with time, under records that come late and in leaps.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamz_actors import Hopping, JoinWindow, Session, Sliding, Tumbling
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.stores.logged import MOMENT, stamp
from streamz_actors.stores.segments import time_of
from streamz_actors.streams.declare import declare_stream, declare_table
from streamz_actors.tables.mapping import State
from streamz_actors.worker.purge import oldest
from tests.properties.engine import Engine, MakeTopic
from tests.properties.machine import EXAMPLES, Column, steps
from tests.properties.test_windows_of_agents import Handler

SECOND = 1_000

Record = tuple[str, str, int, int, bool]
"""Topic, key, how far time goes on with it and how much earlier it happened in ms, whether a commit follows."""

RECORD: list[Column] = [
    [["one", "one", "two"]],
    [["a", "a", "b"]],
    [[0], range(0, 20 * SECOND, SECOND), [60 * SECOND, 400 * SECOND]],
    [[0, 1], range(0, 90 * SECOND, SECOND), [300 * SECOND]],
    [[False, False, True]],
]
histories = steps(RECORD, most=40)

LEAP: list[Record] = [
    ("one", "a", 10 * SECOND, 0, False),
    ("one", "a", 0, 10 * SECOND + 1, True),
    ("one", "a", 150 * SECOND, 0, True),
]
"""A record a millisecond before a segment begins makes a sliding window in it, of which all before is then erased."""


class Changelog:
    """What the commits of one state write, purged and checked behind each; `compacts`: and compacted before."""

    def __init__(self, *, compacts: bool) -> None:
        self.records: list[tuple[bytes, bytes | None, int]] = []
        self.longest = 0
        self._compacts = compacts

    def commit(self, state: State) -> None:
        columns = state.logged.begin_flush()
        self.records += zip(*columns, strict=True)
        state.logged.apply(*columns, None)
        state.logged.end_flush()
        if self._compacts:
            last = {key: at for at, (key, _, _) in enumerate(self.records)}
            self.records = [record for at, record in enumerate(self.records) if last[record[0]] == at]
        before = oldest(state)
        times = [time for _, _, time in self.records]
        del self.records[: next((at for at, time in enumerate(times) if time >= before), len(times))]
        self.longest = max(self.longest, len(self.records))
        self._check(state)

    def _check(self, state: State) -> None:
        """Restored, the store holds what it holds now, but for what it will not be asked for any more."""
        restored = {key: None if raw is None else stamp(time, raw) for key, raw, time in self.records}
        for found in (restored, stored := dict(state.logged.store.scan())):
            for key in [key for key in found if key != MOMENT and time_of(key) < state.logged.erased]:
                del found[key]
        assert {key: raw for key, raw in restored.items() if raw is not None} == stored


class Logging(Engine):
    """All its stores that forget with time log."""

    def __init__(self, declare: Callable[[TopologyBuilder, MakeTopic], None], *, compacts: bool) -> None:
        super().__init__(declare)
        kept = [state for state in self.states.values() if state.spec.retention is not None]
        self.now = 1_200_000 * SECOND
        self.logs = {state: Changelog(compacts=compacts) for state in kept}

    def commit(self) -> None:
        self.drain(100)  # in runs: stream time is written behind what a run has changed
        for state, log in self.logs.items():
            log.commit(state)
        super().commit()

    def play(self, history: list[Record]) -> None:
        for topic, key, step, late, commits in history:
            self.now += step
            self.give(topic, (key, 1, self.now - late))
            if commits:
                self.commit()
        self.commit()


WINDOWS: dict[str, Any] = {
    "tumbling": Tumbling(60, grace=30),
    "short tumbling": Tumbling(5),
    "hopping": Hopping(60, 20, grace=30),
    "session": Session(30, grace=60),
    "long session": Session(120),
    "sliding": Sliding(30, grace=60),
}


def counted(window: Any, **options: Any) -> Callable[[Any, Any], Any]:
    return lambda one, two: one.group_by_key().windowed_by(window).count("t", **options)


def added(key: str, value: int, aggregate: int) -> int:
    return aggregate + value


def cogrouped(window: Any) -> Callable[[Any, Any], Any]:
    def declare(one: Any, two: Any) -> None:
        groups = one.group_by_key().cogroup(added).cogroup(two.group_by_key(), added).windowed_by(window)
        merges = {"merger": lambda key, some, others: some + others} if isinstance(window, Session) else {}
        groups.aggregate(int, "t", **merges)

    return declare


def joined(kind: str) -> Callable[[Any, Any], Any]:
    within = JoinWindow(before=20, after=60, grace=30)
    return lambda one, two: getattr(one, kind)(two, lambda left, right: [left, right], within=within, name="j")


DECLARED = {
    **{name: counted(window) for name, window in WINDOWS.items()},
    **{f"{name} kept for long": counted(window, retention=900) for name, window in WINDOWS.items()},
    **{f"{name} when closed": counted(window, emit="close") for name, window in WINDOWS.items()},
    **{f"{name} of groups": cogrouped(window) for name, window in WINDOWS.items()},
    **{kind: joined(kind) for kind in ("join", "outer_join")},
}


def of_streams(name: str) -> Callable[[TopologyBuilder, MakeTopic], None]:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        DECLARED[name](declare_stream(builder, topic("one")), declare_stream(builder, topic("two")))

    return declare


def of_versions(builder: TopologyBuilder, topic: MakeTopic) -> None:
    declare_table(builder, topic("one"), versioned=timedelta(seconds=120))
    declare_table(builder, topic("two"), versioned=timedelta(seconds=2))


@pytest.mark.parametrize("name", DECLARED)
@given(histories, st.booleans())
@example(LEAP, False)
@settings(max_examples=max(1, EXAMPLES // 10), deadline=None)
def test_windows_and_joins_come_back_from_what_is_left(name: str, history: list[Record], compacts: bool) -> None:
    engine = Logging(of_streams(name), compacts=compacts)
    assert engine.logs
    engine.play(history)


@given(histories, st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_so_does_what_versioned_tables_held(history: list[Record], compacts: bool) -> None:
    engine = Logging(of_versions, compacts=compacts)
    assert len(engine.logs) == 2, "of the latest values nothing is deleted"
    engine.play(history)


class Logs(Handler):
    """Of a handler whose table's commits are logged."""

    log: Changelog

    def commit(self) -> None:
        self.log.commit(self.state)


@pytest.mark.parametrize("name", WINDOWS)
@given(histories, st.booleans(), st.sampled_from([0.0, 60.0]))
@settings(max_examples=max(1, EXAMPLES // 10), deadline=None)
def test_so_do_windows_that_handlers_write(name: str, history: list[Record], compacts: bool, expires: float) -> None:
    handler = Logs(WINDOWS[name], expires)
    handler.log = Changelog(compacts=compacts)
    now, events = 1_200_000 * SECOND, []
    for _, key, step, late, commits in history:
        now += step
        events.append((key, 1, now - late, commits))
    handler.add(events)
    handler.commit()


@pytest.mark.parametrize("name", DECLARED)
def test_a_changelog_grows_no_longer_than_what_is_kept(name: str) -> None:
    engine = Logging(of_streams(name), compacts=False)
    history: list[Record] = [("one" if each % 2 else "two", "a", 5 * SECOND, 0, True) for each in range(800)]
    engine.play(history)
    longest = {log: log.longest for log in engine.logs.values()}
    engine.play(history)
    assert {log: log.longest for log in engine.logs.values()} == pytest.approx(longest, rel=0.1)
