"""Small commits that come often wait a moment, to go into a store together: what many of them write goes in once.

    gather ──▶ waiting ──after 0.75 s, when it is much, or somebody scans──▶ the store behind
    write  ──▶ waiting and all, at once ───────────────────────────────────────▶ the store behind
    get    ──▶ waiting, else the store behind

What waits is lost with the process, as is what the store behind has not made durable: the changelog has it. The store
behind is given whole writes with the offset of the last, as ever, only fewer of them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from time import monotonic
from typing import Final

from streamz_actors.stores.abc import Pair, Store

EVERY: Final = 0.75
"""Seconds that writes wait, as long as more of them come. Commits of the usual interval, a second, do not wait."""
MOST: Final = 16_384
"""Keys that wait."""


class Gathering(Store):
    """In front of another store, which nobody else writes. `clock` is in seconds."""

    def __init__(self, behind: Store, clock: Callable[[], float] = monotonic) -> None:
        self.bound = behind.bound
        self._behind, self._clock = behind, clock
        self._waiting: dict[bytes, bytes | None] = {}
        self._offset: int | None = None
        """That of the last write that waits."""
        self._passed_on = -EVERY
        self._open = True

    def get(self, key: bytes) -> bytes | None:
        waiting = self._waiting
        return waiting[key] if key in waiting else self._behind.get(key)

    def get_many(self, keys: Collection[bytes]) -> list[bytes | None]:
        waiting = self._waiting
        if not waiting:
            return self._behind.get_many(keys)
        others = iter(self._behind.get_many([key for key in keys if key not in waiting]))
        return [waiting[key] if key in waiting else next(others) for key in keys]

    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self.pass_on()
        return self._behind.scan(start, stop, reverse=reverse)

    def write(self, pairs: Iterable[Pair], offset: int | None = None) -> None:
        self.pass_on()
        self._behind.write(pairs, offset)

    def gather(self, pairs: Iterable[Pair], offset: int | None = None) -> None:
        now = self._clock()
        due = now - self._passed_on >= EVERY or not self._open
        if due:
            self._passed_on = now
        if due and not self._waiting:
            self.write(pairs, offset)
            return
        self._waiting.update(pairs)
        if offset is not None:
            self._offset = offset
        if due or len(self._waiting) >= MOST:
            self.pass_on()

    def pass_on(self) -> None:
        """What waits goes into the store behind."""
        if self._waiting or self._offset is not None:
            self._behind.write(self._waiting.items(), self._offset)
            self._waiting, self._offset = {}, None

    def erase(self, start: bytes, stop: bytes) -> None:
        self.pass_on()
        self._behind.erase(start, stop)

    @property
    def offset(self) -> int | None:
        return self._behind.offset if self._offset is None else self._offset

    def clear(self) -> None:
        self._waiting, self._offset = {}, None
        self._behind.clear()

    def approximate_count(self) -> int:
        self.pass_on()
        return self._behind.approximate_count()

    def close(self) -> None:
        """Nothing waits any more, neither now nor later."""
        self._open = False
        self.pass_on()
