"""A store whose writes since the last commit live in an overlay: read-your-writes above, only committed state below.

    get      overlay → what is being flushed → read cache → store
    put      overlay
    commit   begin_flush() takes the overlay as columns for the changelog; once they are delivered, apply() writes them
             to the store in chunks, each with the changelog offset that it covers

A value is encoded when it is written, so that one its schema refuses fails there and not at the commit; small integers,
which cannot fail, wait for the commit (a counter is written many times between two). The object is kept beside the
bytes when nobody can change it in place; otherwise every read decodes anew: changing a value that was read is no write.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any, Final, NamedTuple

from streamz_actors.stores.abc import Store

CHUNK: Final = 2_000
"""Keys in one write to the store: it holds the interpreter for about 3 ms."""

STAMP: Final = 8
"""Bytes of the timestamp in front of a stored value: big-endian milliseconds, signed."""


WITHDRAWN: Final = 1_000
"""Withdrawn writes that are remembered: those of events which run side by side on one key."""


class Entry(NamedTuple):
    """A value with its time: `value` if it may be kept as an object, `raw` if it is encoded; neither: deleted."""

    value: Any
    raw: bytes | None
    timestamp: int

    @property
    def deleted(self) -> bool:
        return self.value is None and self.raw is None


make_entry: Final[Callable[[tuple[Any, bytes | None, int]], Entry]] = partial(tuple.__new__, Entry)
"""An entry of its three fields, at half the cost of calling `Entry`."""

SCALARS: Final = frozenset({int, float, str, bool, bytes})
"""Types whose values nobody can change in place."""

SMALL: Final = 2**53
LEAST: Final = -SMALL
"""Integers between the two are written exactly by every codec."""


def stamp(timestamp: int, raw: bytes) -> bytes:
    """A stored value: its timestamp, then its bytes."""
    return timestamp.to_bytes(STAMP, "big", signed=True) + raw


def unstamp(stored: bytes) -> tuple[int, bytes]:
    return int.from_bytes(stored[:STAMP], "big", signed=True), stored[STAMP:]


class LoggedStore:
    """`encode` (`encode_all` for a column) and `decode` turn values into bytes and back.

    `immutable`: no value of the type can be changed in place. `integers`: a small `int` is a value that `encode` takes.
    `cache` bounds the committed entries kept for reading.
    """

    def __init__(
        self,
        store: Store,
        encode: Callable[[Any], bytes | None],
        encode_all: Callable[[Sequence[Any]], list[bytes | None]],
        decode: Callable[[bytes | None], Any],
        *,
        immutable: bool = False,
        integers: bool = False,
        cache: int = 50_000,
    ) -> None:
        self.store = store
        self._encode, self._encode_all, self._decode = encode, encode_all, decode
        self._immutable, self._integers = immutable, integers
        self.overlay: dict[bytes, Entry] = {}
        self._flushing: dict[bytes, Entry] = {}
        self._young: dict[bytes, Entry | None] = {}
        self._old: dict[bytes, Entry | None] = {}
        self._generation = max(1, cache // 2)
        self._withdrawn: dict[int, tuple[Entry, Entry | None]] = {}
        """Writes taken back under a later one, by identity, with what stood before them."""

    # -- reading

    def entry(self, key: bytes) -> Entry | None:
        """What is known of a key; None if it was never written, an entry without value and raw if it was deleted."""
        found = self.overlay.get(key) or self._flushing.get(key)  # an entry, having fields, is always true
        if found is not None:
            return found
        return self._young[key] if key in self._young else self._settled(key)

    def _settled(self, key: bytes) -> Entry | None:
        """What was not looked at lately: from the older generation of the cache, or from the store."""
        if key in self._old:
            found = self._old[key]
        else:
            stored = self.store.get(key)
            found = None if stored is None else self._loaded(stored)
        self._remember(key, found)
        return found

    def _loaded(self, stored: bytes) -> Entry:
        timestamp, raw = unstamp(stored)
        return Entry(self._decode(raw), None, timestamp) if self._immutable else Entry(None, raw, timestamp)

    def _remember(self, key: bytes, entry: Entry | None) -> None:
        """A cache of two generations: the older one is dropped when the younger is full."""
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, {}
        self._young[key] = entry

    def value(self, entry: Entry | None) -> Any:
        """The value of an entry, None if it has none."""
        if entry is None:
            return None
        value = entry.value
        return value if value is not None or entry.raw is None else self._decode(entry.raw)

    def get(self, key: bytes) -> Any:
        """The value of a key, None if there is none."""
        # As `value(entry(key))`, but without a call for what is in the overlay: a call costs as much as the look-up.
        entry = self.overlay.get(key) or self.entry(key)
        if entry is None:
            return None
        value = entry.value
        return self.value(entry) if value is None else value

    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, Entry]]:
        """Live entries with start <= key < stop in byte order, writes since the last commit included."""
        fresh = {
            key: entry
            for key, entry in {**self._flushing, **self.overlay}.items()
            if (start is None or key >= start) and (stop is None or key < stop)
        }
        stored = (
            (key, self._loaded(raw)) for key, raw in self.store.scan(start, stop, reverse=reverse) if key not in fresh
        )
        ordered = iter(sorted(fresh.items(), reverse=reverse))
        for key, entry in merge(stored, ordered, key=lambda pair: pair[0], reverse=reverse):
            if not entry.deleted:
                yield key, entry

    def approximate_count(self) -> int:
        return self.store.approximate_count()

    # -- writing

    def put(self, key: bytes, value: Any, timestamp: int) -> Entry:
        """Writes a value; None deletes. Raises EncodeError for one that its schema cannot write."""
        if type(value) is int and self._integers and LEAST < value < SMALL:
            entry = make_entry((value, None, timestamp))
        elif value is None:
            entry = make_entry((None, None, timestamp))
        else:
            raw = self._encode(value)
            kept = self._immutable or type(value) in SCALARS
            entry = make_entry((value if kept else None, raw, timestamp))
        self.overlay[key] = entry
        return entry

    def undo(self, key: bytes, before: Entry | None, written: Entry) -> None:
        """Takes a write back: puts back what `entry()` gave before it, unless the key has been written since.

        A later write of another event then stands; should that be taken back too, what it puts back is what stood
        before the write withdrawn here.
        """
        before = self._standing(before)
        if self._is_last(key, written):
            self.overlay[key] = Entry(None, None, written.timestamp) if before is None else before
            return
        if len(self._withdrawn) >= WITHDRAWN:
            self._withdrawn.pop(next(iter(self._withdrawn)))
        self._withdrawn[id(written)] = (written, before)

    def _standing(self, entry: Entry | None) -> Entry | None:
        """The entry, or what stood before it if it has been withdrawn."""
        while entry is not None and (found := self._withdrawn.get(id(entry))) is not None and found[0] is entry:
            entry = found[1]
        return entry

    def _is_last(self, key: bytes, written: Entry) -> bool:
        """An equal entry may be somebody else's write: only where the store alone remembers does equality decide."""
        for layer in (self.overlay, self._flushing, self._young, self._old):
            known = layer.get(key)
            if known is not None:
                return known is written
        stored = self.store.get(key)
        if stored is None:
            return written.deleted
        entry = self._loaded(stored)
        return entry.timestamp == written.timestamp and self.value(entry) == self.value(written)

    @property
    def dirty(self) -> int:
        """Keys that the next commit would flush."""
        return len(self.overlay) + len(self._flushing)

    def drop(self) -> None:
        """Forgets everything that is not committed, and the cache."""
        self.overlay, self._flushing, self._young, self._old = {}, {}, {}, {}
        self._withdrawn.clear()

    # -- committing

    def begin_flush(self) -> tuple[list[bytes], list[bytes | None], list[int]]:
        """Takes the overlay, as columns of keys, encoded values and timestamps; later writes are of the next commit.

        What an earlier flush took and did not bring to its end, because it failed or was cancelled, is taken again.
        """
        self._flushing, self.overlay = {**self._flushing, **self.overlay}, {}
        keys = list(self._flushing)
        values = [entry.raw for entry in self._flushing.values()]
        waiting = [row for row, entry in enumerate(self._flushing.values()) if entry.raw is None and not entry.deleted]
        encoded = self._encode_all([self._flushing[keys[row]].value for row in waiting])
        for row, raw in zip(waiting, encoded, strict=True):
            values[row] = raw
        return keys, values, [entry.timestamp for entry in self._flushing.values()]

    def apply(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], offset: int | None
    ) -> None:
        """Writes a chunk of what was flushed, with the changelog position that it covers."""
        stamped = (
            (key, None if raw is None else stamp(timestamp, raw))
            for key, raw, timestamp in zip(keys, values, timestamps, strict=True)
        )
        self.store.write(stamped, offset)

    def end_flush(self) -> None:
        """All chunks are applied: what was flushed is committed state now, and stays in the cache."""
        deleted_or_entry = ((key, None if entry.deleted else entry) for key, entry in self._flushing.items())
        for key, entry in islice(deleted_or_entry, self._generation):
            self._remember(key, entry)
        for key in islice(self._flushing, self._generation, None):
            self._young.pop(key, None)
            self._old.pop(key, None)
        self._flushing = {}
