"""What a key has at many points in time: sessions, sliding windows. Spans of one key lie together, by segments of time.

    <segment> <key>   8 bytes, big-endian, ms since the epoch; then the key as its codec writes it
    value             for each span: start and mark (8 bytes each, signed, big-endian, ms), length (4 bytes), its value

A span's *mark* is the end of a session, and the time of the last record of a sliding window. What is near a moment is
found with a look-up for each segment that it touches, never with a scan. A key's spans are one tuple, never changed in
place: so the garbage collector need not look at them, and what was read once stays as it was.

Under MOMENT stand the times of those who write the store, in the same layout.
"""

from collections.abc import Callable, Collection, Iterator
from struct import Struct
from typing import Any, Final

from streamz_actors.stores.logged import LEAST, MOMENT, NEVER, SCALARS, SMALL, LoggedStore
from streamz_actors.stores.segments import START, Segments

Span = tuple[int, int, Any, bytes | None]
"""Start, mark, the value if it may be kept as an object, its bytes if it is encoded."""

Spans = tuple[Span, ...]

HEAD: Final = Struct(">qqI")

NONE: Final[Spans] = ()

HEADS: Final = 100
"""Beginnings of keys that are remembered: of many more segments than are alive at a time."""


def pack_spans(spans: Spans, encode: Callable[[Any], bytes | None]) -> bytes:
    """Small integers are encoded only here, by `encode`; everything else has been."""
    pack = HEAD.pack
    parts: list[bytes] = []
    for start, mark, value, raw in spans:
        written = encode(value) or b"" if raw is None else raw
        parts += (pack(start, mark, len(written)), written)
    return b"".join(parts)


def unpack_spans(packed: bytes) -> Spans:
    """As they were packed; values stay bytes."""
    spans: list[Span] = []
    position, end = 0, len(packed)
    while position < end:
        start, mark, length = HEAD.unpack_from(packed, position)
        position += HEAD.size + length
        spans.append((start, mark, None, packed[position - length : position]))
    return tuple(spans)


class SpanStore:
    """The spans in one store. `encode` and `decode` are those of a span's value; `immutable`: nobody can change it in
    place; `integers`: a small `int` is a value that `encode` takes.

    `writers` is the number of those who write to it, each with a stream time of its own.
    """

    def __init__(
        self,
        logged: LoggedStore,
        retention: int,
        encode: Callable[[Any], bytes | None],
        decode: Callable[[bytes | None], Any],
        *,
        immutable: bool,
        integers: bool,
        writers: int = 1,
    ) -> None:
        self.logged = logged
        self.segments = Segments(logged, retention)
        self.length = self.segments.length
        self._encode, self._decode = encode, decode
        self._immutable, self._integers = immutable, integers
        self.heads: dict[int, bytes] = {}
        self._times_read = False
        self.observed = [NEVER] * writers
        """By writer: the highest timestamp that it has seen, in ms."""
        self.newest = NEVER
        """The highest time of a span, in ms: what is older by the retention is not to be found any more."""

    # -- times

    def read_times(self) -> bool:
        """Reads the times that were saved, the first time it is asked; whether this was it. Not before the store has
        its content.
        """
        if self._times_read:
            return False
        self._times_read = True
        for writer, (observed, newest, _, _) in enumerate(self.logged.get(MOMENT) or ()):
            self.newest = newest
            if writer < len(self.observed):
                self.observed[writer] = observed
        return True

    def save_times(self) -> None:
        """Keeps, logs and restores them with what they have led to; lets go of segments that nobody reads again."""
        times = tuple((observed, self.newest, None, b"") for observed in self.observed)
        self.logged.keep(MOMENT, times, max(self.observed))
        self.segments.expire(self.newest)

    # -- spans

    def key(self, segment: int, raw: bytes) -> bytes:
        """Where a key's spans of a segment are."""
        return (self.heads.get(segment) or self.head(segment)) + raw

    def head(self, segment: int) -> bytes:
        """What keys of a segment begin with: to be looked for in `heads` before."""
        if len(self.heads) > HEADS:
            self.heads.clear()
        head = self.heads[segment] = START.pack(segment)
        return head

    def at(self, key: bytes) -> Spans:
        """The spans under a key of the store."""
        logged = self.logged
        return (logged.overlay.get(key) or logged.beneath(key))[0] or NONE

    def put(self, key: bytes, spans: Spans, time: int) -> None:
        """Writes them; none deletes. `time` is not more than a millisecond before that which the key begins with."""
        if spans:
            self.logged.overlay[key] = (spans, None, time)
        else:
            self.logged.put(key, None, time)

    def value(self, span: Span) -> Any:
        _, _, value, raw = span
        return value if value is not None or raw is None else self._decode(raw)

    def span(self, start: int, mark: int, value: Any) -> Span:
        """A span with a value, which is not None. Raises EncodeError for one that its schema cannot write."""
        if type(value) is int and self._integers and LEAST < value < SMALL:
            return start, mark, value, None
        kept = value if self._immutable or type(value) in SCALARS else None
        return start, mark, kept, self._encode(value)

    def every(self) -> Iterator[tuple[bytes, Spans]]:
        """All that is stored, by encoded key; a key comes once for each of its segments."""
        for key, entry in self.logged.scan(START.pack(0)):
            yield key[START.size :], self.logged.value(entry)


class Ahead(Collection[bytes]):
    """The keys under which rows will look first, for `LoggedStore.load`: made only if it goes through them."""

    def __init__(self, store: SpanStore, raws: Collection[bytes | None], times: Collection[int], before: int) -> None:
        """`before`: how far back from a row's time it looks, in ms."""
        self._store, self._raws, self._times, self._before = store, raws, times, before

    def __iter__(self) -> Iterator[bytes]:
        key, start, before = self._store.key, self._store.segments.start, self._before
        for raw, time in zip(self._raws, self._times, strict=True):
            if raw is not None:
                first, last = start(time - before), start(time)
                yield key(last, raw)
                if first != last:
                    yield key(first, raw)

    def __len__(self) -> int:
        return len(self._raws)

    def __contains__(self, key: object) -> bool:
        return any(key == own for own in self)
