"""Holding the rows of a stream back for a grace period, so that a versioned table has what belongs to their time.

They leave in the order of their times as soon as stream time has passed them by the grace. A row that is older than
that when it comes leaves at once: it is joined with what the table knows, and not dropped.
"""

from typing import Any, Final

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.node import Node, Operator, StoreSpec
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.timebuffer import TimeBuffer, unnumbered
from streamz_actors.types import Headers

_HELD: Final = schema_for(tuple[str, int, bytes, list[tuple[str, bytes | None]]], "msgpack")
"""Topic and offset, value, headers."""


def delayed_schema(values: Schema[Any]) -> Schema[Any]:
    """Of the store that rows wait in."""
    return packed(f"delayed/{values.codec}", _write, _read)


def _write(held: Any) -> bytes:
    return _HELD.encode(held) or b""


def _read(raw: bytes) -> Any:
    return _HELD.decode(raw) if raw else None


def delay(
    parent: Node, name: str, spec: StoreSpec, key: Schema[Any], value: Schema[Any], grace: int, *, keyless: bool
) -> Node:
    """`grace` is in ms. `keyless`: rows without a key go on, at once; else they are dropped, as those without a
    value are.
    """
    return Node(
        name,
        "delay",
        lambda place: Delay(place.states[spec.name].logged, key, value, grace, keyless),
        (parent,),
        stores=(spec,),
        reads_keys=False,
        reads_values=False,
        copartitioned=True,
    )


class Leaving:
    """Columns of rows that go on."""

    __slots__ = ("headers", "keys", "offsets", "timestamps", "values")

    def __init__(self) -> None:
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.offsets: list[int] = []
        self.headers: list[Headers] = []

    def add(self, key: bytes | None, value: bytes, timestamp: int, offset: int, headers: Headers) -> None:
        self.keys.append(key)
        self.values.append(value)
        self.timestamps.append(timestamp)
        self.offsets.append(offset)
        self.headers.append(headers)


class Delay(Operator):
    def __init__(
        self, logged: LoggedStore, key: Schema[Any], value: Schema[Any], grace: int, keyless: bool
    ) -> None:
        self._logged, self._waiting = logged, TimeBuffer(logged)
        self._key, self._value, self._grace, self._keyless = key, value, grace, keyless
        self._stream_time: int | None = None
        """The highest time of a row that could be joined; None until the first: only then is the store restored."""

    async def process(self, batch: Batch) -> Batch | None:
        leaving = Leaving()
        before = self._logged.moment if self._stream_time is None else self._stream_time
        self._stream_time = self._take(batch, before, leaving)
        if self._stream_time != before:
            self._logged.note(self._stream_time)
        if not leaving.keys:
            return None
        return Batch(
            batch.origin,
            leaving.offsets,
            leaving.timestamps,
            self._key,
            self._value,
            raw_keys=leaving.keys,
            raw_values=leaving.values,
            headers=leaving.headers,
        )

    def _take(self, batch: Batch, stream_time: int, leaving: Leaving) -> int:
        """Gives the stream time after the rows."""
        topic, offsets, headers = batch.origin.topic, batch.offsets, batch.headers
        rows = zip(batch.encoded_keys(self._key), batch.encoded_values(self._value), batch.timestamps, strict=True)
        for row, (key, value, time) in enumerate(rows):
            if value is None or (key is None and not self._keyless):
                continue
            marks: Headers = () if headers is None else headers[row]
            if key is None:
                leaving.add(None, value, time, offsets[row], marks)
                continue
            if time < stream_time - self._grace:
                leaving.add(key, value, time, offsets[row], marks)
            else:
                self._waiting.add(time, key, (topic, offsets[row], value, list(marks)), time)
            stream_time = max(stream_time, time)
            self._release(stream_time - self._grace, batch, row, leaving)
        return stream_time

    def _release(self, until: int, batch: Batch, row: int, leaving: Leaving) -> None:
        """What is due. A row of another topic than the one at hand stands under the offset of the one that frees it."""
        waiting = self._waiting
        while (earliest := waiting.earliest) is not None and earliest <= until:
            time, tail, (topic, offset, value, headers), _ = waiting.pop()
            here = topic == batch.origin.topic
            leaving.add(
                unnumbered(tail), value, time, offset if here else batch.offsets[row], tuple(map(tuple, headers))
            )
