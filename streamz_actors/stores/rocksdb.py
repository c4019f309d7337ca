"""Stores in RocksDB: a database per task, a column family per store, each store's offset among its own data.

On disk, format 1:

    <root>/<place>/              one RocksDB database; its LOCK file is the place's lock
      column family store.<name>
        00 "about"               format version (4 bytes, big-endian), then the identity
        00 "offset"              the covered changelog offset (8 bytes, signed, big-endian)
        01 <key>                 a value; the prefix keeps both keys above out of every key's and scan's way

The write-ahead log is off: the changelog is the log. A crash loses what waited (`gathering`) and what memtables held:
of each column family the end of its history in whole batches. The restore goes on from its offset, in one family and
batch with its data. (In a family of its own it would outlive its data: families flush one by one.)

Calls hold the GIL, except open, flush and close, which may be given to a thread.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from struct import Struct
from typing import Any, NoReturn, cast
from weakref import WeakSet

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from streamz_actors.errors import StateError, StoreCorrupted, StoreLocked
from streamz_actors.stores import locks
from streamz_actors.stores.abc import Backend, Pair, Shelf, Store
from streamz_actors.stores.bound import Bound
from streamz_actors.stores.gathering import Gathering

log = logging.getLogger("streamz_actors.stores")

FORMAT_VERSION = 1
MIB = 1 << 20

_FAMILY = "store."
_ABOUT, _OFFSET = b"\x00about", b"\x00offset"
_DATA, _DATA_END = b"\x01", b"\x02"
_VERSION_FORMAT, _OFFSET_FORMAT = Struct(">I"), Struct(">q")

# RocksDB's words; the last two: somebody else had the database between our look at its families and our open.
_HELD = ("lock hold by current process", "While lock file", "Column families not opened", "Column family not found")
# What ails the machine and not the data: emptying the store would not help.
_MACHINE = (
    "No space left", "Disk quota exceeded", "Permission denied", "Operation not permitted", "Read-only file system",
    "Too many open files", "Cannot allocate memory",
)


def _fail(error: Exception, place: str) -> NoReturn:
    """Translates what rocksdict raised: a bare Exception with RocksDB's text. Anything else is not RocksDB's."""
    if isinstance(error, DbClosedError):
        raise StateError(f"{place} was used after it was closed") from error
    if type(error) is not Exception:
        raise error
    text = " ".join(str(error).split())
    if any(words in text for words in _HELD):
        raise StoreLocked(f"{place} is open elsewhere, in this process or another: wait until it is closed") from error
    if any(words in text for words in _MACHINE):
        raise StateError(f"{place}: {text}") from error
    raise StoreCorrupted(f"{place} cannot be read: {text}. Remove it: its changelog rebuilds it") from error


class _Scan(Iterator[tuple[bytes, bytes]]):
    """A RocksDB iterator that its store can take away, for LOCK is not released while one is alive.

    Not rocksdict's own `items()`: that one ends silently where a block is corrupt.
    """

    __slots__ = ("__weakref__", "_cursor", "_high", "_is_done", "_low", "_place", "_reverse")

    def __init__(self, family: Rdict, low: bytes, high: bytes, reverse: bool, place: str) -> None:
        bounds = ReadOptions()  # the upper one only: rocksdict 0.3.29 takes a lower bound for an upper one
        bounds.set_iterate_upper_bound(high)
        cursor = family.iter(bounds)
        self._cursor: RdictIter | None = cursor
        self._low = low
        self._high = high  # kept alive: the cursor points into these bytes and does not hold them
        self._reverse = reverse
        self._place = place
        self._is_done = False
        if reverse:
            cursor.seek_to_last()
        else:
            cursor.seek(low)

    def __next__(self) -> tuple[bytes, bytes]:
        cursor = self._cursor
        if cursor is None:
            self._refuse()
        key: bytes | None = cursor.key()
        if key is None or key < self._low:
            del cursor  # else a traceback of what comes now would keep it
            self._end()
        value: bytes = cursor.value()
        if self._reverse:
            cursor.prev()
        else:
            cursor.next()
        return key[1:], value

    def close(self) -> None:
        self._cursor = None

    def _end(self) -> NoReturn:
        assert self._cursor is not None
        try:
            self._cursor.status()
        except Exception as error:
            _fail(error, self._place)
        self._is_done, self._cursor = True, None
        raise StopIteration

    def _refuse(self) -> NoReturn:
        if self._is_done:
            raise StopIteration
        raise StateError(f"{self._place} was closed in the middle of a scan")


class RocksStore(Store):
    def __init__(self, database: Rdict, family: str, options: Options, place: str, bound: Bound) -> None:
        self.bound = bound
        self._database = database
        self._name = family
        self._options = options
        self._place = place
        self._family = database.get_column_family(family)
        self._scans: WeakSet[_Scan] = WeakSet()
        self._about = b""
        self._offset: int | None = None

    def claim(self, identity: str) -> None:
        """Makes this the store of `identity`: what is of another one, or of another format, is emptied."""
        self._about = _about(identity)
        found: bytes | None = self._family.get(_ABOUT)
        if found == self._about:
            offset: bytes | None = self._family.get(_OFFSET)
            self._offset = None if offset is None else _OFFSET_FORMAT.unpack(offset)[0]
            return
        if found is None and next(self.scan(), None) is None:
            self._write_about()
            return
        log.warning(
            "%s holds data of %s, not of %s: emptied, to be rebuilt from its changelog",
            self._place, _described(found), _described(self._about),
        )
        self.clear()

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._family.get(_DATA + key)
        except Exception as error:
            _fail(error, self._place)
        return value

    def get_many(self, keys: Collection[bytes]) -> list[bytes | None]:
        try:
            values = self._family.get([_DATA + key for key in keys])
        except Exception as error:
            _fail(error, self._place)
        return cast("list[bytes | None]", values)

    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if start is not None and stop is not None and start >= stop:
            return iter(())  # RocksDB leaves bounds that cross undefined
        low, high = _DATA + (start or b""), _DATA_END if stop is None else _DATA + stop
        try:
            scan = _Scan(self._family, low, high, reverse, self._place)
        except Exception as error:
            _fail(error, self._place)
        self._scans.add(scan)
        return scan

    def write(self, pairs: Iterable[Pair], offset: int | None = None) -> None:
        batch = WriteBatch(raw_mode=True)
        try:
            batch.set_default_column_family(self._database.get_column_family_handle(self._name))
            for key, value in pairs:
                if value is None:
                    del batch[_DATA + key]
                else:
                    batch[_DATA + key] = value
            if offset is not None:
                batch[_OFFSET] = _OFFSET_FORMAT.pack(offset)
            self._family.write(batch)
        except Exception as error:
            batch.set_default_column_family(None)  # a traceback keeps the batch, and the handle would keep LOCK
            _fail(error, self._place)
        if offset is not None:
            self._offset = offset

    def erase(self, start: bytes, stop: bytes) -> None:
        if start >= stop:
            return
        try:
            self._family.delete_range(_DATA + start, _DATA + stop)
        except Exception as error:
            _fail(error, self._place)

    @property
    def offset(self) -> int | None:
        return self._offset

    def clear(self) -> None:
        """Drops the column family and makes it anew: its files go at once, and scans that began before go on."""
        try:
            self._database.drop_column_family(self._name)
            self._family = self._database.create_column_family(self._name, self._options)
            self._write_about()
        except Exception as error:
            _fail(error, self._place)
        self._offset = None

    def approximate_count(self) -> int:
        try:
            count = self._family.property_int_value("rocksdb.estimate-num-keys")
        except Exception as error:
            _fail(error, self._place)
        own = 1 if self._offset is None else 2
        return max(0, (count or 0) - own)

    def flush(self) -> None:
        try:
            self._family.flush()
        except Exception as error:
            _fail(error, self._place)

    def close(self) -> None:
        for scan in list(self._scans):
            scan.close()
        try:
            self._family.close()  # flushes
        except Exception as error:
            _fail(error, self._place)

    def _write_about(self) -> None:
        self._family[_ABOUT] = self._about


def _about(identity: str) -> bytes:
    return _VERSION_FORMAT.pack(FORMAT_VERSION) + identity.encode()


def _described(about: bytes | None) -> str:
    if about is None or len(about) < _VERSION_FORMAT.size:
        return "unknown origin"
    (version,) = _VERSION_FORMAT.unpack_from(about)
    return f"{about[_VERSION_FORMAT.size :].decode(errors='replace')!r} (format {version})"


class RocksShelf(Shelf):
    def __init__(self, database: Rdict, path: Path, bound: Bound) -> None:
        self._bound = bound
        self._database = database
        self._path, self._place = path, f"state directory {path}"
        locks.opened(path)
        self._stores: dict[str, RocksStore] = {}
        self._fronts: dict[str, Gathering] = {}
        self._is_open = True

    @property
    def stores(self) -> Mapping[str, Store]:
        return self._fronts

    def add(self, name: str, identity: str, options: Options) -> None:
        store = RocksStore(self._database, _FAMILY + name, options, f"store {name!r} in {self._place}", self._bound)
        self._stores[name], self._fronts[name] = store, Gathering(store)  # `close` must find them if what follows fails
        store.claim(identity)

    def flush(self) -> None:
        for name, front in self._fronts.items():
            front.pass_on()
            self._stores[name].flush()

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        with ExitStack() as each:  # one that fails does not leave the others, and so LOCK, open
            each.callback(locks.closed, self._path)  # the last one called
            each.callback(self._close_database)
            both: list[RocksStore | Gathering] = [*self._stores.values(), *self._fronts.values()]
            for store in both:
                each.callback(store.close)

    def _close_database(self) -> None:
        try:
            self._database.close()
        except Exception as error:
            _fail(error, self._place)


class RocksBackend(Backend):
    """Task directories under `root`; all of them share one block cache and one limit for what memtables hold."""

    def __init__(
        self,
        root: Path,
        *,
        block_cache_bytes: int = 256 * MIB,
        write_buffer_bytes: int = 128 * MIB,
        read_cache_bytes: int = 128 * MIB,
    ) -> None:
        self._bound = Bound(read_cache_bytes)
        self._root = root.resolve()  # RocksDB knows a lock of its own process by the spelling of its path
        self._options = _options(Cache(block_cache_bytes), WriteBufferManager(write_buffer_bytes, allow_stall=False))
        self._shelves: dict[str, RocksShelf] = {}

    def open(self, task: str, stores: Mapping[str, str]) -> RocksShelf:
        path = self._directory(task)
        # Every family found has to be opened, and with our options: those on disk know no shared cache. New ones are
        # made on the way, all at once: one by one takes five times as long.
        families = {*self._families(path), *(_FAMILY + name for name in stores)}
        try:
            database = Rdict(str(path), self._options, column_families=dict.fromkeys(families, self._options))
        except Exception as error:
            _fail(error, f"state directory {path}")
        shelf = RocksShelf(database, path, self._bound)
        try:
            database.set_write_options(_without_log())
            for name, identity in stores.items():
                shelf.add(name, identity, self._options)
        except Exception as error:
            shelf.close()
            _fail(error, f"state directory {path}")
        self._shelves[task] = shelf
        return shelf

    def peek(self, task: str, store: str, identity: str, keys: Collection[bytes]) -> list[bytes | None] | None:
        name = _FAMILY + store
        found = self._look(task, {name: identity}, lambda family: family.get([_DATA + key for key in keys]))
        return cast("list[bytes | None] | None", found.get(name))

    def places(self, beginning: str = "") -> list[str]:
        names = os.listdir(self._root) if self._root.is_dir() else []
        return sorted(name for name in names if name.startswith(beginning) and (self._root / name / "CURRENT").exists())

    def held(self, task: str) -> bool:
        return locks.held(self._directory(task))

    def covered(self, task: str, stores: Mapping[str, str]) -> dict[str, int]:
        there = set(self._families(self._directory(task)))
        families = {_FAMILY + name: identity for name, identity in stores.items() if _FAMILY + name in there}
        found = self._look(task, families, lambda family: family.get(_OFFSET))
        return {
            name.removeprefix(_FAMILY): _OFFSET_FORMAT.unpack(offset)[0]
            for name, offset in found.items()
            if offset is not None
        }

    def _look(self, task: str, families: Mapping[str, str], read: Callable[[Rdict], Any]) -> dict[str, Any]:
        """What is read from each of a place's column families (name → identity) that is of this identity."""
        path, options = self._directory(task), self._options
        if not families or not (path / "CURRENT").exists():  # RocksDB would make the directory
            return {}
        columns, access, found = dict.fromkeys(families, options), AccessType.read_only(False), {}
        try:
            with closing(Rdict(str(path), options, column_families=columns, access_type=access)) as database:
                for name, identity in families.items():
                    with closing(database.get_column_family(name)) as family:
                        if family.get(_ABOUT) == _about(identity):
                            found[name] = read(family)
        except Exception as error:  # its owner may be moving files at this very moment
            log.debug("%s in %s cannot be read beside its owner: %s", ", ".join(families), path, error)
            return {}
        return found

    def destroy(self, task: str) -> None:
        path = self._directory(task)
        if path.is_file():
            path.unlink()
        if not path.exists():
            return
        try:
            Rdict.destroy(str(path), self._options)  # takes LOCK; leaves files that are not RocksDB's
        except Exception as error:
            _fail(error, f"state directory {path}")

    def close(self) -> None:
        with ExitStack() as each:
            for shelf in self._shelves.values():
                each.callback(shelf.close)
        self._shelves.clear()

    def _directory(self, task: str) -> Path:
        if task in ("", ".", "..") or Path(task).name != task:
            raise ValueError(f"{task!r} cannot be a task's name: it is to be the name of a directory")
        return self._root / task

    def _families(self, path: Path) -> list[str]:
        """The column families on disk; none if there is nothing, or nothing readable: opening then tells what it is."""
        if not (path / "CURRENT").exists():
            return []
        try:
            return Rdict.list_cf(str(path), self._options)
        except Exception as error:
            log.debug("the column families in %s cannot be listed: %s", path, error)
            return []


def _options(cache: Cache, memtables: WriteBufferManager) -> Options:
    tables = BlockBasedOptions()
    tables.set_block_cache(cache)
    tables.set_bloom_filter(10, block_based=False)
    # In the cache, a filter larger than one of its 64 shards would be read from disk anew by every get.
    tables.set_cache_index_and_filter_blocks(False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_block_based_table_factory(tables)
    options.set_write_buffer_manager(memtables)
    options.set_write_buffer_size(8 * MIB)  # larger ones leave the processor's caches: a put costs twice as much at 64
    options.set_max_write_buffer_number(4)
    # 48 KiB for each memtable at once: a get of a key that was not written lately need not walk through it.
    options.set_memtable_prefix_bloom_ratio(0.006)
    options.set_memtable_whole_key_filtering(True)
    options.set_arena_block_size(32 << 10)  # an eighth of the memtable by default: too much for hundreds of stores
    options.set_compression_type(DBCompressionType.lz4())
    options.set_max_open_files(256)  # per task: hundreds of tasks share one process's file descriptors
    options.set_manifest_preallocation_size(64 << 10)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(MIB)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options


def _without_log() -> WriteOptions:
    options = WriteOptions()
    options.disable_wal = True  # type: ignore[method-assign, assignment]  # a property; rocksdict's stub says method
    return options
