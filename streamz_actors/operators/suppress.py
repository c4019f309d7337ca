"""Holding a table's changes back: until a key's window has closed, or for some stream time, the latest one standing.

What waits is ordered by time, then by the key's bytes; a later change of a key takes the place of the one that waits.
Stream time is the highest timestamp that reached the operator, and is kept with what waits: only a record lets
something leave, never the wall clock. To those who look keys up, the table holds what has left.
"""

from struct import Struct
from typing import Any, Final

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.lookups import Lookup, Read, ReadDated
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec
from streamz_actors.errors import StateError, TopologyError
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema
from streamz_actors.serde.windowed import bounds_of
from streamz_actors.stores.logged import NEVER, LoggedStore
from streamz_actors.stores.shared import Shared
from streamz_actors.stores.timebuffer import TimeBuffer
from streamz_actors.windows.suppression import Until

SIZE: Final = Struct(">I")
"""In front of what the key held before: the number of its bytes."""

NEW, PRIOR = 1, 2
"""What of the two is there."""

OVERHEAD: Final = 16
"""Bytes counted for an entry beside its key and values: the two times."""


def waiting_schema() -> Schema[Any]:
    """Of (what the key holds, what it held when it began to wait), both encoded, each perhaps None."""

    def write(given: tuple[bytes | None, bytes | None]) -> bytes:
        new, prior = given
        there = bytes((NEW * (new is not None) + PRIOR * (prior is not None),))
        return there + (b"" if prior is None else SIZE.pack(len(prior)) + prior) + (new or b"")

    def read(raw: bytes) -> tuple[bytes | None, bytes | None]:
        prior, start = None, 1
        if raw[0] & PRIOR:
            start = 1 + SIZE.size + SIZE.unpack_from(raw, 1)[0]
            prior = raw[1 + SIZE.size : start]
        return raw[start:] if raw[0] & NEW else None, prior

    return packed("suppressed", write, read)


Leaving = tuple[bytes, bytes | None, bytes | None, int]
"""A key, what it holds, what it held when it began to wait, and the time of its last change in ms; all encoded."""


class Suppressed:
    """What waits in one partition. Nothing is read before the first use: then the store is restored."""

    def __init__(self, logged: LoggedStore) -> None:
        self.logged = logged
        self._buffer = TimeBuffer(logged)
        self._known: dict[bytes, tuple[int, bytes | None, int]] | None = None
        """By key: since when it waits, what it held before, and the bytes that it takes."""
        self._size = 0

    def _index(self) -> dict[bytes, tuple[int, bytes | None, int]]:
        if self._known is None:
            self._known = {}
            for time, raw, (new, prior), _ in self._buffer.entries():
                self._known[raw] = time, prior, _bytes(raw, new, prior)
            self._size = sum(size for _, _, size in self._known.values())
        return self._known

    @property
    def records(self) -> int:
        return len(self._index())

    @property
    def size(self) -> int:
        """In bytes: keys, values and two times each."""
        self._index()
        return self._size

    def waits(self, raw: bytes) -> bool:
        return raw in self._index()

    def put(self, time: int, raw: bytes, new: bytes | None, prior: bytes | None, timestamp: int) -> None:
        """`time` and `prior`, what the key held before, count only for one that does not wait yet."""
        index = self._index()
        known = index.get(raw)
        if known is not None:
            time, prior, before = known
            self._size -= before
        size = _bytes(raw, new, prior)
        self._size += size
        index[raw] = time, prior, size
        self._buffer.put(time, raw, (new, prior), timestamp)

    def due(self, latest: int) -> bool:
        """Whether the first has waited since `latest` or longer."""
        earliest = self._buffer.earliest
        return earliest is not None and earliest <= latest

    def pop(self) -> Leaving:
        """Takes out the first."""
        index = self._index()
        _, raw, (new, prior), timestamp = self._buffer.pop()
        self._size -= index.pop(raw)[2]
        return raw, new, prior, timestamp

    def prior(self, raw: bytes) -> bytes | None:
        """What a key that waits held when it began to."""
        return self._index()[raw][1]


def _bytes(raw: bytes, new: bytes | None, prior: bytes | None) -> int:
    return OVERHEAD + len(raw) + len(new or b"") + len(prior or b"")


_SUPPRESSED: Final = Shared(Suppressed)
"""Those who look keys up see what waits."""


def suppressed_at(place: Place, spec: StoreSpec) -> Suppressed:
    return _SUPPRESSED.of(place.states[spec.name].logged)


def suppress(parent: Node, spec: StoreSpec, key: Schema[Any], value: Schema[Any], until: Until, wait: int) -> Node:
    """`wait`: ms of stream time, counted from the record, or from the end of its window."""
    return Node(
        spec.name,
        "suppress",
        lambda place: Suppress(suppressed_at(place, spec), spec.name, key, value, until, wait),
        (parent,),
        stores=(spec,),
        reads_keys=False,
        reads_values=False,
        reads_olds=True,
    )


class Suppress(Operator):
    """Rows that leave have the time of their own last change and no headers; for messages they come from the record
    that let them leave.
    """

    def __init__(
        self, held: Suppressed, name: str, key: Schema[Any], value: Schema[Any], until: Until, wait: int
    ) -> None:
        self._held, self._name, self._key, self._value = held, name, key, value
        self._until, self._wait = until, wait
        self._windows = until.limit is None
        self._bounded = until.max_records is not None or until.max_bytes is not None
        self._moment: int | None = None

    async def process(self, batch: Batch) -> Batch | None:
        held, windows, wait = self._held, self._windows, self._wait
        moment = before = held.logged.moment if self._moment is None else self._moment
        encode, olds = self._value.encode, batch.olds or [None] * len(batch)
        raw_keys, news = batch.encoded_keys(self._key), batch.encoded_values(self._value)
        rows: list[int] = []
        leaving: list[Leaving] = []
        for row, (raw, new, timestamp) in enumerate(zip(raw_keys, news, batch.timestamps, strict=True)):
            assert raw is not None, "a table's changes have keys"
            moment = max(moment, timestamp)
            since = bounds_of(raw)[1] if windows else timestamp
            held.put(since, raw, new, None if held.waits(raw) else encode(olds[row]), timestamp)
            while held.due(moment - wait):
                leaving.append(held.pop())
            if self._bounded and self._full():
                self._overflow(batch, row, leaving)
            rows += [row] * (len(leaving) - len(rows))
        self._moment = moment
        if moment > before:
            held.logged.note(moment)
        return self._out(batch, rows, leaving)

    def _full(self) -> bool:
        until, held = self._until, self._held
        return (until.max_records is not None and held.records > until.max_records) or (
            until.max_bytes is not None and held.size > until.max_bytes
        )

    def _overflow(self, batch: Batch, row: int, leaving: list[Leaving]) -> None:
        """Lets the earliest leave until the rest fits, or says that it must not."""
        held, until = self._held, self._until
        if until.overflow == "shut_down":
            raise StateError(
                f"suppress {self._name!r} at {batch.place(row)}: {held.records} records of {held.size} bytes wait, "
                f"more than max_records={until.max_records}, max_bytes={until.max_bytes} allow: raise them, or let "
                f"changes wait for less time"
            )
        while held.records and self._full():
            leaving.append(held.pop())

    def _out(self, batch: Batch, rows: list[int], leaving: list[Leaving]) -> Batch | None:
        if self._windows:
            # What never left, or lives on in another session, needs no tombstone.
            kept = [new is not None for _, new, _, _ in leaving]
            rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
            leaving = [each for each in leaving if each[1] is not None]
        if not leaving:
            return None
        return Batch(
            batch.origin,
            [batch.offsets[row] for row in rows],
            [timestamp for _, _, _, timestamp in leaving],
            self._key,
            self._value,
            raw_keys=[raw for raw, _, _, _ in leaving],
            raw_values=[new for _, new, _, _ in leaving],
            olds=[self._value.decode(prior) for _, _, prior, _ in leaving] if self.olds else None,
        )


def look_suppressed(lookup: Lookup, spec: StoreSpec, key: Schema[Any], value: Schema[Any]) -> Lookup:
    """Looks keys up in what has left: of one that waits that is what it held before, at a time that nobody knows."""
    look = lookup.dated
    if look is None:
        raise TopologyError(f"suppress {spec.name!r}: the table cannot be looked up with times")

    def dated(place: Place) -> ReadDated:
        held, parent = suppressed_at(place, spec), look(place)

        async def read(batch: Batch) -> tuple[Column, list[int]]:
            values, times = await parent(batch)
            values, times = list(values), list(times)
            for row, raw in enumerate(batch.encoded_keys(key)):
                if raw is not None and held.waits(raw):
                    values[row], times[row] = value.decode(held.prior(raw)), NEVER
            return values, times

        return read

    def at(place: Place) -> Read:
        read_dated = dated(place)

        async def read(batch: Batch) -> Column:
            values, _ = await read_dated(batch)
            return values

        return read

    return Lookup(at, tuple(dict.fromkeys((spec, *lookup.stores))), lookup.reads_keys, lookup.asynchronous, dated)
