"""Aggregations in sliding windows: every set of records of a key that lie at most `size` apart, with both bounds.

Each record ends a window, its *left* one: [time - size, time]. It begins another just behind it, its *right* one:
[time + 1, time + 1 + size], which is there as soon as a record falls into it. For each row that has a key and a value:

    1  the windows that it is in take it
    2  the record before it gets its right window, if it had none and the row is in it
    3  the row gets its left window, which begins with what the record before it has in common with it
    4  the row gets its right window, if records are in it already: with what the windows around it held of them

No window begins before the epoch: what comes in its first `size` ms is together in [0, size].
"""

from bisect import bisect_left, insort
from operator import itemgetter
from typing import Any, Final

from streamz_actors.aggregation.folding import Folding
from streamz_actors.aggregation.rows import WindowRow
from streamz_actors.aggregation.spans import (
    Geometry,
    Part,
    Setting,
    SpanLayout,
    Spanning,
    spans_node,
    spans_schema,
)
from streamz_actors.dataflow.lateness import OnLate
from streamz_actors.dataflow.node import Layout, Node, StoreSpec
from streamz_actors.serde.schema import Schema
from streamz_actors.serde.windowed import bounds
from streamz_actors.stores.spans import Span, Spans
from streamz_actors.windows.definitions import Sliding

ALONE: Final = Part()

_START: Final = itemgetter(0)


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


Taking = tuple[int, Span | None, Span | None]
"""A window that takes the row: its start, what is there of it, and whose content it begins with if nothing is."""


Plan = tuple[list[Taking], Span | None, int]
"""What becomes of a row, in order: the windows that take it; what its right window begins with, if it gets one; and
behind how many of the others that one comes.
"""


class SlidingWindows(Spanning):
    skips_nulls = True

    def __init__(self, setting: Setting, size: int) -> None:
        super().__init__(setting, 2 * size)
        self._size = size
        self._read_of: dict[int, tuple[bytes, Spans]] = {}
        """By segment: the key and the spans that the row at hand has found there."""

    async def fold(self, out: list[WindowRow], raw: bytes, key: Any, value: Any, time: int, edge: int) -> None:
        if self._past(time, edge):
            return
        size = self._size
        near = self._near(raw, time)
        takings, right, right_at = early(near, time) if time < size else slide(near, time, size)
        store, step, counting, shows, olds = self.store, self.folding.step, self.folding.counting, self.shows, self.olds
        changes: dict[int, Span | None] = {}
        for number, (start, before, origin) in enumerate(takings):
            if right is not None and number == right_at:
                self._split(out, raw, time, right, changes)
            if start < edge:
                self.late(start, start + size)
                continue
            held = None if origin is None else origin[2] if origin[2] is not None else store.value(origin)
            if held is None:
                new = self._begun(key, value)
            else:
                new = held + 1 if counting else step(key, value, held)
            if self.step_waits:
                new = await new
            latest = time if before is None or before[1] < time else before[1]
            changes[start] = None if new is None else store.span(start, latest, new)
            if shows:
                old = store.value(before) if olds and before is not None else None
                out.append((self.row, raw + bounds(start, start + size), new, latest, old))
        if right is not None and right_at == len(takings):
            self._split(out, raw, time, right, changes)
        if changes:
            self._write(raw, changes, time)

    def _past(self, time: int, edge: int) -> bool:
        """Whether the row is in no window: it is before the epoch, or all of its windows have closed."""
        if time < 0:
            return True
        if time < edge:
            self.late(time, time + self._size)
            return True
        return False

    def _begun(self, key: Any, value: Any) -> Any:
        """What the row makes of a window with nothing in it; to be awaited if the step waits."""
        folding = self.folding
        if folding.counting:
            return 1
        if folding.initializer is None:
            return given(value) if self.step_waits else value
        return folding.step(key, value, folding.initializer())

    def _near(self, raw: bytes, time: int) -> Spans:
        """The windows of a key that the row, or the record before it, may be in, and the row's right one; by start.

        What was read of each segment is kept for `_write`.
        """
        store, high = self.store, time + 1
        # Kept one millisecond longer where windows are awaited until they close: as in Kafka Streams.
        low, oldest = time - 2 * self._size, store.newest - self.retention + (0 if self.closes else 1)
        if low < oldest:
            low = oldest
        self._read_of = read = {}
        near: Spans = ()
        overlay, find, heads, length = store.logged.overlay, store.logged.beneath, store.heads, store.length
        latest, behind = min(high, store.newest), time - self._size
        for segment in range(latest - latest % length, max(low - length, -1), -length):
            key = (heads.get(segment) or store.head(segment)) + raw
            spans = (overlay.get(key) or find(key))[0]
            read[segment] = key, spans or ()
            if not spans:
                continue
            if spans[0][0] < low or spans[-1][0] > high:
                spans = spans[bisect_left(spans, (low,)) : bisect_left(spans, (high + 1,))]
            near = spans + near if near else spans
            if spans and spans[0][0] < behind:
                break  # the one that matters of those that end before the row, and all after it
        return near

    def _split(
        self, out: list[WindowRow], raw: bytes, time: int, around: Span, changes: dict[int, Span | None]
    ) -> None:
        """The row's right window begins with what is around it: the records there are all behind the row."""
        _, latest, value, encoded = around
        start = time + 1
        changes[start] = (start, latest, value, encoded)
        if self.shows:
            out.append((self.row, raw + bounds(start, start + self._size), self.store.value(around), latest, None))

    def _write(self, raw: bytes, changes: dict[int, Span | None], time: int) -> None:
        store, highest = self.store, max(changes)
        if highest > store.newest:
            store.newest = highest
        if self.closes:
            for start, span in changes.items():
                if span is not None:
                    self.opened(raw, start)
        oldest = self.oldest()
        for key, spans in self._placed(raw, changes).items():
            if spans and spans[0][0] < oldest:
                del spans[: bisect_left(spans, (oldest,))]
            store.put(key, tuple(spans), time)

    def _placed(self, raw: bytes, changes: dict[int, Span | None]) -> dict[bytes, list[Any]]:
        """The windows of all segments with changes, by start; takes the changes."""
        read, length, take, deletes = self._read_of, self.store.length, changes.pop, None in changes.values()
        placed: dict[bytes, list[Any]] = {}
        for key, spans in read.values():
            left = len(changes)
            changed = [take(span[0], span) for span in spans]
            if len(changes) < left:
                placed[key] = [span for span in changed if span is not None] if deletes else changed
        for start, span in changes.items():  # the windows that are new, or lie where nothing was looked for
            segment = start - start % length
            found = read.get(segment)
            if span is None and found is not None:
                continue
            key, spans = found or self._unread(segment, raw)
            if key not in placed:
                placed[key] = [other for other in spans if other[0] not in changes]
            if span is not None:
                insort(placed[key], span)
        return placed

    def _unread(self, segment: int, raw: bytes) -> tuple[bytes, Spans]:
        key = self.store.key(segment, raw)
        return key, self.store.at(key)


async def given(value: Any) -> Any:
    """A value where something to await is wanted."""
    return value


def slide(near: Spans, time: int, size: int) -> Plan:
    """What becomes of a row, given the windows near it, by start."""
    right = left = previous = None
    has_left = has_right = False
    takings: list[Taking] = []
    # 1: from the latest window on, so that the first which holds records behind the row tells what they are
    for span in reversed(near):
        start = span[0]
        if start > time:
            has_right = True
        elif start + size > time:
            right = right or span
            takings.append((start, span, span))
        elif start + size == time:
            has_left = True
            takings.append((start, span, span))
            if span[1] >= time:
                return takings, None, 0  # a record of this moment has made all the windows already
            previous = span[1]
        else:
            left, previous = span, span[1]
            break
    # 2
    if previous is not None and previous + 1 + size >= time and not _begins(near, previous + 1):
        takings.append((previous + 1, None, None))
    # 3
    if not has_left:
        common = previous is not None and time - size <= previous
        takings.append((time - size, None, left if common else None))
    # 4
    behind = right is not None and right[1] > time and not has_right
    return takings, right if behind else None, len(takings)


def early(near: Spans, time: int) -> Plan:
    """As `slide`, in the first `size` ms after the epoch, where left windows are one."""
    right = combined = previous = None
    takings: list[Taking] = []
    for span in near:
        if span[0] == 0:
            combined = span
            previous = span[1] if span[1] < time else None
        elif span[0] <= time:
            right = span
            takings.append((span[0], span, span))
    around, right_at = right or combined, len(takings)
    behind = around is not None and around[1] > time and not _begins(near, time + 1)
    if previous is not None and not _begins(near, previous + 1):
        takings.append((previous + 1, None, None))
    takings.append((0, combined, combined))
    return takings, around if behind else None, right_at


def _begins(near: Spans, start: int) -> bool:
    """Whether a window of that start is there."""
    return start in map(_START, near)
