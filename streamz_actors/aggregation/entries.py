"""Entries of windows, one for each window and key: how they are keyed, folded, and shown to those below."""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any

from streamz_actors.aggregation.closing import Closed
from streamz_actors.aggregation.folding import Folding
from streamz_actors.aggregation.lines import Lines
from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.guard import Guard
from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.serde.schema import windowed_around
from streamz_actors.serde.windowed import bounds
from streamz_actors.stores.counting import Find, counted
from streamz_actors.stores.logged import ABSENT, Held, LoggedStore
from streamz_actors.stores.segments import START, key_of, time_of
from streamz_actors.types import Headers, TopicPartition


class Results:
    """What lines have led to, as columns. `olds` is empty where nobody asked for it. `gone`: the lines, by number, that
    were given up; they have led to nothing.
    """

    __slots__ = ("gone", "olds", "timestamps", "values")

    def __init__(self, values: Column, timestamps: list[int], olds: Column, gone: Iterable[int] = ()) -> None:
        self.values, self.timestamps, self.olds, self.gone = values, timestamps, olds, set(gone)

    def add(self, other: "Results") -> None:
        """What further lines have led to."""
        self.gone |= {len(self.values) + line for line in other.gone}
        self.values += other.values
        self.timestamps += other.timestamps
        self.olds += other.olds


class Entries:
    """Of one aggregation in one task. `value` is the schema of what is stored, `result` that of a window's value."""

    def __init__(self, logged: LoggedStore, spec: StoreSpec, folding: Folding, length: int) -> None:
        """`length`: how far apart the times are, in ms, with which keys of the store begin."""
        assert spec.layout is not None
        self.logged, self.value, self.result = logged, spec.value_schema, spec.layout.value_schema
        self._key, self._windowed = spec.key_schema, windowed_around(spec.key_schema)
        self.length, self._folding = length, folding

    def keyed(self, guard: Guard, batch: Batch) -> tuple[Batch, list[bytes]]:
        """The rows that have a key, and their keys, encoded."""
        keyed: tuple[Batch, list[Any]] = guard.keyed(self._folding.what, batch, self._key)
        batch, raws = keyed
        if None not in raws:
            return batch, raws
        there = [raw is not None for raw in raws]
        return batch.select(there), list(compress(raws, there))

    def keys(self, lines: Lines, raws: list[bytes]) -> list[bytes]:
        """Where the entries of lines are, given the encoded keys of all rows."""
        raws, starts = lines.of(raws), lines.starts
        marks = {start: START.pack(start) for start in set(starts)}
        if len(marks) == 1:
            (mark,) = marks.values()
            return [mark + raw for raw in raws]
        return [marks[start] + raw for start, raw in zip(starts, raws, strict=True)]

    def beginnings(self, lines: Lines) -> list[int]:
        """The time that each of `keys` begins with."""
        return lines.starts

    def find(self, lines: Lines, raws: list[bytes]) -> Find:
        """How to find, of the entries with these keys, those that the overlay does not hold.

        Nothing was stored yet of windows that begin later than any did at the last commit: nobody is asked for them.
        """
        first = min(lines.firsts)
        if not self.logged.stored_from(first - first % self.length):
            return _nothing
        self.logged.load(raws)
        return self.logged.beneath

    def opened(self, rows: list[Closed], since: int, until: int) -> list[Closed]:
        """The windows in entries that begin at since <= ms < until: of this kind, an entry is one."""
        return rows

    async def fold(self, guard: Guard, batch: Batch, lines: Lines, raws: list[bytes], olds: bool) -> Results:
        """Folds each line into its entry; `raws` are the keys of the lines."""
        folding, logged, times = self._folding, self.logged, lines.of(batch.timestamps)
        find = self.find(lines, raws)
        if folding.counting:
            counts = counted(logged.overlay, find, raws, times)
            before = [count - 1 or None for count, _, _ in counts] if olds else []
            return Results([count for count, _, _ in counts], [time for _, _, time in counts], before)
        initializer, step, asynchronous = folding.initializer, folding.step, folding.asynchronous
        overlay, decode, put = logged.overlay, self.value.decode, logged.put
        news: Column = []
        latest: list[int] = []
        before_each: Column = []
        gone: list[int] = []
        values = lines.of(batch.values)
        keys = lines.of(batch.keys) if folding.reads_keys else values
        for raw, key, value, time in zip(raws, keys, values, times, strict=True):
            old, stored, last = overlay.get(raw) or find(raw)
            if stored is not None and old is None:
                old = decode(stored)
            if old is not None and last > time:
                time = last
            try:
                if old is not None:
                    new = step(key, value, old)
                else:
                    new = value if initializer is None else step(key, value, initializer())
                if asynchronous and not (old is None and initializer is None):
                    new = await new
                put(raw, new, time)
            except Exception as error:
                guard.failed(folding.what, batch, lines.row(len(news)), error)
                gone.append(len(news))
                new = None
            news.append(new)
            latest.append(time)
            if olds:
                # Decoded anew where the aggregator may have changed what it was given.
                before_each.append(old if stored is None else decode(stored))
        return Results(news, latest, before_each, gone)

    def changes(
        self, batch: Batch, lines: Lines, raws: list[bytes], results: Results, end: Callable[[int], int]
    ) -> Batch:
        """Results under their windowed keys, given the encoded keys of all rows; `end` gives a window's end for its
        start.
        """
        made = Batch(
            batch.origin,
            batch.offsets if lines.rows is lines.counts is None else lines.of(batch.offsets),
            results.timestamps,
            self._windowed,
            self.result,
            raw_keys=_shown_keys(lines, raws, end),
            values=results.values,
            headers=None if batch.headers is None else lines.of(batch.headers),
            olds=results.olds or None,
        )
        return made.select([line not in results.gone for line in range(len(made))]) if results.gone else made

    def results(
        self,
        closed: Sequence[Closed],
        size: int,
        origin: TopicPartition,
        offsets: list[int],
        headers: list[Headers] | None,
        olds: bool,
    ) -> Batch:
        """Closed windows under their windowed keys, as made from these offsets. Nothing was there before them."""
        keys: list[bytes | None] = []
        for row in closed:
            start = time_of(row.key)
            keys.append(key_of(row.key) + bounds(start, start + size))
        return Batch(
            origin,
            offsets,
            [row.timestamp for row in closed],
            self._windowed,
            self.result,
            raw_keys=keys,
            values=[row.value for row in closed],
            headers=headers,
            olds=[None] * len(closed) if olds else None,
        )


def _nothing(raw: bytes) -> Held:
    return ABSENT


def _shown_keys(lines: Lines, raws: list[bytes], end: Callable[[int], int]) -> list[bytes | None]:
    """The windowed key of each line."""
    picked, firsts = lines.picked(raws), lines.firsts
    if lines.counts is None:
        marks = {start: bounds(start, end(start)) for start in set(firsts)}
        return [raw + marks[start] for raw, start in zip(picked, firsts, strict=True)]
    spans = list(zip(firsts, lines.counts, strict=True))
    behind = {span: [bounds(start, end(start)) for start in lines.span(*span)] for span in set(spans)}
    return [raw + mark for raw, span in zip(picked, spans, strict=True) for mark in behind[span]]
