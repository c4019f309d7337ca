"""Entries of windows, one for each window and key: how they are keyed, folded, and shown to those below."""

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

from streamz_actors.aggregation.closing import Closed
from streamz_actors.aggregation.folding import Folding, counted
from streamz_actors.aggregation.lines import Lines
from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import failure
from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.errors import EncodeError, StreamzError
from streamz_actors.serde.schema import windowed_around
from streamz_actors.serde.windowed import bounds
from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.segments import START, key_of, time_of
from streamz_actors.types import Headers, TopicPartition


class Results:
    """What lines have led to, as columns. `olds` is empty where nobody asked for it."""

    __slots__ = ("olds", "timestamps", "values")

    def __init__(self, values: Column, timestamps: list[int], olds: Column) -> None:
        self.values, self.timestamps, self.olds = values, timestamps, olds


class Entries:
    """Of one aggregation in one task."""

    def __init__(self, logged: LoggedStore, spec: StoreSpec, folding: Folding) -> None:
        self.logged, self.value = logged, spec.value_schema
        self._key, self._windowed = spec.key_schema, windowed_around(spec.key_schema)
        self._folding = folding
        self._line = 0

    def keyed(self, batch: Batch) -> tuple[Batch, list[bytes]]:
        """The rows that have a key, and their keys, encoded."""
        raws: list[Any] = batch.encoded_keys(self._key)
        if None not in raws:
            return batch, raws
        there = [raw is not None for raw in raws]
        return batch.select(there), list(compress(raws, there))

    def keys(self, lines: Lines, raws: list[bytes]) -> list[bytes]:
        """Where the entries of lines are, given the encoded keys of their rows."""
        marks = {start: START.pack(start) for start in set(lines.starts)}
        if len(marks) == 1:
            (mark,) = marks.values()
            return [mark + raw for raw in raws]
        return [marks[start] + raw for start, raw in zip(lines.starts, raws, strict=True)]

    async def fold(self, batch: Batch, lines: Lines, keys: list[bytes], olds: bool) -> Results:
        """Folds each line into its entry. Errors say which record it was."""
        times = lines.of(batch.timestamps)
        if self._folding.counting:
            counts = counted(self.logged, keys, times)
            values = [value for value, _, _ in counts]
            before = [value - 1 or None for value in values] if olds else []
            return Results(values, [time for _, _, time in counts], before)
        try:
            return await self._folded(batch, lines, keys, times, olds)
        except EncodeError as error:
            raise batch.misfit(f"{self._folding.what}: value", lines.row(self._line), error) from error
        except StreamzError:
            raise
        except Exception as error:
            raise failure(self._folding.what, batch, lines.row(self._line), error) from error

    async def _folded(self, batch: Batch, lines: Lines, raws: list[bytes], times: list[int], olds: bool) -> Results:
        folding, logged = self._folding, self.logged
        initializer, step, asynchronous = folding.initializer, folding.step, folding.asynchronous
        overlay, find, decode, put = logged.overlay, logged.find, self.value.decode, logged.put
        logged.load(raws)
        news: Column = []
        latest: list[int] = []
        before_each: Column = []
        values = lines.of(batch.values)
        keys = lines.of(batch.keys) if folding.reads_keys else values
        self._line = -1
        for raw, key, value, time in zip(raws, keys, values, times, strict=True):
            self._line += 1
            old, stored, last = overlay.get(raw) or find(raw)
            if stored is not None and old is None:
                old = decode(stored)
            if old is None:
                new = value if initializer is None else step(key, value, initializer())
            else:
                if last > time:
                    time = last
                new = step(key, value, old)
            if asynchronous and not (old is None and initializer is None):
                new = await new
            put(raw, new, time)
            news.append(new)
            latest.append(time)
            if olds:
                # Decoded anew where the aggregator may have changed what it was given.
                before_each.append(old if stored is None else decode(stored))
        return Results(news, latest, before_each)

    def changes(
        self, batch: Batch, lines: Lines, raws: list[bytes], results: Results, end: Callable[[int], int]
    ) -> Batch:
        """Results under their windowed keys; `end` gives a window's end for its start."""
        marks = {start: bounds(start, end(start)) for start in set(lines.starts)}
        return Batch(
            batch.origin,
            batch.offsets if lines.rows is None else lines.of(batch.offsets),
            results.timestamps,
            self._windowed,
            self.value,
            raw_keys=[raw + marks[start] for raw, start in zip(raws, lines.starts, strict=True)],
            values=results.values,
            headers=None if batch.headers is None else lines.of(batch.headers),
            olds=results.olds or None,
        )

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
            self.value,
            raw_keys=keys,
            values=[row.value for row in closed],
            headers=headers,
            olds=[None] * len(closed) if olds else None,
        )
