"""The bound on what is kept of committed state for reading: one for all stores of a backend, in bytes.

Two generations. What is read or committed is kept in the young one; when all stores' young ones together reach half of
the bound, every store's becomes its old one, and what was old is forgotten. So what is used often stays, wherever it
is, and a table that nobody looks at any longer gives way to the others.
"""

from typing import Final, Protocol
from weakref import WeakSet

ROW: Final = 250
"""Bytes that an entry takes besides its key and its value: the slot in its dict, the tuple, their headers, its time."""

MIB: Final = 1 << 20


class Cache(Protocol):
    """What one store keeps for reading."""

    def age(self) -> None:
        """Forgets the old generation and makes the young one the old."""


class Bound:
    def __init__(self, limit: int = 128 * MIB) -> None:
        self.limit = limit
        self._young = 0
        self._caches: WeakSet[Cache] = WeakSet()

    def join(self, cache: Cache) -> None:
        self._caches.add(cache)

    def grown(self, rows: int, size: int) -> None:
        """A young generation has got `rows` more, whose values have `size` bytes."""
        self._young += rows * ROW + size
        if self._young > self.limit // 2:
            self._young = 0
            for cache in self._caches:
                cache.age()
