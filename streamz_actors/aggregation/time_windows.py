"""Aggregations in windows of one size: tumbling, hopping, unlimited.

    1  rows without a key go; they do not move time
    2  each row is put into its windows: a line for each (`lines`)
    3  lines whose window has closed by then are late: stream time is the highest timestamp this operator has seen
    4  each line is folded into the entry of its window and key; a result has the latest time of its records
    5  results leave: each change, or what has closed (`closing`)

How entries lie in the store: `stores.windowed`, and `stores.bundles` for windows that overlap.
"""

from collections.abc import Sequence
from itertools import accumulate
from operator import sub
from typing import Any

from streamz_actors.aggregation.bundled import entries_of
from streamz_actors.aggregation.closing import Closed, Closing, Idle
from streamz_actors.aggregation.entries import Entries
from streamz_actors.aggregation.folding import Folding
from streamz_actors.aggregation.lines import Lines, spread_of
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.lateness import Lateness, OnLate
from streamz_actors.dataflow.node import Layout, Node, Operator, Place, StoreSpec
from streamz_actors.dataflow.topics import Topic
from streamz_actors.serde.packed import packed_by_column
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.bundles import BundledWindows, Bundles
from streamz_actors.stores.logged import NEVER
from streamz_actors.stores.segments import START
from streamz_actors.stores.windowed import AlignedWindows, OneWindow
from streamz_actors.types import Headers, TopicPartition
from streamz_actors.windows.definitions import FOREVER, Hopping, Tumbling, Unlimited

Aligned = Tumbling | Hopping


def time_state(window: Aligned, value: Schema[Any], retention: int) -> tuple[Schema[Any], Layout, int | None]:
    kept = max(retention, window.retention)
    if window.advance == window.size:
        return value, AlignedWindows(value, window.size, window.advance, kept), kept
    bundles = Bundles(value, window.size, window.advance)
    schema = packed_by_column(f"hopping/1/{bundles.slots}/{value.codec}", bundles.pack, bundles.unpack)
    return schema, BundledWindows(bundles, window.size, kept), kept


def unlimited_state(window: Unlimited, value: Schema[Any], retention: int) -> tuple[Schema[Any], Layout, int | None]:
    return value, OneWindow(value, window.start), None


def time_windows(
    parent: Node,
    spec: StoreSpec,
    window: Aligned | Unlimited,
    folding: Folding,
    *,
    emit: str,
    on_late: OnLate,
    close_on_idle: int | None,
) -> Node:
    """`close_on_idle` is in ms."""

    def build(place: Place) -> Operator:
        advance = FOREVER if isinstance(window, Unlimited) else window.advance
        entries = entries_of(place.states[spec.name].logged, spec, folding, advance)
        if isinstance(window, Unlimited):
            return Endless(entries, window)
        timeline = Timeline(entries, spec, window, Lateness(folding.what, place, on_late))
        if emit == "update":
            return Updates(entries, timeline, window)
        idle = None if close_on_idle is None else Idle(close_on_idle, place.clock)
        return Finals(entries, timeline, window, idle, TopicPartition(spec.name, place.partition))

    return Node(
        spec.name,
        folding.kind,
        build,
        (parent,),
        stores=(spec,),
        sends=(on_late,) if isinstance(on_late, Topic) else (),
        reads_keys=folding.reads_keys,
        reads_values=not folding.counting,
        asynchronous=folding.asynchronous,
        copartitioned=True,
        ticked=close_on_idle is not None,
        updates=emit == "update",
    )


class Timeline:
    """The stream time of one operator, kept in its store: what it makes late, and what of the store it lets go."""

    def __init__(self, entries: Entries, spec: StoreSpec, window: Aligned, lateness: Lateness) -> None:
        self._logged, self._length, self._lateness, self._window = entries.logged, entries.length, lateness, window
        self._kept = spec.retention or window.retention
        self._moment: int | None = None
        self._noted = self._expired = 0

    @property
    def moment(self) -> int:
        """The highest timestamp seen. Not to be asked before the store is restored."""
        if self._moment is None:
            self._moment = self._noted = self._logged.moment
        return self._moment

    def reach(self, top: int) -> None:
        self._moment = max(self.moment, top)

    def after_each(self, times: list[int]) -> list[int]:
        """Stream time after each row that comes next."""
        return _maxima(times, self.moment)

    def live(self, batch: Batch, lines: Lines, tops: list[int] | None = None) -> Lines:
        """The lines whose windows still take records; the others are reported. Stream time moves on."""
        times, retention = batch.timestamps, self._window.retention
        before, self._moment = self.moment, max(self.moment, max(times))
        self._logged.reach(self._moment)
        if not lines.firsts or min(lines.firsts) > self._moment - retention:
            return lines
        reached = lines.picked(_maxima(times, before) if tops is None else tops)
        if max(map(sub, reached, lines.firsts)) < retention:
            return lines
        return self._without_late(batch, lines, reached)

    def _without_late(self, batch: Batch, lines: Lines, tops: Sequence[int]) -> Lines:
        """Of a row's windows the first may have closed. `tops`: stream time at each row that is in windows."""
        size, advance, retention = self._window.size, lines.advance, self._window.retention
        rows: list[int] = []
        firsts: list[int] = []
        counts: list[int] = []
        for row, first, count, top in zip(lines.numbers, lines.firsts, lines.each, tops, strict=True):
            late = min(count, max(0, (top - retention - first) // advance + 1))
            for start in lines.span(first, late):
                self._lateness.drop(batch, row, top, (start, start + size))
            if late < count:
                rows.append(row)
                firsts.append(first + late * advance)
                counts.append(count - late)
        return Lines(rows, firsts, None if lines.counts is None else counts, advance)

    def settle(self) -> None:
        """Stream time is logged with what it has led to, and windows that nobody reads any longer go."""
        if self.moment > self._noted:
            self._noted = self.moment
            self._logged.note(max(self.moment, self._logged.moment))
        advance = self._window.advance
        oldest = self.moment // advance * advance - self._kept + 1
        self._expire(oldest)

    def _expire(self, oldest: int) -> None:
        """Entries go whose windows all begin before that. In steps: each is an erasure of its own."""
        below = oldest + self._window.advance - self._length
        if below - self._expired >= self._length:
            self._expired = below
            self._logged.expire(START.pack(below))


def _maxima(times: list[int], before: int) -> list[int]:
    """The highest time so far, row by row."""
    tops = list(accumulate(times, max, initial=before))
    del tops[0]
    return tops


class Endless(Operator):
    """One window for each key, which takes every row from its start on."""

    def __init__(self, entries: Entries, window: Unlimited) -> None:
        self._entries, self._spread, self._end = entries, spread_of(window), FOREVER

    async def process(self, batch: Batch) -> Batch | None:
        batch, raws = self._entries.keyed(self.guard, batch)
        lines = self._spread(batch.timestamps)
        if not len(lines):
            return None
        results = await self._entries.fold(self.guard, batch, lines, self._entries.keys(lines, raws), self.olds)
        return None if self.silent else self._entries.changes(batch, lines, raws, results, lambda start: self._end)


class Updates(Operator):
    """Each change leaves at once."""

    def __init__(self, entries: Entries, timeline: Timeline, window: Aligned) -> None:
        self._entries, self._timeline, self._size = entries, timeline, window.size
        self._spread = spread_of(window)

    async def process(self, batch: Batch) -> Batch | None:
        batch, raws = self._entries.keyed(self.guard, batch)
        if not len(batch):
            return None
        lines = self._timeline.live(batch, self._spread(batch.timestamps))
        self._timeline.settle()
        if not len(lines):
            return None
        size = self._size
        results = await self._entries.fold(self.guard, batch, lines, self._entries.keys(lines, raws), self.olds)
        return None if self.silent else self._entries.changes(batch, lines, raws, results, lambda start: start + size)


class Finals(Operator):
    """A window leaves when it has closed: behind the row that closed it, in the order of starts, then of encoded keys.

    None is lost where time jumps. With `idle`, all close when nothing has come for some time: stream time moves to
    where the last of them has closed, so that what comes for them later is late.
    """

    def __init__(
        self, entries: Entries, timeline: Timeline, window: Aligned, idle: Idle | None, origin: TopicPartition
    ) -> None:
        self._entries, self._timeline, self._window, self._idle = entries, timeline, window, idle
        self._spread = spread_of(window)
        self._closing: Closing | None = None
        self._last: tuple[TopicPartition, int] = (origin, -1)

    async def process(self, batch: Batch) -> Batch | None:
        if self._idle is not None:
            self._idle.touch()
        batch, raws = self._entries.keyed(self.guard, batch)
        if not len(batch):
            return None
        self._last = (batch.origin, batch.offsets[-1])
        closing = self._opened()
        tops = self._timeline.after_each(batch.timestamps)
        lines = self._timeline.live(batch, self._spread(batch.timestamps), tops)
        rows: list[int] = []
        closed: list[Closed] = []
        done = 0
        for row, edge in closing.crossings(tops):
            last = lines.up_to(row)
            await self._fold(batch, lines.part(done, last), raws)
            done, found = last, closing.close(edge)
            closed += found
            rows += [row] * len(found)
        await self._fold(batch, lines.part(done, len(lines.firsts)), raws)
        self._timeline.settle()
        if self.silent or not closed:
            return None
        offsets = [batch.offsets[row] for row in rows]
        headers = None if batch.headers is None else [batch.headers[row] for row in rows]
        return self._results(closed, batch.origin, offsets, headers)

    def advance(self, now: int, stream_time: int) -> Batch | None:
        if self._idle is None or not self._idle.due(now):
            return None
        closing, moment, window = self._opened(), self._timeline.moment, self._window
        if moment == NEVER:
            return None
        self._timeline.reach(moment // window.advance * window.advance + window.retention)
        closed = closing.close(closing.edge_at(self._timeline.moment))
        self._timeline.settle()
        if self.silent or not closed:
            return None
        origin, offset = self._last
        return self._results(closed, origin, [offset] * len(closed), None)

    def _opened(self) -> Closing:
        """What is open; asked for the first time after the store is restored."""
        if self._closing is None:
            window, entries = self._window, self._entries
            self._closing = Closing(entries.logged, entries, window.advance, window.retention)
            self._closing.edge = self._closing.edge_at(self._timeline.moment)
        return self._closing

    async def _fold(self, batch: Batch, lines: Lines, raws: list[bytes]) -> None:
        if not len(lines):
            return
        keys = self._entries.keys(lines, raws)
        await self._entries.fold(self.guard, batch, lines, keys, olds=False)
        self._opened().wrote(self._entries.beginnings(lines), keys)

    def _results(
        self, closed: list[Closed], origin: TopicPartition, offsets: list[int], headers: list[Headers] | None
    ) -> Batch:
        return self._entries.results(closed, self._window.size, origin, offsets, headers, self.olds)
