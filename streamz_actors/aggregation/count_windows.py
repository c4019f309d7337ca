"""Aggregations in windows of so many records of a key: one entry for each key, of its last window.

An entry holds how many records the key has had, and the aggregate of those in the window that is being filled, or was
filled last; the one before it is gone. Times are not asked, so nothing is late and nothing expires.
"""

from struct import Struct
from typing import Any, Final, NamedTuple

from streamz_actors.aggregation.folding import Folding
from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.lateness import OnLate
from streamz_actors.dataflow.node import Layout, Node, Operator, StoreSpec, WindowRow
from streamz_actors.errors import TopologyError
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema, windowed_around
from streamz_actors.serde.windowed import bounds
from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.segments import timed_key
from streamz_actors.windows.definitions import CountWindow

_SEEN: Final = Struct(">Q?")


class Filling(NamedTuple):
    """What is kept for a key."""

    seen: int
    """Records of the key so far."""
    raw: bytes | None
    """The encoded aggregate of its last window; None if it has none."""


def count_state(window: CountWindow, value: Schema[Any], retention: int) -> tuple[Schema[Any], Layout, int | None]:
    if retention:
        raise TopologyError(f"{window!r}: windows of records know no time: retention= means nothing")
    return packed(f"counted:{value.codec}", _write, _read), LastWindow(value, window.size), None


def _write(filling: Filling) -> bytes:
    seen, raw = filling
    return _SEEN.pack(seen, raw is not None) + (raw or b"")


def _read(stored: bytes) -> Filling:
    seen, present = _SEEN.unpack_from(stored)
    return Filling(seen, stored[_SEEN.size :] if present else None)


def key_for(raw: bytes) -> bytes:
    """Where the entry of an encoded key is."""
    return timed_key(0, raw)


class LastWindow:
    """For those who ask from outside: a key's last window."""

    def __init__(self, value_schema: Schema[Any], size: int) -> None:
        self.value_schema, self._size = value_schema, size

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[WindowRow]:
        held = logged.find(key_for(raw))
        filling: Filling | None = logged.value(held)
        if filling is None or filling.raw is None:
            return []
        begin = (filling.seen - 1) // self._size * self._size
        if (start is not None and begin < start) or (stop is not None and begin >= stop):
            return []
        return [(begin, begin + self._size, self.value_schema.decode(filling.raw), held[2])]


def count_windows(
    parent: Node,
    spec: StoreSpec,
    window: CountWindow,
    folding: Folding,
    *,
    emit: str,
    on_late: OnLate,
    close_on_idle: int | None,
) -> Node:
    """Raises TopologyError for options that are about time."""
    if on_late is not None or close_on_idle is not None:
        raise TopologyError(f"{folding.what}: windows of records know no time: neither on_late= nor close_on_idle=")
    return Node(
        spec.name,
        folding.kind,
        lambda place: CountWindows(place.states[spec.name].logged, spec, window.size, folding, emit == "close"),
        (parent,),
        stores=(spec,),
        reads_keys=folding.reads_keys,
        reads_values=not folding.counting,
        asynchronous=folding.asynchronous,
        copartitioned=True,
        updates=emit == "update",
    )


class CountWindows(Operator):
    repeatable = True

    def __init__(self, logged: LoggedStore, spec: StoreSpec, size: int, folding: Folding, finals: bool) -> None:
        assert spec.layout is not None, "count_state gives one"
        self._logged, self._size, self._folding, self._finals = logged, size, folding, finals
        self._key, self._value = spec.key_schema, spec.layout.value_schema
        self._windowed = windowed_around(spec.key_schema)

    async def process(self, batch: Batch) -> Batch | None:
        rows: list[tuple[int, bytes, Any, int, Any]] = []
        await self._fold(batch, rows)
        if self.silent or not rows:
            return None
        indices, raw_keys, values, timestamps, olds = (list(column) for column in zip(*rows, strict=True))
        return Batch(
            batch.origin,
            [batch.offsets[index] for index in indices],
            timestamps,
            self._windowed,
            self._value,
            raw_keys=raw_keys,
            values=values,
            headers=None if batch.headers is None else [batch.headers[index] for index in indices],
            olds=olds if self.olds else None,
        )

    async def _fold(self, batch: Batch, rows: list[tuple[int, bytes, Any, int, Any]]) -> None:
        raws = batch.encoded_keys(self._key)
        self._logged.load([None if raw is None else key_for(raw) for raw in raws])
        values: Column = raws if self._folding.counting else batch.values
        keys: Column = batch.keys if self._folding.reads_keys else values
        for row, raw in enumerate(raws):
            if raw is None:
                continue
            try:
                seen, old, new, time = await self._one(key_for(raw), keys[row], values[row], batch.timestamps[row])
            except Exception as error:
                self.guard.failed(self._folding.what, batch, row, error)
                continue
            if not self._finals or (seen % self._size == 0 and new is not None):
                start = (seen - 1) // self._size * self._size
                rows.append((row, raw + bounds(start, start + self._size), new, time, old))

    async def _one(self, key: bytes, user_key: Any, value: Any, time: int) -> tuple[int, Any, Any, int]:
        """Folds a record into the window of its key: the number of the record, old and new value, the latest time."""
        logged, folding, decode = self._logged, self._folding, self._value.decode
        held = logged.find(key)
        filling: Filling = logged.value(held) or Filling(0, None)
        going_on = filling.seen % self._size != 0
        stored = filling.raw if going_on else None
        if stored is not None:
            time = max(time, held[2])
        old = decode(stored)
        if old is None and folding.initializer is None:
            new = value
        else:
            new = folding.step(user_key, value, folding.initializer() if old is None and folding.initializer else old)
            if folding.asynchronous:
                new = await new
        logged.keep(key, Filling(filling.seen + 1, self._value.encode(new)), time)
        # Decoded anew: the aggregator may have changed what it was given.
        return filling.seen + 1, decode(stored) if self.olds and not self._finals else None, new, time
