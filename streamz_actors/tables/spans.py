"""Sessions and sliding windows of a table that handlers write: one entry for each key, which lists all its windows.

The entry lies in the segment of the time at which the key was written last, and moves with it: so keys that nobody
writes any more go with their segment.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any, Final, NamedTuple

from streamz_actors.dataflow.node import WindowRow
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import ABSENT, FIRST, Held, LoggedStore
from streamz_actors.stores.segments import Segments, key_of
from streamz_actors.tables.windowed import Change, Effects
from streamz_actors.types import Windowed
from streamz_actors.windows.definitions import Session, Sliding

_HEAD: Final = Struct(">qqqi")
_NOTHING: Final = -1


class Span(NamedTuple):
    """A window: its bounds, the time of its latest write, and its value in bytes, which nobody can change in place."""

    start: int
    end: int
    latest: int
    raw: bytes | None


Spans = tuple[Span, ...]
"""Those of one key, by start."""


def _write(spans: Spans) -> bytes:
    parts: list[bytes] = []
    for start, end, latest, raw in spans:
        parts.append(_HEAD.pack(start, end, latest, _NOTHING if raw is None else len(raw)))
        parts.append(raw or b"")
    return b"".join(parts)


def _read(raw: bytes) -> Spans:
    spans: list[Span] = []
    at = 0
    while at < len(raw):
        start, end, latest, size = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        spans.append(Span(start, end, latest, None if size == _NOTHING else raw[at : at + size]))
        at += max(size, 0)
    return tuple(spans)


SPANS: Final = packed("spans-1", _write, _read)


class Listed(ABC):
    """What both kinds have in common. `retention`, in ms: of a session from its end, else from a window's start."""

    size = 0

    def __init__(
        self,
        value_schema: Schema[Any],
        retention: int,
        open_: int,
        on_close: Callable[[Windowed[Any], Any], object] | None,
    ) -> None:
        """`open_`: ms after its end, or that of its gap, that a window takes writes."""
        self.value_schema, self.on_close, self.retention, self._open = value_schema, on_close, retention, open_

    @abstractmethod
    def closes(self, start: int, end: int) -> int: ...

    @abstractmethod
    def _kept(self, spans: Spans, moment: int) -> Spans:
        """Without those that have expired."""

    @abstractmethod
    def _changed(self, spans: Spans, time: int, moment: int, change: Change, effects: Effects) -> Spans:
        """The windows of a key after a change at a time."""

    @abstractmethod
    def _standing(self, spans: Spans, time: int) -> Span | None:
        """The window that stands for a time."""

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[WindowRow]:
        moment = logged.moment
        return [
            (span.start, span.end, self.value_schema.decode(span.raw), span.latest)
            for span in self._kept(self._find(logged, raw, moment)[1], moment)
            if span.raw is not None and (start is None or span.start >= start) and (stop is None or span.start < stop)
        ]

    def at(self, logged: LoggedStore, raw: bytes, time: int, moment: int) -> Any:
        span = self._standing(self._kept(self._find(logged, raw, moment)[1], moment), time)
        return None if span is None else self.value_schema.decode(span.raw)

    def change(
        self, logged: LoggedStore, raw: bytes, time: int, moment: int, change: Change, effects: Effects
    ) -> None:
        found, spans, held = self._find(logged, raw, moment)
        kept = self._kept(spans, moment)
        changed = self._changed(kept, time, moment, change, effects)
        if changed == spans:
            return
        before = {span[:2] for span in kept if span.raw is not None}
        effects.opened += [span[:2] for span in changed if span.raw is not None and span[:2] not in before]
        key = Segments(logged, self.retention).key(raw, moment)
        if found is not None and found != key:
            effects.undo(found, held, logged.put(found, None, time))
            held = ABSENT
        if not changed:
            if found == key:
                effects.undo(key, held, logged.put(key, None, time))
            return
        logged.keep(key, changed, max(time, moment))  # changelog records are deleted by their times
        effects.undo(key, held, logged.overlay[key])

    def _find(self, logged: LoggedStore, raw: bytes, moment: int) -> tuple[bytes | None, Spans, Held]:
        """Where a key's entry is, its windows, and what is held there."""
        for key in reversed(Segments(logged, self.retention).keys(raw, moment - self.retention, moment)):
            held = logged.find(key)
            spans = logged.value(held)
            if spans:
                return key, spans, held
        return None, (), ABSENT

    def expire(self, logged: LoggedStore, moment: int) -> None:
        Segments(logged, self.retention).expire(moment)

    def all(self, logged: LoggedStore) -> list[tuple[bytes, int, int]]:
        return [
            (key_of(key), span.start, span.end)
            for key, entry in logged.scan(FIRST)
            for span in logged.value(entry[:3])
            if span.raw is not None
        ]

    def _applied(self, change: Change, raw: bytes | None) -> bytes | None:
        return self.value_schema.encode(change(self.value_schema.decode(raw)))


class Sessions(Listed):
    """A write less than or exactly `gap` from a session belongs to it; sessions that meet by it become one."""

    def __init__(
        self,
        window: Session,
        value_schema: Schema[Any],
        kept: int,
        on_close: Callable[[Windowed[Any], Any], object] | None,
        merger: Callable[[Any, Any], Any],
    ) -> None:
        """`merger` takes the values of the earlier and the later session."""
        kept = max(kept, window.grace)
        super().__init__(value_schema, window.gap + kept, window.grace if on_close is not None else kept, on_close)
        self._gap, self._merger = window.gap, merger

    def closes(self, start: int, end: int) -> int:
        return end + self._gap + self._open + 1

    def _kept(self, spans: Spans, moment: int) -> Spans:
        return tuple(span for span in spans if span.end + self.retention >= moment)

    def _changed(self, spans: Spans, time: int, moment: int, change: Change, effects: Effects) -> Spans:
        near = [
            span
            for span in spans
            if span.end >= time - self._gap and span.start <= time + self._gap and self.closes(*span[:2]) > moment
        ]
        start, end = min([time, *(span.start for span in near)]), max([time, *(span.end for span in near)])
        if self.closes(start, end) <= moment:
            effects.late.append((start, end))
            return spans
        merged = Span(start, end, max([time, *(span.latest for span in near)]), self._folded(near, change))
        others = [span for span in spans if span not in near]
        return tuple(sorted([*others, merged] if merged.raw is not None else others))

    def _folded(self, near: list[Span], change: Change) -> bytes | None:
        decode = self.value_schema.decode
        value = None
        for number, span in enumerate(near):
            value = decode(span.raw) if not number else self._merger(value, decode(span.raw))
        return self.value_schema.encode(change(value))

    def _standing(self, spans: Spans, time: int) -> Span | None:
        """The session that a time is in, or so soon after that a write would still belong to it."""
        return next((span for span in reversed(spans) if span.start <= time <= span.end + self._gap), None)


class SlidingWindows(Listed):
    """For each set of writes that lie at most `size` apart a window, as Kafka Streams has them.

    The list is a function of the start, in steps: from one entry's start to the next's, windows hold the same. A write
    at `time` is in all that begin in [time - size, time]; so it makes a step at either end of that, if there is none.
    """

    def __init__(
        self,
        window: Sliding,
        value_schema: Schema[Any],
        kept: int,
        on_close: Callable[[Windowed[Any], Any], object] | None,
    ) -> None:
        kept = max(kept, window.grace)
        super().__init__(value_schema, 2 * window.size + kept, window.grace if on_close is not None else kept, on_close)
        self.size = window.size

    def closes(self, start: int, end: int) -> int:
        return end + self._open + 1

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[WindowRow]:
        oldest = logged.moment - self.retention
        return [row for row in super().windows(logged, raw, start, stop) if row[0] > oldest]

    def _kept(self, spans: Spans, moment: int) -> Spans:
        """The last step before what is kept says what its beginning holds."""
        first = bisect_right(spans, moment - self.retention, key=_start)
        return spans[max(0, first - 1) :]

    def _changed(self, spans: Spans, time: int, moment: int, change: Change, effects: Effects) -> Spans:
        first = max(0, time - self.size)
        if self.closes(time + 1, time + 1 + self.size) <= moment:
            effects.late.append((first, first + self.size))
            return spans
        steps = self._step(self._step(spans, first), time + 1)
        return tuple(
            span._replace(latest=max(span.latest, time), raw=self._applied(change, span.raw))
            if first <= span.start <= time and self.closes(span.start, span.end) > moment
            else span
            for span in steps
        )

    def _step(self, spans: Iterable[Span], start: int) -> list[Span]:
        """With a step at `start`."""
        steps = list(spans)
        at = bisect_right(steps, start, key=_start)
        before = steps[at - 1] if at else None
        if before is None or before.start != start:
            latest, raw = (start, None) if before is None else (before.latest, before.raw)
            steps.insert(at, Span(start, start + self.size, latest, raw))
        return steps

    def _standing(self, spans: Spans, time: int) -> Span | None:
        """The window that ends at a time."""
        at = bisect_right(spans, max(0, time - self.size), key=_start)
        return spans[at - 1] if at else None


def _start(span: Span) -> int:
    return span.start
