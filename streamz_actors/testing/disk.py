"""The disk of a simulated worker: what it holds outlives the process, but for the newest writes when that is killed.

So it is with RocksDB without its log: after a crash each store is some prefix of its history, each one another.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from random import Random

from streamz_actors.errors import StateError
from streamz_actors.stores.abc import Backend, Pair, Store
from streamz_actors.stores.bound import Bound
from streamz_actors.stores.memory import MemoryBackend, MemoryShelf

UNFLUSHED = 16
"""Writes of a store that a crash may take away."""


class Disk:
    """Outlives its worker; each life of that mounts it anew."""

    def __init__(self) -> None:
        self._mount = Mount(None)

    def mount(self) -> Backend:
        """What was mounted before is closed."""
        self._mount.close()
        self._mount = Mount(self._mount)
        return self._mount

    def crash(self, random: Random) -> None:
        """The process is gone: each store loses some of its newest writes."""
        self._mount.crash(random)


class Mount(MemoryBackend):
    """The disk as one process sees it, with what `former` has left; after a crash nothing of the process changes it."""

    def __init__(self, former: "Mount | None") -> None:
        super().__init__()
        if former is not None:
            self._kept = former._kept
        self._mounted: list[CrashingShelf] = []
        self._gone = False

    def open(self, task: str, stores: Mapping[str, str]) -> MemoryShelf:
        if self._gone:
            raise StateError(f"the process that opens the state of task {task!r} is dead")
        shelf = CrashingShelf(super().open(task, stores))
        self._mounted.append(shelf)
        return shelf

    def destroy(self, task: str) -> None:
        if not self._gone:
            super().destroy(task)

    def crash(self, random: Random) -> None:
        self._gone = True
        for shelf in self._mounted:
            shelf.crash(random)


class CrashingShelf(MemoryShelf):
    def __init__(self, inner: MemoryShelf) -> None:
        super().__init__({}, inner.close)
        self._crashing = {name: CrashingStore(store) for name, store in inner.stores.items()}

    @property
    def stores(self) -> Mapping[str, Store]:
        return self._crashing

    def flush(self) -> None:
        for store in self._crashing.values():
            store.flushed()

    def crash(self, random: Random) -> None:
        if not self._is_open:
            return
        for name in sorted(self._crashing):
            self._crashing[name].crash(random)
        self.close()


Before = tuple[dict[bytes, bytes | None], int | None]
"""What the pairs of one write were, and the offset."""


class CrashingStore(Store):
    """Remembers what each of its last writes has replaced."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.bound: Bound = inner.bound
        self._undo: deque[Before] = deque(maxlen=UNFLUSHED)
        self._gone = False

    def get(self, key: bytes) -> bytes | None:
        return self._inner.get(key)

    def get_many(self, keys: Collection[bytes]) -> list[bytes | None]:
        return self._inner.get_many(keys)

    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return self._inner.scan(start, stop, reverse=reverse)

    def write(self, pairs: Iterable[Pair], offset: int | None = None) -> None:
        changes = dict(pairs)
        if self._gone:
            return
        self._undo.append(({key: self._inner.get(key) for key in changes}, self._inner.offset))
        self._inner.write(changes.items(), offset)

    def erase(self, start: bytes, stop: bytes) -> None:
        if self._gone:
            return
        self._undo.append((dict(self._inner.scan(start, stop)), self._inner.offset))
        self._inner.erase(start, stop)

    @property
    def offset(self) -> int | None:
        return self._inner.offset

    def clear(self) -> None:
        if self._gone:
            return
        self._undo.append((dict(self._inner.scan()), self._inner.offset))
        self._inner.clear()

    def approximate_count(self) -> int:
        return self._inner.approximate_count()

    def flushed(self) -> None:
        self._undo.clear()

    def crash(self, random: Random) -> None:
        offset = self._inner.offset
        for _ in range(random.randrange(len(self._undo) + 1)):
            pairs, offset = self._undo.pop()
            self._inner.write(pairs.items(), offset)
        if offset is None and self._inner.offset is not None:
            kept = list(self._inner.scan())
            self._inner.clear()
            self._inner.write(kept)
        self._gone = True
