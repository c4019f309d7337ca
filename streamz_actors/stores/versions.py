"""What keys held, and when: the history beside a table of latest values, for as long as it is kept.

    <segment> <key>     the versions that ended in this segment of time: start, end, value; by start

A version is valid from its own time to that of the next one of its key, whichever came first. So one that comes out of
order cuts the version that it falls into. A deletion ends a version; it stands in the history as one without a value
that ends where it begins, so that what comes later for an earlier time ends there as well.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

from streamz_actors.stores.logged import MOMENT, NEVER, Held, LoggedStore
from streamz_actors.stores.segments import Segments

PARTS: Final = 16
"""Segments that the retention has: a commit writes again what ended for a key in one of them."""

SHORTEST: Final = 1_000
"""Ms of the shortest of them."""

ROW: Final = Struct(">qqi")
NO_VALUE: Final = -1


class Version(NamedTuple):
    """Valid at start <= ms < end. A deletion has no value and ends where it begins."""

    start: int
    end: int
    payload: bytes | None


class Versions:
    """`latest` is the table, `history` is what it held before. `encode` and `decode` are those of the values."""

    def __init__(
        self,
        latest: LoggedStore,
        history: LoggedStore,
        retention: int,
        encode: Callable[[Any], bytes | None],
        decode: Callable[[bytes | None], Any],
    ) -> None:
        self._latest, self._history, self.retention = latest, history, retention
        self._encode, self._decode = encode, decode
        self._segments = segments(history, retention)

    @property
    def moment(self) -> int:
        """The highest time that came."""
        return moment(self._history)

    # -- reading

    def at(self, raw: bytes, time: int) -> Any:
        """What a key held at a time, None for nothing or if that is no longer known. The latest version never ends."""
        held = self._latest.find(raw)
        if _there(held) and held[2] <= time:
            return self._latest.value(held)
        if time < self.moment - self.retention:
            return None
        for version in self._ending_after(raw, time):
            return self._decode(version.payload) if version.start <= time else None
        return None

    def replaced(self, raw: bytes) -> list[tuple[int, int, Any, int]]:
        """What a key held before its latest value: start, end, value, and its time again; oldest first."""
        known = past_versions(self._history, self.retention, raw)
        return [(start, end, self._decode(payload), start) for start, end, payload in known]

    def _ending_after(self, raw: bytes, time: int) -> Iterator[Version]:
        return ending_after(self._history, self._segments, raw, time)

    # -- writing

    def put(self, raw: bytes, written: Held) -> bool | None:
        """Takes what a key holds from a time on: value, bytes, time, as a table's store holds them; neither: deleted.

        Whether it is the latest; None if it is too old to be taken.
        """
        time, moment = written[2], self.moment
        if time > moment:
            self._history.note(time)
            self._segments.expire(time)
        elif time < moment - self.retention:
            return None
        held = self._latest.find(raw)
        if _there(held) and held[2] <= time:
            if held[2] < time:
                self._add(raw, Version(held[2], time, self._payload(held)))
            self._put_latest(raw, written)
            return True
        if self._insert(raw, time, self._payload(written), held):
            self._put_latest(raw, written)
            return True
        return False

    def _put_latest(self, raw: bytes, written: Held) -> None:
        time = written[2]
        if not _there(written):
            self._add(raw, Version(time, time, None))
        if _there(written) or _there(self._latest.find(raw)):
            self._latest.overlay[raw] = written

    def _payload(self, held: Held) -> bytes | None:
        value, payload, _ = held
        return self._encode(value) if payload is None and value is not None else payload

    def _insert(self, raw: bytes, time: int, payload: bytes | None, held: Held) -> bool:
        """Into the history, where something later is known; whether nothing is."""
        later = held[2] if _there(held) else None
        for version in list(self._ending_after(raw, time - 1)):
            start, end, old = version
            if start == end == time:  # deleted at this very time
                self._remove(raw, version)
            elif start <= time < end:
                self._remove(raw, version)
                if start < time:
                    self._add(raw, Version(start, time, old))
                later = end
            elif start > time:
                later = start if later is None else min(start, later)
                break
        if later is None:
            return True
        self._add(raw, Version(time, time if payload is None else later, payload))
        return False

    def _add(self, raw: bytes, version: Version) -> None:
        key = self._segments.key(raw, version.end)
        rows: list[Version] = self._history.get(key) or []
        rows.append(version)
        rows.sort(key=_order)
        self._history.keep(key, rows, version.end)

    def _remove(self, raw: bytes, version: Version) -> None:
        key = self._segments.key(raw, version.end)
        rows = [row for row in self._history.get(key) or () if row != version]
        if rows:
            self._history.keep(key, rows, version.end)
        else:
            self._history.put(key, None, version.end)


def segment_length(retention: int) -> int:
    """Of a history that is kept for so long; ms."""
    return max(retention // PARTS, SHORTEST)


def segments(history: LoggedStore, retention: int) -> Segments:
    return Segments(history, retention, segment_length(retention))


def moment(history: LoggedStore) -> int:
    """The highest time that came; it may be asked for at any time."""
    held = history.find(MOMENT)
    return held[2] if _there(held) else NEVER


def ending_after(history: LoggedStore, parts: Segments, raw: bytes, time: int) -> Iterator[Version]:
    """The versions of a key, by start, and so by end; deletions among them."""
    for key in parts.keys(raw, time, moment(history)):
        for version in history.get(key) or ():
            if version.end > time:
                yield version


def past_versions(history: LoggedStore, retention: int, raw: bytes) -> list[Version]:
    """What a key held before its latest value, as far as it is still known, oldest first."""
    known = ending_after(history, segments(history, retention), raw, moment(history) - retention)
    return [version for version in known if version.payload is not None]


def _there(held: Held) -> bool:
    return held[0] is not None or held[1] is not None


def _order(version: Version) -> tuple[int, int]:
    return version.start, version.end


def write(versions: list[Version]) -> bytes:
    parts = []
    for start, end, payload in versions:
        parts.append(ROW.pack(start, end, NO_VALUE if payload is None else len(payload)))
        parts.append(payload or b"")
    return b"".join(parts)


def read(raw: bytes) -> list[Version]:
    versions, at = [], 0
    while at < len(raw):
        start, end, size = ROW.unpack_from(raw, at)
        at += ROW.size
        versions.append(Version(start, end, None if size == NO_VALUE else raw[at : at + size]))
        at += max(0, size)
    return versions
