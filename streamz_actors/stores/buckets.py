"""What came for each key and when, kept for a while and found by time: the buffers of joins. Nothing is ever changed.

    <segment> <key> <0>     what came last for a key in this segment of time, and how far the chunks reach
    <segment> <key> <n>     the n-th chunk that was full: 4 bytes, big-endian, behind the key

So a commit writes of each key what came last and no more, however much a single key has. What belongs to a stretch of
time is found with one look-up for each segment and each chunk that it touches.

Most keys have a row or two. These stay as they are written, in memory too: nothing is made of them before somebody
finds them, nothing is left to do at the commit, and the garbage collector has nothing to walk.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from struct import Struct
from typing import Any, Final

from streamz_actors.stores.logged import ABSENT, Held, LoggedStore
from streamz_actors.stores.segments import START, Segments

FULL: Final = 1_024
"""Bytes from which on a chunk is full: this much is written again at each commit for one new record."""

SHORT: Final = 256
"""Bytes up to which a chunk is searched as it is written."""

NUMBER: Final = Struct(">I")
OPEN: Final = NUMBER.pack(0)
SPAN: Final = Struct(">qq")
ROW: Final = Struct(">qI")

LONE: Final = Struct(">IqI")
"""No spans, and a row."""

ROWS: Final = NUMBER.size
"""Where the rows begin of what has no spans."""

Row = tuple[int, bytes]
"""A time in ms, and what came then."""

Rows = Sequence[Row]

BEHIND: Final = b"\xff"
"""Behind every place."""

Span = tuple[int, int]
"""Of a full chunk: the latest time in it and in all before it, and its own earliest."""

Chunk = list[Any]
"""The spans of the full chunks before it, in a tuple; then rows, by time and, at one time, as they came."""

Kept = bytes | Chunk
"""A chunk; or a short one without spans, as it is written. It is held with the latest time in it, or a later one."""


class Buckets:
    """`retention` in ms, counted from the newest time that came: what is older is neither taken nor found."""

    __slots__ = ("_ages", "_empty", "_length", "_logged", "_newest", "_next_empty", "_noted", "_segments", "retention")

    def __init__(self, logged: LoggedStore, retention: int) -> None:
        self._logged, self.retention = logged, retention
        self._segments = Segments(logged, retention)
        self._length = self._segments.length
        self._newest: int | None = None
        """None until the first use: only then is the store restored."""
        self._noted = True
        self._ages = logged.ages
        self._empty = self._next_empty = BEHIND
        """From this place on, what is not at hand is nowhere: these segments began when the last but one generation of
        what is at hand did, or later. It moves to the next one when another generation begins.
        """

    @property
    def newest(self) -> int:
        """The highest time that came."""
        if self._newest is None:
            self._newest = self._logged.moment
            self._empty = self._next_empty = self._behind()
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
        overlay = self._logged.overlay
        chunk, _, latest = overlay.get(place) or self._settled(place)
        if chunk is None:
            chunk, latest = LONE.pack(0, time, len(payload)) + payload, time
        elif type(chunk) is bytes and time >= latest and len(chunk) <= SHORT:
            chunk, latest = chunk + ROW.pack(time, len(payload)) + payload, time
        else:
            self._add_to(chunk if type(chunk) is list else _parsed(chunk), place, max(time, latest), time, payload)
            return True
        overlay[place] = (chunk, chunk, latest)
        return True

    def _add_to(self, chunk: Chunk, place: bytes, latest: int, time: int, payload: bytes) -> None:
        if len(chunk) == 1 or chunk[-1][0] <= time:
            chunk.append((time, payload))
        else:
            chunk.insert(bisect_left(chunk, (time + 1,), 1), (time, payload))
        if len(chunk) * (len(payload) + ROW.size) > FULL and len(chunk) > 2:
            self._close(place, chunk)
        self._logged.keep(place, chunk, latest)

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
        newest = self.newest if self._newest is None else self._newest
        if latest > newest:
            latest = newest
        if earliest <= newest - self.retention:
            earliest = newest - self.retention + 1
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
        chunk: Any = (self._logged.overlay.get(place) or self._settled(place))[0]
        if chunk is None:
            return ()
        if type(chunk) is bytes:
            return _rows_written(chunk, earliest, latest)
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
                chunk = get(_numbered(place, number + 1))
                rows += (_rows_written if type(chunk) is bytes else rows_of)(chunk, earliest, latest)
        return rows

    def _settled(self, place: bytes) -> Held:
        """What is held at a place that is not in the overlay."""
        logged = self._logged
        held = logged.lately(place)
        if held is not None:
            return held
        if logged.ages != self._ages:
            self._aged()
        return ABSENT if place >= self._empty else logged.find(place)

    def _aged(self) -> None:
        """A generation has gone, or several."""
        behind, ages = self._behind(), self._logged.ages
        self._empty = self._next_empty if ages == self._ages + 1 else behind
        self._next_empty, self._ages = behind, ages

    def _behind(self) -> bytes:
        """The first place of the segment behind the newest time."""
        return START.pack(0 if self.newest < 0 else self._segments.start(self.newest) + self._length)


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


def _rows_written(raw: bytes, earliest: int, latest: int) -> list[Row]:
    """As `rows_of`, of what has no spans."""
    rows, at, unpack, size = [], ROWS, ROW.unpack_from, ROW.size
    while at < len(raw):
        time, length = unpack(raw, at)
        if time > latest:
            break
        start = at + size
        at = start + length
        if time >= earliest:
            rows.append((time, raw[start:at]))
    return rows


def write(chunk: Kept) -> bytes:
    """Count of spans, spans, rows."""
    if isinstance(chunk, bytes):
        return chunk
    spans = chunk[0]
    parts = [NUMBER.pack(len(spans)), *(SPAN.pack(*span) for span in spans)]
    pack = ROW.pack
    for time, payload in chunk[1:]:
        parts.append(pack(time, len(payload)))
        parts.append(payload)
    return b"".join(parts)


def read(raw: bytes) -> Kept:
    if not raw:  # of the stream time beside the rows
        return [()]
    return raw if len(raw) <= SHORT and raw.startswith(OPEN) else _parsed(raw)


def _parsed(raw: bytes) -> Chunk:
    (count,) = NUMBER.unpack_from(raw)
    at = ROWS + count * SPAN.size
    chunk: Chunk = [tuple(SPAN.iter_unpack(raw[ROWS:at]))]
    unpack, size = ROW.unpack_from, ROW.size
    while at < len(raw):
        time, length = unpack(raw, at)
        at += size
        chunk.append((time, raw[at : at + length]))
        at += length
    return chunk
