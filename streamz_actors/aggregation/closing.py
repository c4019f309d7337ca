"""Windows of one size that have closed: which, and what they hold; and closing by the wall clock when input stops."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from streamz_actors.clock import Clock
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import NEVER, LoggedStore, unstamp
from streamz_actors.stores.segments import START


class Closed(NamedTuple):
    """What a closed window holds for a key; `key` begins with the window's start."""

    key: bytes
    value: Any
    timestamp: int


class Shape(Protocol):
    """How windows lie in entries of the store."""

    length: int
    """Ms from the time that an entry's key begins with to the next one's."""
    value: Schema[Any]
    """Of an entry."""

    def opened(self, rows: list[Closed], since: int, until: int) -> list[Closed]:
        """The windows in entries that begin at since <= ms < until."""
        ...


class Closing:
    """Of windows that begin at every multiple of `advance`, and that close `retention` ms after they begin.

    Once they are committed, windows are found in the store in the order of their starts. Of what was written since,
    the keys are remembered by the times they begin with, for as long as they may be missing in the store: in two
    generations, since what is written while a flush is under way is in the next one.
    """

    def __init__(self, logged: LoggedStore, shape: Shape, advance: int, retention: int) -> None:
        self._logged, self._shape, self._advance, self._retention = logged, shape, advance, retention
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

    def wrote(self, times: Sequence[int], keys: Iterable[bytes]) -> None:
        """Entries were written, whose keys begin with these times."""
        self._turn()
        young = self._young
        distinct = set(times)
        if len(distinct) == 1:
            young.setdefault(times[0], set()).update(keys)
            return
        for time in distinct:
            young.setdefault(time, set())
        for time, key in zip(times, keys, strict=True):
            young[time].add(key)

    def close(self, edge: int) -> list[Closed]:
        """Moves the edge. What is in the windows before it, in the order of their starts, then of encoded keys."""
        self._turn()
        since, self.edge = self.edge, edge
        shape, length = self._shape, self._shape.length
        fresh: set[bytes] = set()
        for written in (self._young, self._old):
            for time in [time for time in written if time < edge]:
                fresh |= written.pop(time) if time + length <= edge else written[time]
        decode = shape.value.decode
        rows: list[Closed] = []
        for key, raw in self._logged.store.scan(START.pack(since - since % length), START.pack(edge)):
            if key not in fresh:
                timestamp, value = unstamp(raw)
                rows.append(Closed(key, decode(value), timestamp))
        rows += self._held(fresh)
        rows = shape.opened(rows, since, edge)
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
