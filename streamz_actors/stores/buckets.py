"""What came for each key and when, kept for a while and found by time: the buffers of joins. Nothing is ever changed.

    <segment> <key> <0>     what came last for a key in this segment of time, and how far the chunks reach
    <segment> <key> <n>     the n-th chunk that was full: 4 bytes, big-endian, behind the key

So a commit writes of each key what came last and no more, however much a single key has. What belongs to a stretch of
time is found with one look-up for each segment and each chunk that it touches.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from struct import Struct
from typing import Any, Final

from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.segments import START, Segments

FULL: Final = 1_024
"""Bytes from which on a chunk is full: this much is written again at each commit for one new record."""

NUMBER: Final = Struct(">I")
OPEN: Final = NUMBER.pack(0)
SPAN: Final = Struct(">qq")
ROW: Final = Struct(">qI")

LONE: Final = Struct(">IqI")
"""No spans, and a row."""

Row = tuple[int, bytes]
"""A time in ms, and what came then."""

Rows = Sequence[Row]

Span = tuple[int, int]
"""Of a full chunk: the latest time in it and in all before it, and its own earliest."""

Chunk = list[Any]
"""The spans of the full chunks before it, in a tuple; then rows, by time and, at one time, as they came."""


class Buckets:
    """`retention` in ms, counted from the newest time that came: what is older is neither taken nor found."""

    __slots__ = ("_length", "_logged", "_newest", "_noted", "_segments", "retention")

    def __init__(self, logged: LoggedStore, retention: int) -> None:
        self._logged, self.retention = logged, retention
        self._segments = Segments(logged, retention)
        self._length = self._segments.length
        self._newest: int | None = None
        """None until the first use: only then is the store restored."""
        self._noted = True

    @property
    def newest(self) -> int:
        """The highest time that came."""
        if self._newest is None:
            self._newest = self._logged.moment
        return self._newest

    def settle(self) -> None:
        """After rows were added: the newest time is kept with them, and what has become too old goes."""
        if not self._noted:
            self._noted = True
            self._logged.note(self.newest)
            self._segments.expire(self.newest)

    @property
    def oldest(self) -> int:
        """The earliest time that is still found."""
        return self.newest - self.retention + 1

    # -- places: of a key in the segment of a time; those of buckets with one retention are alike

    def place(self, raw: bytes, time: int) -> bytes:
        return self._segments.key(raw, time) + OPEN

    def places(self, raws: Sequence[bytes | None], times: Sequence[int]) -> list[bytes | None]:
        """A column of `place`; None stays None."""
        places: list[bytes | None] = []
        length, start, stop, prefix = self._length, 0, 0, b""
        for raw, time in zip(raws, times, strict=True):
            if not start <= time < stop:
                start = self._segments.start(time)
                stop, prefix = start + length, START.pack(start)
            places.append(None if raw is None else prefix + raw + OPEN)
        return places

    def load(self, places: Collection[bytes | None]) -> None:
        """Says where is looked next: see `LoggedStore.load`."""
        self._logged.load(places)

    # -- rows

    def add(self, place: bytes, time: int, payload: bytes) -> bool:
        """Takes a row at the place of its key and time; whether it did, because it is not too old. `settle` is due
        afterwards.
        """
        newest = self._newest
        if newest is None:
            newest = self.newest
        if time > newest:
            self._newest, self._noted = time, False
        elif time <= newest - self.retention:
            return False
        logged = self._logged
        chunk: Chunk | None = (logged.overlay.get(place) or logged.find(place))[0]
        if chunk is None:
            chunk = [(), (time, payload)]
        elif len(chunk) == 1 or chunk[-1][0] <= time:
            chunk.append((time, payload))
        else:
            chunk.insert(bisect_left(chunk, (time + 1,), 1), (time, payload))
        if len(chunk) * (len(payload) + ROW.size) > FULL and len(chunk) > 2:
            self._close(place, chunk)
        logged.keep(place, chunk, time)
        return True

    def _close(self, place: bytes, chunk: Chunk) -> None:
        """Moves the rows of an open chunk into one of their own."""
        spans: tuple[Span, ...] = chunk[0]
        latest = max(spans[-1][0], chunk[-1][0]) if spans else chunk[-1][0]
        full: Chunk = [(), *chunk[1:]]
        self._logged.keep(_numbered(place, len(spans) + 1), full, latest)
        chunk[:] = [(*spans, (latest, full[1][0]))]

    def between(self, raw: bytes, earliest: int, latest: int, place: bytes | None = None, time: int = -1) -> Rows:
        """The rows of a key with earliest <= time <= latest that are not too old: by time, then as they came.

        `place` is that of the key and `time`, if somebody has it: mostly it is the only one.
        """
        oldest = self.oldest
        if earliest < oldest:
            earliest = oldest
        if earliest > latest:
            return ()
        if place is not None:
            start = time - time % self._length
            if start <= earliest and latest < start + self._length:
                return self._found(place, earliest, latest)
        rows: list[Row] = []
        for key in self._segments.keys(raw, earliest, latest):
            rows += self._found(key + OPEN, earliest, latest)
        return rows

    def _found(self, place: bytes, earliest: int, latest: int) -> Rows:
        logged = self._logged
        chunk: Chunk | None = (logged.overlay.get(place) or logged.find(place))[0]
        if chunk is None:
            return ()
        if not chunk[0]:
            return rows_of(chunk, earliest, latest)
        rows = self._from_full(place, chunk[0], earliest, latest)
        rows += rows_of(chunk, earliest, latest)
        rows.sort(key=_time)
        return rows

    def _from_full(self, place: bytes, spans: tuple[Span, ...], earliest: int, latest: int) -> list[Row]:
        rows: list[Row] = []
        get = self._logged.get
        for number in range(bisect_left(spans, (earliest,)), len(spans)):
            if spans[number][1] <= latest:
                rows += rows_of(get(_numbered(place, number + 1)), earliest, latest)
        return rows


def _numbered(place: bytes, number: int) -> bytes:
    """The place of a full chunk."""
    return place[: -NUMBER.size] + NUMBER.pack(number)


def rows_of(chunk: Chunk, earliest: int, latest: int) -> list[Row]:
    if len(chunk) == 1:
        return []
    start = 1 if chunk[1][0] >= earliest else bisect_left(chunk, (earliest,), 1)
    stop = len(chunk) if chunk[-1][0] <= latest else bisect_left(chunk, (latest + 1,), start)
    return chunk[start:stop]


def _time(row: Row) -> int:
    return row[0]


def write(chunk: Chunk) -> bytes:
    """Count of spans, spans, rows."""
    spans = chunk[0]
    if len(chunk) == 2 and not spans:  # of most keys
        time, payload = chunk[1]
        return LONE.pack(0, time, len(payload)) + payload  # type: ignore[no-any-return]  # a row's payload is bytes
    parts = [NUMBER.pack(len(spans)), *(SPAN.pack(*span) for span in spans)]
    pack = ROW.pack
    for time, payload in chunk[1:]:
        parts.append(pack(time, len(payload)))
        parts.append(payload)
    return b"".join(parts)


def read(raw: bytes) -> Chunk:
    if not raw:  # of the stream time beside the rows
        return [()]
    (count,) = NUMBER.unpack_from(raw)
    at = NUMBER.size + count * SPAN.size
    chunk: Chunk = [tuple(SPAN.iter_unpack(raw[NUMBER.size : at]))]
    unpack, size = ROW.unpack_from, ROW.size
    while at < len(raw):
        time, length = unpack(raw, at)
        at += size
        chunk.append((time, raw[at : at + length]))
        at += length
    return chunk

