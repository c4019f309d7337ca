"""Aggregations in sessions: records of a key that lie no further apart than a gap.

For each row that has a key:

    1  the sessions that it touches are found: those that end or begin at most a gap from it, and are still kept
    2  what they make together with it is late if it ended before stream time, less gap and grace
    3  their aggregates are merged, each into what the initializer gives, and the row is added to that
    4  they go, and the session of all takes their place: a deletion for each, then the new one, under a session's end

(Where a session is of the row's own moment and nothing else, it stays and changes.)
"""

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
from streamz_actors.stores.spans import Span
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

    async def fold(self, out: WindowRows, raw: bytes, key: Any, value: Any, time: int, edge: int) -> None:
        # 1
        found = self._near(raw, time, edge)
        start = end = time
        for _, span in found:
            start, end = min(start, span[0]), max(end, span[1])
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
        self._replace(raw, found, start, end, new, time)
        stays = found[0][1] if found and start == end else None
        if stays is None:
            for _, span in found:
                self.changed(out, raw, span[0], span[1], None, span[1], span)
        self.changed(out, raw, start, end, new, end, stays)
        if new is not None:
            self.opened(raw, end)

    def _near(self, raw: bytes, time: int, edge: int) -> list[Found]:
        """The sessions of a key that a time touches, in the order of their ends."""
        store, newest = self.store, self.store.newest
        earliest, latest = max(time - self._gap, newest - self.retention + 1), time + self._gap
        if self.closes:
            earliest = max(earliest, edge)  # what has left stays as it was, even if it is kept longer
        found: list[Found] = []
        if earliest > newest:
            return found
        for segment in range(store.segments.start(earliest), newest + 1, store.length):
            key = store.key(segment, raw)
            found += [(key, span) for span in store.at(key) if span[1] >= earliest and span[0] <= latest]
        return found

    async def _aggregate(self, key: Any, value: Any, found: list[Found]) -> Any:
        folding = self.folding
        initializer, merger = folding.initializer, folding.merger
        assert merger is not None, "sessions that meet become one"
        aggregate = None if initializer is None else initializer()
        for _, span in found:
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

    def _replace(self, raw: bytes, found: list[Found], start: int, end: int, new: Any, time: int) -> None:
        """The sessions found go, and the new one comes; None is no session. What is out of retention goes with them."""
        store = self.store
        store.newest = max(store.newest, end)
        oldest = self.oldest()
        target = store.key(store.segments.start(end), raw)
        kept = []
        for span in store.at(target):
            gone = any(span is other for _, other in found) or (span[0] == start and span[1] == end)
            if not gone and span[1] >= oldest:
                kept.append(span)
        if new is not None and end >= oldest:
            kept.append(store.span(start, end, new))
            if len(kept) > 1 and kept[-2][1] >= end:
                kept.sort(key=_by_end)
        store.put(target, tuple(kept), time)
        for key, span in found:
            if key != target:
                store.put(key, tuple(other for other in store.at(key) if other is not span), time)


def _by_end(span: Span) -> tuple[int, int]:
    return span[1], span[0]
