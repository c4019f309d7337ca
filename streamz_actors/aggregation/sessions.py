"""Aggregations in sessions: records of a key that lie no further apart than a gap.

For each row that has a key:

    1  the sessions that it touches are found: those that end or begin at most a gap from it, and are still kept
    2  what they make together with it is late if it ended before stream time, less gap and grace
    3  their aggregates are merged, each into what the initializer gives, and the row is added to that
    4  they go, and the session of all takes their place: a deletion for each, then the new one, under a session's end

(Where a session is of the row's own moment and nothing else, it stays and changes.)
"""

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
from streamz_actors.stores.spans import NONE, Span, Spans
from streamz_actors.windows.definitions import Session

ALONE: Final = Part()

Found = tuple[bytes, Span]
"""A session, and the key of the store that it is under."""


def session_state(window: Session, value: Schema[Any], retention: int) -> tuple[Schema[Any], Layout, int]:
    """`retention`: how long sessions are to be kept, in ms from their ends, if that is longer than the window needs."""
    kept = max(retention, window.retention)
    return spans_schema("sessions/1", value), SpanLayout(value, _geometry(window), kept), kept


def _geometry(window: Session) -> Geometry:
    return Geometry(by=1, reach=window.retention)


def session(
    parent: Node,
    spec: StoreSpec,
    window: Session,
    folding: Folding,
    /,
    *,
    emit: str,
    on_late: OnLate,
    close_on_idle: int | None,
    part: Part = ALONE,
) -> Node:
    """`close_on_idle` is in ms. The folding has a merger."""

    def make(setting: Setting) -> Sessions:
        return Sessions(setting, window.gap)

    return spans_node(
        parent, spec, folding, _geometry(window), make, part, emit=emit, on_late=on_late, close_on_idle=close_on_idle
    )


class Sessions(Spanning):
    def __init__(self, setting: Setting, gap: int) -> None:
        super().__init__(setting, gap)
        self._gap = gap

    async def fold(self, out: list[WindowRow], raw: bytes, key: Any, value: Any, time: int, edge: int) -> None:
        # 1
        found = self._near(raw, time, edge)
        start = end = time
        for _, span in found:
            if span[0] < start:
                start = span[0]
            if span[1] > end:
                end = span[1]
        # 2
        if end < edge:
            self.late(start, end)
            return
        # 3
        if self.folding.counting:
            new = sum(self.store.value(span) for _, span in found) + 1
        else:
            new = await self._aggregate(key, value, found)
        # 4
        if end > self.store.newest:
            self.store.newest = end
        self._replace(raw, found, start, end, new)
        if self.shows:
            self._show(out, raw, found, start, end, new)
        elif new is not None:
            self.opened(raw, end)

    def _near(self, raw: bytes, time: int, edge: int) -> list[Found]:
        """The sessions of a key that a time touches, in the order of their ends."""
        store, newest = self.store, self.store.newest
        earliest, latest, oldest = time - self._gap, time + self._gap, newest - self.retention + 1
        if earliest < oldest:
            earliest = oldest
        if self.closes and earliest < edge:
            earliest = edge  # what has left stays as it was, even if it is kept longer
        found: list[Found] = []
        if earliest > newest:
            return found
        overlay, find, heads = store.logged.overlay, store.logged.beneath, store.heads
        for segment in range(store.segments.start(earliest), newest + 1, store.length):
            key = (heads.get(segment) or store.head(segment)) + raw
            for span in (overlay.get(key) or find(key))[0] or NONE:
                if span[1] >= earliest and span[0] <= latest:
                    found.append((key, span))  # noqa: PERF401  # most have one or none: a loop is faster
        return found

    async def _aggregate(self, key: Any, value: Any, found: list[Found]) -> Any:
        folding = self.folding
        initializer, merger = folding.initializer, folding.merger
        assert merger is not None, "sessions that meet become one"
        aggregate = None if initializer is None else initializer()
        for _, span in found:
            one = span[2]
            if one is None:
                one = self.store.value(span)
            if aggregate is None and initializer is None:
                aggregate = one
                continue
            aggregate = merger(key, aggregate, one)
            if self.merger_waits:
                aggregate = await aggregate
        if aggregate is None and initializer is None:
            return value
        new = folding.step(key, value, aggregate)
        return await new if self.step_waits else new

    def _replace(self, raw: bytes, found: list[Found], start: int, end: int, new: Any) -> None:
        """The sessions found go, and the new one comes; None is no session. What is out of retention goes with them.

        All is written under the end of the new one: the row's own time may be long before that, and changelog records
        are deleted by their times.
        """
        store, oldest = self.store, self.oldest()
        segment = end - end % store.length if end > 0 else 0
        target = (store.heads.get(segment) or store.head(segment)) + raw
        span = None if new is None or end < oldest else store.span(start, end, new)
        spans = store.at(target)
        if span is not None and (not spans or (len(spans) == 1 and found and spans[0] is found[0][1])):
            store.put(target, (span,), end)
        else:
            store.put(target, _replaced(spans, found, (start, end), span, oldest), end)
        for key, gone in found:
            if key != target:
                store.put(key, tuple(other for other in store.at(key) if other is not gone), end)

    def _show(self, out: list[WindowRow], raw: bytes, found: list[Found], start: int, end: int, new: Any) -> None:
        """The rows that come of one: what went, and what came."""
        row, before = self.row, None
        if found and start == end:
            before = self.store.value(found[0][1]) if self.olds else None
        else:
            for _, span in found:
                old = self.store.value(span) if self.olds else None
                out.append((row, raw + bounds(span[0], span[1]), None, span[1], old))
        out.append((row, raw + bounds(start, end), new, end, before))


def _replaced(
    spans: Spans, found: list[Found], place: tuple[int, int], span: Span | None, oldest: int
) -> Spans:
    """Sessions with one more, by their ends, without those found, those older, and one of the same bounds."""
    gone = [other for _, other in found]
    kept = [
        one
        for one in spans
        if one[1] >= oldest and one[:2] != place and not any(one is other for other in gone)
    ]
    if span is not None:
        kept.append(span)
        kept.sort(key=_by_end)
    return tuple(kept)


def _by_end(span: Span) -> tuple[int, int]:
    return span[1], span[0]
