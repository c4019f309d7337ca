"""One windowed operator over a store, fed in runs of any length, committed and restarted anywhere: without a task."""

import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from streamz_actors.clock import ManualClock
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.tables.mapping import State
from tests.unit.operators.bench import FakePlace, batch_of, build

EXAMPLES = int(os.environ.get("STREAMZ_EXAMPLES", "1000"))
"""How many random streams each property is tried on."""

MANY = 10_000
"""Above it streams are made from seeds: hypothesis takes five times as long to draw a stream as the test does to play
it. What fails then is not made smaller.
"""

Row = tuple[str | None, int | None, int]
"""Key, value, timestamp."""

Shown = tuple[str, int, int, Any, int]
"""Key, start and end of the window, value, timestamp."""

KEYS = ["a", "b", "c", None]
THEN = ["", "", "begin", "end", "restart"]

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """Rows that come together, and what happens behind them: "", "begin" and "end" of a commit, "restart"."""

    rows: list[Row]
    then: str


def rows(latest: int = 60, *, least: int = 0) -> st.SearchStrategy[Row]:
    """Out of order, with ties, keys and values that are missing."""
    return st.tuples(
        st.sampled_from(KEYS),
        st.one_of(st.none(), st.integers(0, 9)),
        st.one_of(st.integers(least, latest), st.integers(least, latest), st.just(latest * 40)),
    )


def runs(latest: int = 60) -> st.SearchStrategy[list[Run]]:
    if EXAMPLES > MANY:
        return st.integers(0, 2**63).map(lambda seed: drawn_runs(Random(seed), latest))
    return st.lists(st.builds(Run, st.lists(rows(latest), max_size=6), st.sampled_from(THEN)), max_size=12)


def drawn_runs(draw: Random, latest: int) -> list[Run]:
    """As `runs`."""

    def row() -> Row:
        value = draw.randrange(10) if draw.random() < 0.7 else None
        return draw.choice(KEYS), value, draw.randint(0, latest) if draw.random() < 0.85 else latest * 40

    lengths = [draw.randint(0, 6) for _ in range(draw.randint(0, 12))]
    return [Run([row() for _ in range(length)], draw.choice(THEN)) for length in lengths]


Column = Sequence[Sequence[Any]]
"""One of several stretches of values, each as likely as the others."""


def steps(
    columns: Sequence[Column], others: Sequence[str] = (), *, often: int = 3, most: int
) -> st.SearchStrategy[Any]:
    """Lists of tuples, a value for each column; among `often` of them, one of the `others`."""
    if EXAMPLES > MANY:
        return st.integers(0, 2**63).map(lambda seed: drawn_steps(Random(seed), columns, others, often, most))
    tuples = st.tuples(*(st.one_of(*map(st.sampled_from, column)) for column in columns))
    return st.lists(st.one_of(*[tuples] * often, st.sampled_from(others)) if others else tuples, max_size=most)


def drawn_steps(draw: Random, columns: Sequence[Column], others: Sequence[str], often: int, most: int) -> list[Any]:
    """As `steps`."""

    def step() -> Any:
        if others and not draw.randrange(often + 1):
            return draw.choice(others)
        return tuple([draw.choice(draw.choice(column)) for column in columns])

    return [step() for _ in range(draw.randint(0, most))]


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never suspends."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # what the coroutine returns
    raise AssertionError("it suspended")


class Machine:
    def __init__(self, spec: StoreSpec, node: Node, *, olds: bool = False) -> None:
        self.spec, self._node, self._olds = spec, node, olds
        self._shelf = MemoryBackend().open("task", {spec.name: "test"})
        self._flushing: tuple[list[bytes], list[bytes | None], list[int]] | None = None
        self.clock = ManualClock()
        self.lates: list[Late] = []
        self.batches: list[Batch] = []
        self._offset = 0
        self._start()

    def _start(self) -> None:
        self.state = State(self.spec, self._shelf.stores[self.spec.name], 0, 1)
        place = FakePlace({self.spec.name: self.state}, clock=self.clock, lates=self.lates)
        self.operator = build(self._node, place, olds=self._olds)

    def play(self, given: Iterable[Run]) -> list[Shown]:
        """What comes out, window by window."""
        out: list[Shown] = []
        for run in given:
            if run.rows:
                out += self.send(run.rows)
            self._then(run.then)
        return out

    def send(self, given: list[Row]) -> list[Shown]:
        return self._shown(finished(self.operator.process(batch_of(given))))

    def tick(self) -> list[Shown]:
        return self._shown(self.operator.advance(self.clock.now(), 0))

    def _shown(self, batch: Batch | None) -> list[Shown]:
        if batch is None:
            return []
        self.batches.append(batch)
        columns = zip(batch.keys, batch.values, batch.timestamps, strict=True)
        return [(key.key, key.start, key.end, value, time) for key, value, time in columns]

    def _then(self, what: str) -> None:
        if what == "begin" and self._flushing is None:
            self._flushing = self.state.logged.begin_flush()
        elif what == "end" and self._flushing is not None:
            self._end()
        elif what == "restart":
            if self._flushing is not None:
                self._end()
            self._flushing = self.state.logged.begin_flush()
            self._end()
            self._start()

    def _end(self) -> None:
        assert self._flushing is not None, "a commit has begun"
        self.state.logged.apply(*self._flushing, None)
        self.state.logged.end_flush()
        self._flushing = None


def flattened(given: Iterable[Run]) -> list[Row]:
    return [row for run in given for row in run.rows]


Step = Callable[[str, int | None, Any], Any]


def longer(key: str, value: int | None, before: list[int]) -> list[int] | None:
    """An aggregator that changes what it is given, and that deletes at a 9."""
    if value == 9:
        return None
    before.append(-1 if value is None else value)
    return before
