"""What sessions and sliding windows have in common: a key's windows lie where its records are, and are kept as spans.

    1  rows that count for nothing go; they do not move time
    2  each row is folded into the windows that it is in, and into those that it makes        (`Spanning.fold`)
    3  results leave: each change at once, or, behind the row that closed them, windows that have closed

Errors of user functions, and values that cannot be written, are told with their record. How spans lie in the store, and
how times are kept: `stores.spans`.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from streamz_actors.aggregation.closing import Idle
from streamz_actors.aggregation.folding import Folding
from streamz_actors.aggregation.rows import Shape
from streamz_actors.aggregation.rows import WindowRow as Row
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.lateness import Lateness, OnLate
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec, WindowRow, is_async
from streamz_actors.dataflow.topics import Topic
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema
from streamz_actors.serde.windowed import bounds
from streamz_actors.stores.closing import Closing
from streamz_actors.stores.logged import NEVER, LoggedStore
from streamz_actors.stores.spans import Ahead, Span, SpanStore, pack_spans, unpack_spans
from streamz_actors.types import TopicPartition


@dataclass(frozen=True, slots=True)
class Geometry:
    """Which of a span's fields counts its age (0: the start, 1: the mark), and how long after it the window closes."""

    by: Literal[0, 1]
    reach: int
    """In ms: it has closed when stream time, less this, is past that field."""
    size: int | None = None
    """In ms, of windows whose mark is not their end."""

    def end(self, span: Span) -> int:
        return span[1] if self.size is None else span[0] + self.size


def spans_schema(layout: str, value: Schema[Any]) -> Schema[Any]:
    """Of what is stored, given that of a window's value."""
    return packed(f"{layout}/{value.codec}", partial(pack_spans, encode=value.encode), unpack_spans)


def span_store(logged: LoggedStore, value: Schema[Any], retention: int, writers: int = 1) -> SpanStore:
    return SpanStore(
        logged,
        retention,
        value.encode,
        value.decode,
        immutable=value.immutable,
        integers=value.type in (int, Any),
        writers=writers,
    )


class SpanLayout:
    """The windows of a key as those see them who ask from outside. `retention` is in ms."""

    def __init__(self, value: Schema[Any], geometry: Geometry, retention: int) -> None:
        self.value_schema, self._geometry, self._retention = value, geometry, retention

    def windows(self, logged: Any, raw: bytes, start: int | None, stop: int | None) -> list[WindowRow]:
        store = span_store(logged, self.value_schema, self._retention)
        store.read_times()
        by, oldest = self._geometry.by, store.newest - self._retention + 1
        found: list[WindowRow] = []
        for key in store.segments.keys(raw, oldest, store.newest):
            for span in store.at(key):
                inside = (start is None or span[0] >= start) and (stop is None or span[0] < stop)
                if inside and span[by] >= oldest:
                    found.append((span[0], self._geometry.end(span), store.value(span), span[1]))
        return sorted(found, key=lambda row: row[:2])


Share = Callable[[Any, Callable[[], SpanStore]], SpanStore]
"""Gives the operators over one state one store of spans, made by the first of them."""


def unshared(state: Any, make: Callable[[], SpanStore]) -> SpanStore:
    """One operator, one store."""
    return make()


@dataclass(frozen=True, slots=True)
class Part:
    """Which of the operators that aggregate into one store an operator is; each has a stream time of its own."""

    share: Share = unshared
    writer: int = 0
    writers: int = 1


@dataclass(frozen=True, slots=True)
class Setting:
    """What an operator works with, in one task."""

    store: SpanStore
    spec: StoreSpec
    folding: Folding
    lateness: Lateness
    geometry: Geometry
    writer: int
    origin: TopicPartition
    """Where rows come from that no record has led to."""
    closes: bool
    idle: Idle | None


def spans_node(
    parent: Node,
    spec: StoreSpec,
    folding: Folding,
    geometry: Geometry,
    make: "Callable[[Setting], Spanning]",
    part: Part,
    *,
    emit: str,
    on_late: OnLate,
    close_on_idle: int | None,
) -> Node:
    """`make` gives the operator. `close_on_idle` is in ms."""
    assert spec.layout is not None
    assert spec.retention is not None
    value, retention = spec.layout.value_schema, spec.retention

    def build(place: Place) -> Operator:
        state = place.states[spec.name]
        store = part.share(state, lambda: span_store(state.logged, value, retention, part.writers))
        lateness, origin = Lateness(folding.what, place, on_late), TopicPartition(spec.name, place.partition)
        idle = None if close_on_idle is None else Idle(close_on_idle, place.clock)
        return make(Setting(store, spec, folding, lateness, geometry, part.writer, origin, emit == "close", idle))

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


class Spanning(Operator):
    """`before`: how far back from a row's time its windows may begin (sliding) or end (sessions), in ms.

    `skips_nulls`: rows without a value count for nothing.
    """

    repeatable = True
    skips_nulls = False

    def __init__(self, setting: Setting, before: int) -> None:
        spec, folding = setting.spec, setting.folding
        assert spec.layout is not None
        assert spec.retention is not None
        self.store, self.folding, self.lateness = setting.store, folding, setting.lateness
        self.retention, self.closes = spec.retention, setting.closes
        self.step_waits, self.merger_waits = is_async(folding.step), is_async(folding.merger)
        self.batch: Batch
        self.row = 0
        self.shows = False
        """Whether changes leave."""
        self._geometry, self._writer, self._before = setting.geometry, setting.writer, before
        self._key, self._shape = spec.key_schema, Shape(spec, spec.layout.value_schema)
        self._idle, self._last = setting.idle, (setting.origin, -1)
        self._closing = Closing(setting.store, setting.geometry.by) if setting.closes else None
        self._edge = NEVER
        """What is older by its field has closed and left."""

    async def process(self, batch: Batch) -> Batch | None:
        self._read()
        if self._idle is not None:
            self._idle.touch()
        self.batch, self._last = batch, (batch.origin, batch.offsets[-1])
        self.shows = not (self.silent or self.closes)
        out: list[Row] = []
        await self._rows(batch, out)
        return self._shape.made_from(out, batch, self.olds)

    def _read(self) -> None:
        """The first time, when the store has its content: takes up the times and what is open."""
        if not self.store.read_times() or self._closing is None or self.silent:
            return
        observed = self.store.observed[self._writer]
        if observed != NEVER:
            self._edge = observed - self._geometry.reach
            self._closing.read(self._edge)

    async def _rows(self, batch: Batch, out: list[Row]) -> None:
        store, reach, me, skips_nulls = self.store, self._geometry.reach, self._writer, self.skips_nulls
        raws = batch.encoded_keys(self._key)
        keys = batch.keys if self.folding.reads_keys else raws
        values = batch.payloads if self.folding.counting else batch.values
        store.logged.load(Ahead(store, raws, batch.timestamps, self._before))
        moved, newest_before = False, store.newest
        self.row = -1
        for raw, key, value, time in zip(raws, keys, values, batch.timestamps, strict=True):
            self.row += 1
            if raw is None or (skips_nulls and value is None):
                continue
            if time > store.observed[me]:
                store.observed[me] = time
                moved = True
            newest, edge, before = store.newest, store.observed[me] - reach, len(out)
            try:
                await self.fold(out, raw, key, value, time, edge)
            except Exception as error:
                self.guard.failed(self.folding.what, batch, self.row, error)
                del out[before:]
            if edge > self._edge and self._closing is not None:
                self._close(out, self._closing, edge, newest)
        if moved or store.newest != newest_before:  # a row out of order can make a window that is the newest
            store.save_times()

    @abstractmethod
    async def fold(self, out: list[Row], raw: bytes, key: Any, value: Any, time: int, edge: int) -> None:
        """Folds a row into its windows. What is older than `edge`, by its field, has closed."""

    def oldest(self) -> int:
        """What is older, by its field, need not be kept: it is not to be found any more, and has left if it was to."""
        oldest = self.store.newest - self.retention
        return min(oldest, self._edge) if self.closes else oldest

    def late(self, start: int, end: int) -> None:
        """The row at hand has come too late for a window."""
        self.lateness.drop(self.batch, self.row, self.store.observed[self._writer], (start, end))

    def opened(self, raw: bytes, time: int) -> None:
        """A key has a window that closes by a time, that of its field."""
        if self._closing is not None and not self.silent:
            self._closing.add(raw, time)

    # -- closing

    def _close(self, out: list[Row], closing: Closing, edge: int, newest: int) -> None:
        """The windows that have closed leave. `newest`: the newest of the store before the row at hand."""
        since, self._edge = self._edge, edge
        if not closing.waits(edge):
            return
        for raw, span in closing.close(edge, self._segments(since, newest)):
            key = raw + bounds(span[0], self._geometry.end(span))
            out.append((self.row, key, self.store.value(span), span[1], None))

    def _segments(self, since: int, newest: int) -> Iterable[int]:
        """Where there may be what is open: what was there before the row at hand, and what that has made."""
        store, start = self.store, self.store.segments.start
        before = range(start(since), newest + 1, store.length)
        made = range(start(max(newest + 1, store.newest - self.retention)), store.newest + 1, store.length)
        return sorted({*before, *made})

    def advance(self, now: int, stream_time: int) -> Batch | None:
        """Where nothing has come for long, all windows close: stream time moves to where the last of them has."""
        if self._idle is None or self._closing is None or not self._idle.due(now):
            return None
        self._read()
        store, me = self.store, self._writer
        if not self._closing.waits(store.newest + 1):
            return None
        store.observed[me] = max(store.observed[me], store.newest + 1 + self._geometry.reach)
        out: list[Row] = []
        self._close(out, self._closing, store.observed[me] - self._geometry.reach, store.newest)
        store.save_times()
        return self._shape.made_at(out, *self._last, self.olds)
