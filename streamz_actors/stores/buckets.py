"""What came for each key and when, kept for a while and found by time: the buffers of joins. Nothing is ever changed.

    <segment> <key> <0>     what came last for a key in this segment of time, and how far the chunks reach
    <segment> <key> <n>     the n-th chunk that was full: 4 bytes, big-endian, behind the key

So a commit writes of each key what came last and no more, however much a single key has. What belongs to a stretch of
time is found with one look-up for each segment and each chunk that it touches.
"""

from bisect import bisect_left
from collections.abc import Iterable
from struct import Struct
from typing import Any, Final

from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.segments import Segments

FULL: Final = 1_024
"""Bytes from which on a chunk is full: this much is written again at each commit for one new record."""

NUMBER: Final = Struct(">I")
OPEN: Final = NUMBER.pack(0)
SPAN: Final = Struct(">qq")
ROW: Final = Struct(">qI")

Row = tuple[int, bytes]
"""A time in ms, and what came then."""

Span = tuple[int, int]
"""Of a full chunk: the latest time in it and in all before it, and its own earliest."""

Chunk = list[Any]
"""The spans of the full chunks before it, in a tuple; then rows, by time and, at one time, as they came."""


class Buckets:
    """`retention` in ms, counted from the newest time that came: what is older is neither taken nor found."""

    __slots__ = ("_logged", "_newest", "_noted", "_segments", "retention")

    def __init__(self, logged: LoggedStore, retention: int) -> None:
        self._logged, self.retention = logged, retention
        self._segments = Segments(logged, retention)
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

    def add(self, raw: bytes, time: int, payload: bytes) -> bool:
        """Takes a row; whether it did, because it is not too old. `settle` is due afterwards."""
        if time > self.newest:
            self._newest, self._noted = time, False
        elif time < self.oldest:
            return False
        logged, key = self._logged, self._segments.key(raw, time)
        chunk: Chunk | None = logged.get(key + OPEN)
        if chunk is None:
            chunk = [(), (time, payload)]
        elif len(chunk) == 1 or chunk[-1][0] <= time:
            chunk.append((time, payload))
        else:
            chunk.insert(bisect_left(chunk, (time + 1,), 1), (time, payload))
        if len(chunk) * (len(payload) + ROW.size) > FULL and len(chunk) > 2:
            self._close(key, chunk)
        logged.keep(key + OPEN, chunk, time)
        return True

    def _close(self, key: bytes, chunk: Chunk) -> None:
        """Moves the rows of an open chunk into one of their own."""
        spans: tuple[Span, ...] = chunk[0]
        latest = max(spans[-1][0], chunk[-1][0]) if spans else chunk[-1][0]
        full: Chunk = [(), *chunk[1:]]
        self._logged.keep(key + NUMBER.pack(len(spans) + 1), full, latest)
        chunk[:] = [(*spans, (latest, full[1][0]))]

    def between(self, raw: bytes, earliest: int, latest: int) -> list[Row]:
        """The rows of a key with earliest <= time <= latest that are not too old: by time, then as they came."""
        earliest = max(earliest, self.oldest)
        if earliest > latest:
            return []
        rows: list[Row] = []
        get = self._logged.get
        for key in self._segments.keys(raw, earliest, latest):
            chunk: Chunk | None = get(key + OPEN)
            if chunk is None:
                continue
            found = rows_of(chunk, earliest, latest)
            if chunk[0]:
                found = self._from_full(key, chunk[0], earliest, latest) + found
                found.sort(key=_time)
            rows = rows + found if rows else found
        return rows

    def _from_full(self, key: bytes, spans: tuple[Span, ...], earliest: int, latest: int) -> list[Row]:
        rows: list[Row] = []
        get = self._logged.get
        for number in range(bisect_left(spans, (earliest,)), len(spans)):
            if spans[number][1] <= latest:
                rows += rows_of(get(key + NUMBER.pack(number + 1)), earliest, latest)
        return rows

    def load(self, raws: Iterable[bytes | None], times: Iterable[int]) -> None:
        """Says which keys are looked at next, each about a time: see `LoggedStore.load`."""
        key, rows = self._segments.key, zip(raws, times, strict=True)
        self._logged.load([None if raw is None else key(raw, time) + OPEN for raw, time in rows])


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

