"""A buffer ordered by time, kept in a store: what waits for its moment, and leaves when it has come.

    <time> <tail>     8 bytes, big-endian, ms; then what the owner tells apart and orders what has the same time by

The order is a list in memory of the keys of what waits; values are in the store. What comes and goes between two
commits is neither logged nor stored.
"""

from bisect import bisect_left
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

from streamz_actors.stores.logged import FIRST, LoggedStore
from streamz_actors.stores.segments import key_of, time_of, timed_key

NUMBER: Final = Struct(">Q")
"""What `add` tells entries of one time and one tail apart by: they leave as they came."""

SLACK: Final = 64
"""Removed keys that the order may hold beyond twice what waits."""


class Waiting(NamedTuple):
    """One entry. `timestamp` is what it was written with: it need not be the time that it waits for."""

    time: int
    tail: bytes
    value: Any
    timestamp: int


class TimeBuffer:
    """The store must be the buffer's own (but for the observed stream time beside it), and its values must be ones that
    its schema writes whatever they hold (`serde.packed`): they are encoded at the commit.

    What the store holds is looked at when the buffer is first used, not before: then it is restored.
    """

    def __init__(self, logged: LoggedStore) -> None:
        self._logged = logged
        self._order: list[bytes] = []
        """Sorted keys: those of what waits, and removed ones. Before `_at` all are gone."""
        self._at = 0
        self._live: set[bytes] | None = None
        """The keys of what waits; None until the first use."""
        self._number: int | None = None
        """The highest that `add` has given; None until it is first asked for one."""
        self._fresh: set[bytes] = set()
        """Those that no commit has taken yet."""
        self._overlay = logged.overlay

    def __len__(self) -> int:
        return len(self._keys())

    def _keys(self) -> set[bytes]:
        live = self._live
        if live is None:
            self._order = [key for key, _ in self._logged.scan(FIRST)]
            live = self._live = set(self._order)
        return live

    def entries(self) -> Iterator[Waiting]:
        """All that waits, in order. Reads the whole store."""
        for key, entry in self._logged.scan(FIRST):
            yield Waiting(time_of(key), key_of(key), self._logged.value(entry), entry.timestamp)

    # -- looking

    @property
    def earliest(self) -> int | None:
        """The time of the first; None if nothing waits."""
        first = self._first()
        return None if first is None else time_of(first)

    @property
    def first(self) -> tuple[int, bytes] | None:
        """Time and tail of the first."""
        first = self._first()
        return None if first is None else (time_of(first), key_of(first))

    def _first(self) -> bytes | None:
        live, order, at = self._keys(), self._order, self._at
        while at < len(order) and order[at] not in live:
            at += 1
        self._at = at
        return order[at] if at < len(order) else None

    @property
    def latest(self) -> int | None:
        """The time of the last."""
        live, order = self._keys(), self._order
        while len(order) > self._at and order[-1] not in live:
            order.pop()
        return time_of(order[-1]) if len(order) > self._at else None

    def time_from(self, time: int, tail: bytes = b"") -> int | None:
        """The time of the first that does not stand before (time, tail)."""
        live, order = self._keys(), self._order
        for at in range(bisect_left(order, timed_key(time, tail), self._at), len(order)):
            if order[at] in live:
                return time_of(order[at])
        return None

    def get(self, time: int, tail: bytes) -> Any:
        """The value that waits there, None if there is none."""
        key = timed_key(time, tail)
        return self._logged.get(key) if key in self._keys() else None

    # -- coming and going

    def put(self, time: int, tail: bytes, value: Any, timestamp: int) -> None:
        """Adds an entry, or puts it in the place of the one that is there. The value is not None."""
        live, key, logged = self._keys(), timed_key(time, tail), self._logged
        if key not in live:
            live.add(key)
            self._insert(key)
            fresh = self._unflushed()
            if key not in logged.overlay:  # else its removal is there, and has to go on
                fresh.add(key)
        logged.keep(key, value, timestamp)

    def _insert(self, key: bytes) -> None:
        order = self._order
        if not order or order[-1] < key:
            order.append(key)
            return
        at = bisect_left(order, key, self._at)
        if at == len(order) or order[at] != key:  # a removed one may still stand there
            order.insert(at, key)

    def add(self, time: int, tail: bytes, value: Any, timestamp: int) -> None:
        """Adds an entry beside all others. Its tail gets a number of 8 bytes behind it, see `unnumbered`."""
        number = self._number
        if number is None:
            number = max((NUMBER.unpack(key[-NUMBER.size :])[0] for key in self._keys()), default=0)
        self._number = number + 1
        self.put(time, tail + NUMBER.pack(number + 1), value, timestamp)

    def remove(self, time: int, tail: bytes) -> bool:
        """Takes an entry out; whether it was there."""
        key = timed_key(time, tail)
        if key not in self._keys():
            return False
        self._forget(key)
        return True

    def pop(self) -> Waiting:
        """Takes out the first. Raises IndexError if nothing waits."""
        key = self._first()
        if key is None:
            raise IndexError("nothing waits in the buffer")
        held = self._logged.find(key)
        found = Waiting(time_of(key), key_of(key), self._logged.value(held), held[2])
        self._forget(key)
        return found

    def _forget(self, key: bytes) -> None:
        live, order, fresh = self._keys(), self._order, self._unflushed()
        live.remove(key)
        if len(order) > 2 * len(live) + SLACK:
            self._order, self._at = [key for key in order[self._at :] if key in live], 0
        if key in fresh:
            fresh.remove(key)
            del self._logged.overlay[key]
        else:
            self._logged.put(key, None, 0)

    def _unflushed(self) -> set[bytes]:
        """A commit takes the overlay and puts a new one in its place."""
        if self._logged.overlay is not self._overlay:
            self._overlay, self._fresh = self._logged.overlay, set()
        return self._fresh


def unnumbered(tail: bytes) -> bytes:
    """The tail that an entry was added with."""
    return tail[: -NUMBER.size]
