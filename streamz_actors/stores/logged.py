"""A store whose writes since the last commit live in an overlay: read-your-writes above, only committed state below.

    find     overlay → what was read or committed lately (what is being flushed among it) → store
    put      overlay
    commit   begin_flush() takes the overlay as columns for the changelog; once they are delivered, apply() writes them
             to the store in chunks, each with the changelog offset that it covers

A value is encoded when it is written, so that one its schema refuses fails there and not at the commit; small integers
and finite floats, which cannot fail, wait for the commit (a sum is written many times between two). The object is kept
beside the bytes when nobody can change it in place; otherwise every read decodes anew: changing a value that was read
is no write.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from heapq import merge
from itertools import compress, filterfalse
from struct import Struct
from sys import getsizeof
from typing import Any, Final, NamedTuple, cast

from streamz_actors.stores.abc import Store

CHUNK: Final = 2_000
"""Keys in one write to the store: it holds the interpreter for about 3 ms."""

TIME: Final = Struct(">q")
"""The timestamp in front of a stored value: ms, signed, big-endian."""

STAMP: Final = TIME.size

WITHDRAWN: Final = 1_000
"""Withdrawn writes that are remembered: those of events which run side by side on one key."""

COLD: Final = 50
"""Keys of a run that the store had to be asked for, from which on the next run's are fetched together."""

MOMENT: Final = b""
"""The key of the observed stream time, in stores that keep it: it stands before every key that begins with a time."""

FIRST: Final = b"\x00"
"""The first key that is not MOMENT."""

NEVER: Final = -1
"""Stream time before the first record."""

Held = tuple[Any, bytes | None, int]
"""A value with its time: the value if it may be kept as an object, its bytes if it is encoded, ms. Neither: deleted.

A plain tuple, made and taken apart without a call; the garbage collector stops looking at those that hold plain
values, as it never does at a class of ours.
"""

ABSENT: Final[Held] = (None, None, 0)
"""What is held under a key that was never written."""


class Entry(NamedTuple):
    """What is held under a key, for those who look from outside."""

    value: Any
    raw: bytes | None
    timestamp: int


SCALARS: Final = frozenset({int, float, str, bool, bytes})
"""Types whose values nobody can change in place."""

SMALL: Final = 2**53
LEAST: Final = -SMALL
"""Integers between the two are written exactly by every codec."""


def stamp(timestamp: int, raw: bytes) -> bytes:
    """A stored value: its timestamp, then its bytes."""
    return TIME.pack(timestamp) + raw


def stamped(timestamps: Sequence[int], raws: Sequence[bytes | None]) -> list[bytes | None]:
    """A column of `stamp`; None stays None."""
    pack = TIME.pack
    return [None if raw is None else pack(time) + raw for time, raw in zip(timestamps, raws, strict=True)]


def unstamp(stored: bytes) -> tuple[int, bytes]:
    return TIME.unpack_from(stored)[0], stored[STAMP:]


class LoggedStore:
    """`encode` (`encode_all` for a column) and `decode` turn values into bytes and back.

    `immutable`: no value of the type can be changed in place. `integers`, `floats`: a small `int`, a finite `float`
    is a value that `encode` takes.
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
        floats: bool = False,
    ) -> None:
        self.store = store
        self._encode, self._encode_all, self._decode = encode, encode_all, decode
        self._immutable, self._integers, self._floats = immutable, integers, floats
        self.overlay: dict[bytes, Held] = {}
        self._flushing: dict[bytes, Held] = {}
        self._flushing_size = 0
        self._young: dict[bytes, Held] = {}
        self._old: dict[bytes, Held] = {}
        self._missed = 0
        """Keys that the store was asked for one by one since the last `load`, or that the last one brought."""
        self._reached = NEVER
        """The latest time that a key begins with, as `reach` was told."""
        self._stored: int | None = None
        """The same of keys that were given to the store; None while nobody has told."""
        self._expired = self._expiring = self._erased = FIRST
        """Below it, everything goes at the end of the next flush; of the one under way; below which it has gone."""
        self.flushes = 0
        """How many flushes have come to their end."""
        self.ages = 0
        """How many generations of what is kept for reading have gone."""
        self._withdrawn: dict[int, tuple[Held, Held]] = {}
        """Writes taken back under a later one, by identity, with what stood before them."""
        self._bound = store.bound
        self._bound.join(self)

    # -- reading

    def find(self, key: bytes) -> Held:
        """What is held under a key."""
        # What is held is never false: it has fields. Who reads many keys looks into the overlay without this call.
        return self.overlay.get(key) or self._young.get(key) or self._settled(key)

    def beneath(self, key: bytes) -> Held:
        """What is held under a key that is not in the overlay."""
        return self._young.get(key) or self._settled(key)

    def lately(self, key: bytes) -> Held | None:
        """What is held under a key that is not in the overlay, if it was written or looked at since the last generation
        but one went; else None, and it may be in the store.
        """
        return self._young.get(key) or self._old.get(key)

    def _settled(self, key: bytes) -> Held:
        """What was not looked at lately: from the older generation of the cache, or from the store."""
        held = self._old.get(key)
        if held is None:
            self._missed += 1
            stored = self.store.get(key)
            held = ABSENT if stored is None else self._loaded(stored)
        self._young[key] = held
        self._bound.grown(1, getsizeof(held[0] or held[1]))
        return held

    def _loaded(self, stored: bytes) -> Held:
        timestamp, raw = unstamp(stored)
        return (self._decode(raw), None, timestamp) if self._immutable else (None, raw, timestamp)

    def load(self, keys: Collection[bytes | None]) -> None:
        """Says which keys are read next: those that are not at hand come from the store in one call. None is no key.

        It looks only if the keys before have shown that it is worth while. What is brought may be forgotten again at
        any time: reads ask for it by themselves.
        """
        if self._missed < COLD:
            self._missed = 0
            return
        # One layer at a time: given several at once, a set walks through every key of the second and third.
        wanted = set(filterfalse(self.overlay.__contains__, keys)).difference(self._young).difference(self._old)
        wanted.discard(None)
        missing = cast("list[bytes]", list(wanted))
        self._missed = len(missing)
        if not missing:
            return
        found = self.store.get_many(missing)
        loaded = self._loaded
        self._young.update(
            zip(missing, [ABSENT if stored is None else loaded(stored) for stored in found], strict=True)
        )
        self._bound.grown(len(found), sum(map(len, filter(None, found))))

    def age(self) -> None:
        """Of the two generations of what is kept for reading, the older goes."""
        self.ages += 1
        self._old, self._young = self._young, {}
        if self._flushing:  # nowhere else yet
            self._young.update(self._flushing)

    def value(self, held: Held | None) -> Any:
        """The value of what is held, None if it has none."""
        if held is None:
            return None
        value, raw, _ = held
        return value if value is not None or raw is None else self._decode(raw)

    def get(self, key: bytes) -> Any:
        """The value of a key, None if there is none."""
        value, raw, _ = self.overlay.get(key) or self._young.get(key) or self._settled(key)
        return value if value is not None or raw is None else self._decode(raw)

    def entry(self, key: bytes) -> Entry | None:
        """What is held under a key, None if it has no value."""
        held = self.find(key)
        return None if _deleted(held) else Entry(*held)

    def committed(self, key: bytes) -> Entry | None:
        """As `entry`, without what was written since the last commit."""
        stored = self.store.get(key)
        return None if stored is None else Entry(*self._loaded(stored))

    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, Entry]]:
        """Live entries with start <= key < stop in byte order, writes since the last commit included."""
        fresh = {
            key: held
            for key, held in {**self._flushing, **self.overlay}.items()
            if (start is None or key >= start) and (stop is None or key < stop)
        }
        stored = (
            (key, self._loaded(raw)) for key, raw in self.store.scan(start, stop, reverse=reverse) if key not in fresh
        )
        ordered = iter(sorted(fresh.items(), reverse=reverse))
        for key, held in merge(stored, ordered, key=lambda pair: pair[0], reverse=reverse):
            if not _deleted(held):
                yield key, Entry(*held)

    def approximate_count(self) -> int:
        return self.store.approximate_count()

    # -- writing

    def put(self, key: bytes, value: Any, timestamp: int) -> Held:
        """Writes a value; None deletes. Raises EncodeError for one that its schema cannot write."""
        kind = type(value)
        if (kind is int and self._integers and LEAST < value < SMALL) or (
            kind is float and self._floats and value - value == 0.0  # finite
        ):
            held: Held = (value, None, timestamp)
        elif value is None:
            held = (None, None, timestamp)
        else:
            raw = self._encode(value)
            kept = self._immutable or type(value) in SCALARS
            held = (value if kept else None, raw, timestamp)
        self.overlay[key] = held
        return held

    def keep(self, key: bytes, value: Any, timestamp: int) -> None:
        """Writes a value that is encoded at the commit: one that whoever keeps the store changes in place, between two
        commits many times, and that its schema takes whatever it holds. Not None.
        """
        self.overlay[key] = (value, None, timestamp)

    def rewrite(self, keys: Mapping[bytes, int]) -> None:
        """Has the next commit write what the store holds under these keys; where it holds nothing, a deletion at the
        time that is given.
        """
        for key, timestamp in keys.items():
            stored = self.store.get(key)
            if stored is not None and (key != MOMENT or len(stored) > STAMP):
                self.overlay[key] = self._loaded(stored)
            elif stored is not None:
                self.note(unstamp(stored)[0])
            elif key != MOMENT:  # a stream time that was not there will be again
                self.overlay[key] = (None, None, timestamp)

    def undo(self, key: bytes, before: Held, written: Held) -> None:
        """Takes a write back: puts back what `find()` gave before it, unless the key has been written since.

        A later write of another event then stands; should that be taken back too, what it puts back is what stood
        before the write withdrawn here.
        """
        before = self._standing(before)
        if self._is_last(key, written):
            self.overlay[key] = (None, None, written[2]) if before is ABSENT else before
            return
        if len(self._withdrawn) >= WITHDRAWN:
            self._withdrawn.pop(next(iter(self._withdrawn)))
        self._withdrawn[id(written)] = (written, before)

    def _standing(self, held: Held) -> Held:
        """What is held, or what stood before it if it has been withdrawn."""
        while (found := self._withdrawn.get(id(held))) is not None and found[0] is held:
            held = found[1]
        return held

    def _is_last(self, key: bytes, written: Held) -> bool:
        """Something equal may be somebody else's write: only where the store alone remembers does equality decide."""
        for layer in (self.overlay, self._young, self._old):
            known = layer.get(key, ABSENT)
            if known is not ABSENT:
                return known is written
        stored = self.store.get(key)
        if stored is None:
            return _deleted(written)
        held = self._loaded(stored)
        return held[2] == written[2] and self.value(held) == self.value(written)

    @property
    def dirty(self) -> int:
        """Keys that the next commit would flush."""
        return len(self.overlay) + len(self._flushing)

    def drop(self) -> None:
        """Forgets everything that is not committed, and the cache."""
        self.overlay, self._flushing, self._young, self._old = {}, {}, {}, {}
        self.ages += 2
        self._withdrawn.clear()

    # -- time: of stores whose keys begin with one

    @property
    def moment(self) -> int:
        """The stream time that was last noted, in ms; NEVER if none was."""
        held = self.overlay.get(MOMENT) or self._flushing.get(MOMENT)
        if held is not None:
            return held[2]
        stored = self.store.get(MOMENT)
        return NEVER if stored is None else unstamp(stored)[0]

    def note(self, moment: int) -> None:
        """Stream time has moved: it is kept, logged and restored with what it has led to."""
        self.overlay[MOMENT] = (None, b"", moment)

    def reach(self, time: int) -> None:
        """No key that begins with a later time is written before the next call. To be told before the first write."""
        if self._stored is None:
            last, _ = next(self.store.scan(FIRST, reverse=True), (None, None))
            self._stored = NEVER if last is None else TIME.unpack_from(last)[0]
        if time > self._reached:
            self._reached = time

    def stored_from(self, time: int) -> bool:
        """Whether the store may have keys that begin with this time or a later one. If not, the overlay has all."""
        return self._stored is None or time <= self._stored

    def expire(self, below: bytes) -> None:
        """Everything under keys before `below` goes at the next commit, together; nobody reads it any longer.

        Not at one under way: its offsets are those from before, and a restart would need it again.
        The changelog is not told: `worker/purge` deletes what is that old. Noting the moment beside it sees to there
        being a commit.
        """
        self._expired = max(self._expired, below)

    @property
    def erased(self) -> int:
        """Ms: what lies under earlier times has gone, and no committed state has it any more; 0: nothing has."""
        return 0 if self._erased == FIRST else int(TIME.unpack(self._erased)[0])

    # -- committing

    def begin_flush(self) -> tuple[list[bytes], list[bytes | None], list[int]]:
        """Takes the overlay, as columns of keys, encoded values and timestamps; later writes are of the next commit.

        What an earlier flush took and did not bring to its end, because it failed or was cancelled, is taken again.
        """
        taken, self.overlay = self.overlay, {}
        if self._stored is not None:
            self._stored = max(self._stored, self._reached)
        self._expiring = self._expired
        self._young.update(taken)
        self._flushing = {**self._flushing, **taken} if self._flushing else taken
        rows = self._flushing.values()
        raws = self._encoded([value for value, _, _ in rows], [raw for _, raw, _ in rows])
        self._flushing_size = sum(map(len, filter(None, raws)))
        return list(self._flushing), raws, [timestamp for _, _, timestamp in rows]

    def _encoded(self, values: list[Any], raws: list[bytes | None]) -> list[bytes | None]:
        """The column of bytes, with those of values that waited for it."""
        if None not in raws:
            return raws
        if None not in values and not any(raws):
            return self._encode_all(values)
        waiting = [raw is None and value is not None for value, raw in zip(values, raws, strict=True)]
        encoded = iter(self._encode_all(list(compress(values, waiting))))
        return [next(encoded) if waits else raw for waits, raw in zip(waiting, raws, strict=True)]

    def apply(
        self, keys: Sequence[bytes], raws: Sequence[bytes | None], timestamps: Sequence[int], offset: int | None
    ) -> None:
        """Writes a chunk of what was flushed, with the changelog position that it covers."""
        self.store.gather(zip(keys, stamped(timestamps, raws), strict=True), offset)

    def end_flush(self) -> None:
        """All chunks are applied: what was flushed is committed state now, and what has expired goes."""
        rows, self._flushing = len(self._flushing), {}
        self.flushes += 1
        if self._expiring > self._erased:
            self.store.erase(self._erased, self._expiring)
            self._erased = self._expiring
        self._bound.grown(rows, self._flushing_size)


def _deleted(held: Held) -> bool:
    return held[0] is None and held[1] is None
