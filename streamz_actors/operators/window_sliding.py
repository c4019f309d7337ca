"""Aggregations in sliding windows: every set of records of a key that lie at most `size` apart, with both bounds.

Each record ends a window, its *left* one: [time - size, time]. It begins another just behind it, its *right* one:
[time + 1, time + 1 + size], which is there as soon as a record falls into it. For each row that has a key and a value:

    1  the windows that it is in take it
    2  the record before it gets its right window, if it had none and the row is in it
    3  the row gets its left window, which begins with what the record before it has in common with it
    4  the row gets its right window, if records are in it already: with what the windows around it held of them

No window begins before the epoch: what comes in its first `size` ms is together in [0, size].
"""

from bisect import bisect_left
from operator import itemgetter
from typing import Any, Final

from streamz_actors.dataflow.node import Layout, Node, StoreSpec
from streamz_actors.operators.folding import Folding
from streamz_actors.operators.lateness import OnLate
from streamz_actors.operators.window_rows import WindowRows
from streamz_actors.operators.window_spans import (
    Geometry,
    Part,
    Setting,
    SpanLayout,
    Spanning,
    spans_node,
    spans_schema,
)
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.spans import Span, Spans
from streamz_actors.windows.definitions import Sliding

ALONE: Final = Part()


def sliding_state(window: Sliding, value: Schema[Any], retention: int) -> tuple[Schema[Any], Layout, int]:
    """`retention`: how long windows are to be kept, in ms from their starts, if that is longer than they need."""
    kept = max(retention, window.retention)
    return spans_schema("sliding/1", value), SpanLayout(value, _geometry(window), kept), kept


def _geometry(window: Sliding) -> Geometry:
    return Geometry(by=0, reach=window.size + window.grace, size=window.size)


def sliding(
    parent: Node,
    spec: StoreSpec,
    window: Sliding,
    folding: Folding,
    /,
    *,
    emit: str,
    on_late: OnLate,
    close_on_idle: int | None,
    part: Part = ALONE,
) -> Node:
    """`close_on_idle` is in ms."""

    def make(setting: Setting) -> SlidingWindows:
        return SlidingWindows(setting, window.size)

    return spans_node(
        parent, spec, folding, _geometry(window), make, part, emit=emit, on_late=on_late, close_on_idle=close_on_idle
    )


class Record:
    """The row at hand, and what it changes: by start, the window as it is then, None for one that goes."""

    __slots__ = ("changes", "edge", "key", "out", "raw", "time", "value")

    def __init__(self, out: WindowRows, raw: bytes, key: Any, value: Any, time: int, edge: int) -> None:
        self.out, self.raw, self.key, self.value, self.time, self.edge = out, raw, key, value, time, edge
        self.changes: dict[int, Span | None] = {}


class SlidingWindows(Spanning):
    skips_nulls = True

    def __init__(self, setting: Setting, size: int) -> None:
        super().__init__(setting, 2 * size)
        self._size = size

    async def fold(self, out: WindowRows, raw: bytes, key: Any, value: Any, time: int, edge: int) -> None:
        size = self._size
        if time < 0:
            return
        if time < edge:
            self.late(time, time + size)
            return
        record = Record(out, raw, key, value, time, edge)
        near = self._near(raw, time)
        await (self._early(record, near) if time < size else self._slide(record, near))
        if record.changes:
            self._write(raw, record.changes, time)

    def _near(self, raw: bytes, time: int) -> list[Span]:
        """The windows of a key that the row, or the record before it, may be in, and the row's right one; by start."""
        store = self.store
        # Kept one millisecond longer where windows are awaited until they close: as in Kafka Streams.
        oldest = store.newest - self.retention + (0 if self.closes else 1)
        low = max(0, time - 2 * self._size, oldest)
        near: list[Span] = []
        for segment in range(store.segments.start(low), min(time + 1, store.newest) + 1, store.length):
            spans = store.at(store.key(segment, raw))
            near += spans[bisect_left(spans, (low,)) : bisect_left(spans, (time + 2,))]
        return near

    async def _slide(self, record: Record, near: list[Span]) -> None:
        time, size = record.time, self._size
        right = left = previous = None
        has_left = has_right = False
        # 1: from the latest window on, so that the first which holds records behind the row tells what they are
        for span in reversed(near):
            end = span[0] + size
            if span[0] == time + 1:
                has_right = True
            elif end > time:
                right = right or span
                await self._take(record, span[0], span, span)
            elif end == time:
                has_left = True
                await self._take(record, span[0], span, span)
                if span[1] >= time:
                    return  # a record of this moment has made all the windows already
                previous = span[1]
            else:
                left, previous = span, span[1]
                break
        starts = {span[0] for span in near}
        # 2
        if previous is not None and previous + 1 not in starts and previous + 1 + size >= time:
            await self._take(record, previous + 1, None, None)
        # 3
        if not has_left:
            common = previous is not None and time - size <= previous
            await self._take(record, time - size, None, left if common else None)
        # 4
        if not has_right:
            self._split(record, right)

    async def _early(self, record: Record, near: list[Span]) -> None:
        """In the first `size` ms after the epoch, where left windows are one."""
        time = record.time
        right = combined = previous = None
        for span in near:
            if span[0] == 0:
                combined = span
                previous = span[1] if span[1] < time else None
            elif span[0] <= time:
                right = span
                await self._take(record, span[0], span, span)
        if right is None and combined is not None:
            right = combined
        starts = {span[0] for span in near}
        if time + 1 not in starts:
            self._split(record, right)
        if previous is not None and previous + 1 not in starts:
            await self._take(record, previous + 1, None, None)
        await self._take(record, 0, combined, combined)

    async def _take(self, record: Record, start: int, before: Span | None, origin: Span | None) -> None:
        """A window takes the row: one that is there, or a new one that begins with what `origin` holds, if anything."""
        if start < record.edge:
            self.late(start, start + self._size)
            return
        held = None if origin is None else self.store.value(origin)
        new = (held or 0) + 1 if self.folding.counting else await self._step(record, held)
        latest = record.time if before is None else max(record.time, before[1])
        record.changes[start] = None if new is None else self.store.span(start, latest, new)
        self.changed(record.out, record.raw, start, start + self._size, new, latest, before)

    async def _step(self, record: Record, held: Any) -> Any:
        initializer = self.folding.initializer
        if held is None:
            if initializer is None:
                return record.value
            held = initializer()
        new = self.folding.step(record.key, record.value, held)
        return await new if self.step_waits else new

    def _split(self, record: Record, around: Span | None) -> None:
        """The row's right window, if what is around it holds records that are behind the row."""
        if around is None or around[1] <= record.time:
            return
        _, latest, value, raw = around
        start = record.time + 1
        record.changes[start] = (start, latest, value, raw)
        shown = self.store.value(around)
        self.changed(record.out, record.raw, start, start + self._size, shown, latest, None)

    def _write(self, raw: bytes, changes: dict[int, Span | None], time: int) -> None:
        store = self.store
        store.newest = max(store.newest, *changes)
        oldest = self.oldest()
        parts: dict[int, list[int]] = {}
        for start in changes:
            parts.setdefault(start - start % store.length, []).append(start)
        for segment, starts in parts.items():
            key = store.key(segment, raw)
            kept = _merged(store.at(key), {start: changes[start] for start in starts}, oldest)
            store.put(key, kept, time)
        for start, span in changes.items():
            if span is not None:
                self.opened(raw, start)


def _merged(spans: Spans, changes: dict[int, Span | None], oldest: int) -> Spans:
    """Windows with changes, by start, without those out of retention."""
    kept = [span for span in spans if span[0] >= oldest and span[0] not in changes]
    kept += [span for span in changes.values() if span is not None and span[0] >= oldest]
    kept.sort(key=itemgetter(0))
    return tuple(kept)
