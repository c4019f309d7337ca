"""Composite keys that begin with a time, so that what is old lies together and goes at once.

    <time> <key>      8 bytes, big-endian, ms since the epoch; then the key as its codec writes it

For windows of one size the time is the window's start. Where a key's entries lie anywhere in time (sessions, join
buffers, versions), it is the start of a *segment*, and the value holds all of the key's entries in it: what belongs to
a stretch of time is found with one look-up for each segment that it touches, never with a scan.
"""

from struct import Struct
from typing import Final

from streamz_actors.stores.logged import LoggedStore

START: Final = Struct(">Q")

SHORTEST: Final = 60_000
"""Ms of the shortest segment."""


def timed_key(time: int, raw: bytes) -> bytes:
    return START.pack(time) + raw


def time_of(key: bytes) -> int:
    return int(START.unpack_from(key)[0])


def key_of(key: bytes) -> bytes:
    """The key without its time."""
    return key[START.size :]


def segment_length(retention: int) -> int:
    """Half of the retention, so that at most three segments are alive at a time; ms."""
    return max(retention // 2, SHORTEST)


class Segments:
    """The segments of one store: of the length that is given, in ms, else of the usual one."""

    __slots__ = ("_expired", "_logged", "length", "retention")

    def __init__(self, logged: LoggedStore, retention: int, length: int | None = None) -> None:
        self._logged, self.retention = logged, retention
        self.length = segment_length(retention) if length is None else length
        self._expired = 0

    def start(self, time: int) -> int:
        """Of the segment that a time is in. What is before the epoch is in the first."""
        return max(0, time - time % self.length)

    def key(self, raw: bytes, time: int) -> bytes:
        """Where the entries of a key are that belong to a time."""
        return timed_key(self.start(time), raw)

    def keys(self, raw: bytes, earliest: int, latest: int) -> list[bytes]:
        """Where the entries of a key are with earliest <= time <= latest, oldest first."""
        return [timed_key(start, raw) for start in range(self.start(earliest), max(0, latest) + 1, self.length)]

    def expire(self, stream_time: int) -> None:
        """Lets go of the segments that end before the retention begins."""
        live = self.start(stream_time - self.retention)
        if live > self._expired:
            self._expired = live
            self._logged.expire(START.pack(live))
