"""Stores in memory: the adapter of the embedded broker and of tests. State lives as long as its backend object."""

import logging
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, tee
from weakref import WeakSet

from streamz_actors.errors import StateError, StoreLocked
from streamz_actors.stores.abc import Backend, Pair, Shelf, Store
from streamz_actors.stores.bound import Bound

log = logging.getLogger("streamz_actors.stores")


class _Content:
    """What outlives a shelf: the pairs of one store, their key order, the covered offset."""

    __slots__ = ("_fresh", "_order", "_shrunk", "identity", "offset", "pairs")

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.pairs: dict[bytes, bytes] = {}
        self.offset: int | None = None
        self._order: list[bytes] = []
        self._fresh: dict[bytes, None] = {}
        self._shrunk = False

    def keys(self, start: bytes | None, stop: bytes | None, *, reverse: bool) -> Iterator[bytes]:
        """The keys with start <= key < stop as they are now, copying none: `_order` is replaced, never changed."""
        order = self._sorted()
        low = 0 if start is None else bisect_left(order, start)
        inside = range(low, len(order) if stop is None else bisect_left(order, stop))
        return map(order.__getitem__, reversed(inside) if reverse else inside)

    def apply(self, changes: Mapping[bytes, bytes | None], offset: int | None) -> None:
        pairs = self.pairs
        for key, value in changes.items():
            if value is None:
                self._remove(key)
                continue
            if key not in pairs:
                self._fresh[key] = None
            pairs[key] = value
        if offset is not None:
            self.offset = offset

    def erase(self, start: bytes, stop: bytes) -> None:
        order = self._sorted()
        low, high = bisect_left(order, start), bisect_left(order, stop)
        for key in order[low:high]:
            del self.pairs[key]
        if low < high:
            self._order = order[:low] + order[high:]

    def clear(self) -> None:
        self.pairs.clear()
        self._order, self._fresh, self._shrunk = [], {}, False
        self.offset = None

    def _remove(self, key: bytes) -> None:
        if self.pairs.pop(key, None) is None:
            return
        self._shrunk = True
        self._fresh.pop(key, None)  # or a store that nobody scans would remember every key it ever had

    def _sorted(self) -> list[bytes]:
        """The keys in order, sorted again only if their set changed; the sort finds the old order as one run."""
        if self._fresh or self._shrunk:
            once = dict.fromkeys(chain(self._order, self._fresh))  # a key deleted and written again is in both
            self._order = sorted(filter(self.pairs.__contains__, once))
            self._fresh, self._shrunk = {}, False
        return self._order


class _Scan(Iterator[tuple[bytes, bytes]]):
    """Reads through to the store until the store is about to change: then it keeps what it has still to give."""

    __slots__ = ("__weakref__", "_closed", "_source")

    def __init__(self, keys: Iterator[bytes], pairs: Mapping[bytes, bytes]) -> None:
        keys, again = tee(keys)
        self._source: Iterator[tuple[bytes, bytes]] = zip(keys, map(pairs.__getitem__, again), strict=True)
        self._closed = ""

    def __next__(self) -> tuple[bytes, bytes]:
        if self._closed:
            raise StateError(self._closed)
        return next(self._source)

    def detach(self) -> None:
        self._source = iter(list(self._source))

    def close(self, reason: str) -> None:
        self._closed = reason


class MemoryStore(Store):
    def __init__(self, content: _Content, place: str, bound: Bound) -> None:
        self.bound = bound
        self._content = content
        self._place = place
        self._scans: WeakSet[_Scan] = WeakSet()
        self._is_open = True
        # The hottest call of all: the dict's own method stands in for ours and spares a frame.
        self.get = content.pairs.get  # type: ignore[method-assign, assignment]

    def get(self, key: bytes) -> bytes | None:
        raise StateError(self._after_close())

    def get_many(self, keys: Collection[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        content = self._opened()
        scan = _Scan(content.keys(start, stop, reverse=reverse), content.pairs)
        self._scans.add(scan)
        return scan

    def write(self, pairs: Iterable[Pair], offset: int | None = None) -> None:
        changes = dict(pairs)  # whole before the first is applied: `pairs` may raise
        content = self._opened()
        self._detach_scans()
        content.apply(changes, offset)

    def erase(self, start: bytes, stop: bytes) -> None:
        content = self._opened()
        self._detach_scans()
        content.erase(start, stop)

    @property
    def offset(self) -> int | None:
        return self._content.offset

    def clear(self) -> None:
        content = self._opened()
        self._detach_scans()
        content.clear()

    def approximate_count(self) -> int:
        return len(self._opened().pairs)

    def close(self) -> None:
        self._is_open = False
        del self.get  # uncovers the method, which refuses
        for scan in list(self._scans):
            scan.close(self._after_close())

    def _opened(self) -> _Content:
        if not self._is_open:
            raise StateError(self._after_close())
        return self._content

    def _detach_scans(self) -> None:
        for scan in list(self._scans):
            scan.detach()
        self._scans.clear()

    def _after_close(self) -> str:
        return f"{self._place} was used after it was closed"


class MemoryShelf(Shelf):
    def __init__(self, stores: Mapping[str, MemoryStore], release: Callable[[], None]) -> None:
        self._stores = stores
        self._release = release
        self._is_open = True

    @property
    def stores(self) -> Mapping[str, Store]:
        return self._stores

    def flush(self) -> None:
        """Nothing outlives the process: there is nothing to make durable."""

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        for store in self._stores.values():
            store.close()
        self._release()


class MemoryBackend(Backend):
    """Keeps what its shelves hold when they close, so that a task opened again finds it: a disk for tests."""

    def __init__(self) -> None:
        self._bound = Bound()
        self._kept: dict[str, dict[str, _Content]] = {}
        self._shelves: dict[str, MemoryShelf] = {}

    def open(self, task: str, stores: Mapping[str, str]) -> MemoryShelf:
        self._check_free(task)
        kept = self._kept.setdefault(task, {})
        opened = {}
        for name, identity in stores.items():
            place = f"store {name!r} of task {task!r} (in memory)"
            content = kept.setdefault(name, _Content(identity))
            if content.identity != identity:
                log.warning(
                    "%s holds data of %r, not of %r: emptied, to be rebuilt from its changelog",
                    place, content.identity, identity,
                )
                content = kept[name] = _Content(identity)
            opened[name] = MemoryStore(content, place, self._bound)
        shelf = self._shelves[task] = MemoryShelf(opened, lambda: self._release(task))
        return shelf

    def peek(self, task: str, store: str, identity: str, keys: Collection[bytes]) -> list[bytes | None] | None:
        content = self._kept.get(task, {}).get(store)
        if content is None or content.identity != identity:
            return None
        return [content.pairs.get(key) for key in keys]

    def places(self, beginning: str = "") -> list[str]:
        return sorted(place for place in self._kept if place.startswith(beginning))

    def held(self, task: str) -> bool:
        return task in self._shelves

    def covered(self, task: str, stores: Mapping[str, str]) -> dict[str, int]:
        kept = self._kept.get(task, {})
        contents = {name: kept[name] for name, identity in stores.items() if _is(kept.get(name), identity)}
        return {name: content.offset for name, content in contents.items() if content.offset is not None}

    def destroy(self, task: str) -> None:
        self._check_free(task)
        self._kept.pop(task, None)

    def close(self) -> None:
        """Closes the shelves still open; what they hold stays."""
        for shelf in list(self._shelves.values()):
            shelf.close()

    def _check_free(self, task: str) -> None:
        if task in self._shelves:
            raise StoreLocked(f"the state of task {task!r} (in memory) is open: close its shelf first")

    def _release(self, task: str) -> None:
        del self._shelves[task]


def _is(content: _Content | None, identity: str) -> bool:
    return content is not None and content.identity == identity
