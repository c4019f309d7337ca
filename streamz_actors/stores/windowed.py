"""How the windows of one size lie in a store: one entry for each window and key, under the window's start.

    <start> <key>     8 bytes, big-endian, ms since the epoch; then the key as its codec writes it

What is old lies together, so that it goes by one range deletion. The windows of one key are found with one look-up for
each that there could be, never with a scan.
"""

from typing import Any, Final

from streamz_actors.stores.logged import NEVER, LoggedStore
from streamz_actors.stores.segments import START
from streamz_actors.windows.definitions import FOREVER

TOGETHER: Final = 1_000
"""Windows looked up in one call."""

Row = tuple[int, int, Any, int]
"""A window's start and end, its value, and the time of its last record; ms."""


class AlignedWindows:
    """Windows that begin at every multiple of `advance`. `value_schema` is that of a window's value.

    `retention`, in ms, is counted from a window's start to that of the newest window.
    """

    def __init__(self, value_schema: Any, size: int, advance: int, retention: int) -> None:
        self.value_schema = value_schema
        self._size, self._advance, self._retention = size, advance, retention

    def oldest(self, stream_time: int) -> int:
        """The earliest start of a window that is still kept."""
        newest = stream_time // self._advance * self._advance
        return max(0, -(-(newest - self._retention + 1) // self._advance) * self._advance)

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[Row]:
        """The windows of an encoded key that begin at start <= ms < stop and are still kept, oldest first."""
        moment = logged.moment
        if moment == NEVER:
            return []
        low = max(self.oldest(moment), 0 if start is None else -(-start // self._advance) * self._advance)
        high = moment + 1 if stop is None else min(stop, moment + 1)
        starts = range(low, high, self._advance)
        found: list[Row] = []
        for first in range(0, len(starts), TOGETHER):
            part = starts[first : first + TOGETHER]
            keys = [START.pack(begin) + raw for begin in part]
            logged.load(keys)
            found += [row for begin, key in zip(part, keys, strict=True) if (row := self._row(logged, begin, key))]
        return found

    def _row(self, logged: LoggedStore, start: int, key: bytes) -> Row | None:
        held = logged.find(key)
        value = logged.value(held)
        return None if value is None else (start, start + self._size, value, held[2])


class OneWindow:
    """A single window without an end, from `start` on: it is kept for ever."""

    def __init__(self, value_schema: Any, start: int) -> None:
        self.value_schema, self._start = value_schema, start

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[Row]:
        """That of an encoded key, if it begins at start <= ms < stop."""
        begin = self._start
        held = logged.find(START.pack(begin) + raw)
        value = logged.value(held)
        wanted = (start is None or start <= begin) and (stop is None or begin < stop)
        return [(begin, FOREVER, value, held[2])] if wanted and value is not None else []
