"""Windows of one size that have closed: which, and what they hold; and closing by the wall clock when input stops."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from streamz_actors.clock import Clock
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import NEVER, LoggedStore, unstamp
from streamz_actors.stores.segments import START


class Closed(NamedTuple):
    """What a closed window holds for a key; `key` begins with the window's start."""

    key: bytes
    value: Any
    timestamp: int


class Closing:
    """Of windows that begin at every multiple of `advance`, and that close `retention` ms after they begin.

    Once they are committed, windows are found in the store in the order of their starts. Of what was written since,
    the keys are remembered by start, for as long as they may be missing in the store: in two generations, since what
    is written while a flush is under way is in the next one.
    """

    def __init__(self, logged: LoggedStore, value: Schema[Any], advance: int, retention: int) -> None:
        self._logged, self._value, self._advance, self._retention = logged, value, advance, retention
        self.edge = 0
        """The first start of a window that has not closed."""
        self._young: dict[int, set[bytes]] = {}
        self._old: dict[int, set[bytes]] = {}
        self._flushes = logged.flushes

    def edge_at(self, stream_time: int) -> int:
        """The edge once that time is reached."""
        return max(0, (stream_time - self._retention) // self._advance * self._advance + self._advance)

    def crossings(self, tops: Sequence[int]) -> Iterable[tuple[int, int]]:
        """Rows, by the stream time after each, at which windows close, with the new edge."""
        edge = self.edge
        if not tops or self.edge_at(tops[-1]) <= edge:
            return
        for row, top in enumerate(tops):
            reached = self.edge_at(top)
            if reached > edge:
                edge = reached
                yield row, edge

    def wrote(self, starts: Sequence[int], keys: Iterable[bytes]) -> None:
        """Windows were written."""
        self._turn()
        young = self._young
        distinct = set(starts)
        if len(distinct) == 1:
            young.setdefault(starts[0], set()).update(keys)
            return
        for start in distinct:
            young.setdefault(start, set())
        for start, key in zip(starts, keys, strict=True):
            young[start].add(key)

    def close(self, edge: int) -> list[Closed]:
        """Moves the edge. What is in the windows before it, in the order of their starts, then of encoded keys."""
        self._turn()
        fresh: set[bytes] = set()
        for written in (self._young, self._old):
            for start in [start for start in written if start < edge]:
                fresh |= written.pop(start)
        stored = self._logged.store.scan(START.pack(self.edge), START.pack(edge))
        self.edge = edge
        decode = self._value.decode
        rows: list[Closed] = []
        for key, raw in stored:
            if key not in fresh:
                timestamp, value = unstamp(raw)
                rows.append(Closed(key, decode(value), timestamp))
        if fresh:
            rows += self._held(fresh)
            rows.sort(key=_key)
        return rows

    def _held(self, keys: Iterable[bytes]) -> Iterable[Closed]:
        """Of keys whose newest value need not be in the store yet, those that have one."""
        logged = self._logged
        for key in keys:
            held = logged.find(key)
            value = logged.value(held)
            if value is not None:
                yield Closed(key, value, held[2])

    def _turn(self) -> None:
        flushes = self._logged.flushes
        if flushes == self._flushes:
            return
        self._old = self._young if flushes == self._flushes + 1 else {}
        self._young, self._flushes = {}, flushes


def _key(row: Closed) -> bytes:
    return row.key


class Idle:
    """Says when nothing has come for `limit` ms of the wall clock: once, until something comes again."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit, self._clock = limit, clock
        self._since = NEVER
        """When the last record came, or somebody asked first; ms."""
        self._told = False

    def touch(self) -> None:
        """Something has come."""
        self._since, self._told = self._clock.now(), False

    def due(self, now: int) -> bool:
        if self._since == NEVER:
            self._since = now
        if self._told or now - self._since < self._limit:
            return False
        self._told = True
        return True
