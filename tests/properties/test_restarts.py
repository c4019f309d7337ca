"""Histories of workers that die in a commit, wherever it may be: what the next one finds has each record counted once.

Each record adds one to its key's count in table A, and every second one to that in table B.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.tasks.coverage import Coverage, headers
from streamz_actors.tasks.survey import Tail, judge
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import Headers, TopicPartition

IN = TopicPartition("in", 0)
A, B = "a", "b"
Record = tuple[str, int, Headers]
Tables = dict[str, dict[str, int]]

RECORDS = [f"k{number * number % 5}" for number in range(60)]


def counts(until: int) -> Tables:
    return {A: dict(Counter(RECORDS[:until])), B: dict(Counter(RECORDS[1:until:2]))}


def nonzero(tables: Tables) -> Tables:
    return {name: {key: count for key, count in table.items() if count} for name, table in tables.items()}


def marked(coverage: Coverage) -> list[Headers]:
    opens, closes = headers(coverage)
    column: list[Headers] = [()] * coverage.rows
    column[0] += opens
    column[-1] += closes
    return column


@dataclass
class Life:
    """A worker: how many records it takes for each flush, and how many records of its last one come to each log."""

    steps: list[int]
    arrives: tuple[int, int]
    committed: bool


@dataclass
class World:
    logs: dict[str, list[Record]] = field(default_factory=lambda: {A: [], B: []})
    at: int = 0
    ends: dict[str, int] = field(default_factory=lambda: {A: 0, B: 0})
    names: Iterator[int] = field(default_factory=lambda: iter(range(1_000)))

    def restored(self) -> tuple[int, Tables, dict[str, list[str]]]:
        """Where a worker begins, with which tables, and which keys it is to write anew."""
        tails = {}
        for name, log in self.logs.items():
            tails[name] = Tail(self.ends[name], len(log))
            column = [told for _, _, told in log[self.ends[name] :]]
            size, begin = len(column), self.ends[name]
            keys: list[bytes | None] = [key.encode() for key, _, _ in log[begin:]]
            tails[name].add(RawBatch(name, 0, keys, [b""] * size, [0] * size, range(begin, len(log)), column, len(log)))
        found = judge(tails, {IN: self.at}, counts=True)
        tables: Tables = {A: {}, B: {}}
        for name, log in self.logs.items():
            out = {offset for part in found.left_out.get(name, ()) for offset in part}
            tables[name] = {key: count for offset, (key, count, _) in enumerate(log) if offset not in out}
        return found.covered[IN], tables, {name: [key.decode() for key in keys] for name, keys in found.keys.items()}

    def write(self, since: int, until: int, dirty: dict[str, list[str]]) -> dict[str, list[Record]]:
        """The records of a flush."""
        name, now = f"w{next(self.names)}", counts(until)
        stores = tuple(table for table in (A, B) if dirty[table])
        rows = {}
        for table in stores:
            told = marked(Coverage(name, stores, {IN: until}, {IN: since}, len(dirty[table])))
            rows[table] = [(key, now[table].get(key, 0), head) for key, head in zip(dirty[table], told, strict=True)]
        return rows

    def live(self, life: Life) -> None:
        """Restores, checks that it has what it should, works, and dies in its last commit."""
        position, tables, anew = self.restored()
        assert nonzero(tables) == counts(position)
        for number, step in enumerate(life.steps):
            until = min(len(RECORDS), position + step)
            dirty = {
                A: sorted({*anew.get(A, ()), *RECORDS[position:until]}),
                B: sorted({*anew.get(B, ()), *(RECORDS[i] for i in range(position, until) if i % 2)}),
            }
            anew = {}
            rows = self.write(position, until, dirty)
            arrives = life.arrives if number == len(life.steps) - 1 else (len(RECORDS), len(RECORDS))
            for table, count in zip((A, B), arrives, strict=True):
                self.logs[table] += rows.get(table, [])[:count]
            position = until
            whole = all(len(rows.get(table, ())) <= count for table, count in zip((A, B), arrives, strict=True))
            if whole and (arrives != life.arrives or life.committed):
                self.at, self.ends = until, {name: len(log) for name, log in self.logs.items()}


lives = st.lists(
    st.builds(
        Life,
        st.lists(st.integers(0, 8), min_size=1, max_size=3),
        st.tuples(st.integers(0, 6), st.integers(0, 6)),
        st.booleans(),
    ),
    max_size=8,
)


@given(lives)
def test_whatever_a_worker_dies_of_in_a_commit_the_next_one_has_counted_each_record_once(history: list[Life]) -> None:
    world = World()
    for life in history:
        world.live(life)
    world.live(Life([0], (9, 9), True))
    world.ends = {A: len(world.logs[A]), B: len(world.logs[B])}  # what a copy applies that looks at no mark
    _, tables, _ = world.restored()
    assert nonzero(tables) == counts(world.at)
