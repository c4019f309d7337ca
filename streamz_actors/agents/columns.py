"""Columns of what an actor yields: on their way to a topic, or to the stream that the agent gives."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Final

from streamz_actors.agents.sources import Sources
from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.event import Out
from streamz_actors.dataflow.limits import Encode, keyless
from streamz_actors.dataflow.topics import Topic, header_tuple
from streamz_actors.errors import ProduceError, UsageError
from streamz_actors.serde.schema import Schema
from streamz_actors.types import Headers

NUMBERS: Final = frozenset({int, float, bool})
"""Types of values that are never too large."""

RefusedOf = Callable[[Batch, int, ProduceError], None]
"""What is done about a record that the broker has refused, given the row of a batch that it came of."""


class Columns(ABC):
    """Rows on their way to one place. Values are encoded when they are yielded, so that an error is their event's, and
    what the actor does to them later is not seen.
    """

    def __init__(self, key_schema: Schema[Any], value_schema: Schema[Any]) -> None:
        self.key_schema, self.value_schema = key_schema, value_schema
        self._encode_key, self._encode = key_schema.encode, value_schema.encode
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers: list[Headers] | None = None
        """None as long as no row has any."""
        self._sources = Sources()

    def takes_keys(self, batch: Batch) -> bool:
        """Whether the batch's keys leave as they came."""
        return batch.raw_keys is not None and batch.key_schema == self.key_schema

    def takes_rows(self, batch: Batch) -> bool:
        """Whether every row may leave under its key as it came."""
        return self.takes_keys(batch)

    @property
    def encoder(self) -> Encode:
        """What writes a value for this place. It raises EncodeError."""
        return self._encode

    def passed(self, batch: Batch) -> Column | None:
        """The batch's values, if each may leave with the bytes that it came with: nobody can have changed them."""
        schema = self.value_schema
        return batch.values if schema.immutable and batch.raw_values and batch.value_schema == schema else None

    def extend(self, batch: Batch, rows: Sequence[int], values: Sequence[bytes | None]) -> None:
        """Values under the keys and timestamps of rows; `takes_keys` holds for the batch."""
        assert batch.raw_keys is not None
        self.keys += map(batch.raw_keys.__getitem__, rows)
        self.values += values
        self.timestamps += map(batch.timestamps.__getitem__, rows)
        self._sources.add(batch, rows)
        if self.headers is not None:
            self.headers += [()] * len(rows)

    def put(self, batch: Batch, index: int, value: Any) -> None:
        """A value under the key and timestamp of a row."""
        self.values.append(self._encode(value))
        if batch.raw_keys is not None and self.takes_keys(batch):
            self.keys.append(batch.raw_keys[index])
        else:
            self.keys.append(self._encode_key(batch.key_at(index)))
        self.timestamps.append(batch.timestamps[index])
        self._sources.add(batch, (index,))
        if self.headers is not None:
            self.headers.append(())

    def put_out(self, batch: Batch, index: int, out: Out[Any]) -> None:
        """The key of the row is looked at only where `out` has none: it need not fit the topic."""
        headers = header_tuple(out.headers)
        if headers and self.headers is None:
            self.headers = [()] * len(self.timestamps)
        if out.key is None:
            self.put(batch, index, out.value)
        else:
            self.values.append(self._encode(out.value))
            self.keys.append(self._encode_key(out.key))
            self.timestamps.append(batch.timestamps[index])
            self._sources.add(batch, (index,))
            if self.headers is not None:
                self.headers.append(())
        if out.timestamp is not None:
            self.timestamps[-1] = out.timestamp
        if self.headers is not None:
            self.headers[-1] = headers

    def cut(self, rows: int) -> None:
        """Drops all but the first `rows`."""
        self._sources.cut(rows)
        for column in (self.keys, self.values, self.timestamps, self.headers):
            if column is not None:
                del column[rows:]

    @abstractmethod
    def flush(self, rows: int) -> None:
        """Hands on the first `rows`; the others stay."""

    def _first(self, rows: int) -> tuple[Column, Column, list[int], list[Headers] | None]:
        """Takes the first `rows` out."""
        keys, values, timestamps, headers = self.keys, self.values, self.timestamps, self.headers
        self.keys, self.values, self.timestamps = keys[rows:], values[rows:], timestamps[rows:]
        self.headers = None if headers is None or not any(headers[rows:]) else headers[rows:]
        for column in (keys, values, timestamps, headers):
            if column is not None:
                del column[rows:]
        return keys, values, timestamps, headers


class TopicColumns(Columns):
    """Rows on their way to one topic. `refused` is told which row of a batch one came of that the broker refused."""

    def __init__(self, topic: Topic[Any, Any], collector: Collector, refused: RefusedOf) -> None:
        super().__init__(topic.key_schema, topic.value_schema)
        self._name, self._collector, self._limits, self._tell = topic.name, collector, topic.limits, refused
        if topic.value_schema.type not in NUMBERS:
            self._encode = topic.limits.checked(self._encode)

    def takes_rows(self, batch: Batch) -> bool:
        return self.takes_keys(batch) and not (self._limits.keyed and None in (batch.raw_keys or ()))

    def passed(self, batch: Batch) -> Column | None:
        raw_keys, raw_values = batch.raw_keys or (), batch.raw_values or ()
        return None if self._limits.refused(raw_keys, raw_values) else super().passed(batch)

    def put(self, batch: Batch, index: int, value: Any) -> None:
        super().put(batch, index, value)
        if self._limits.keyed and self.keys[-1] is None:
            raise keyless()

    def flush(self, rows: int) -> None:
        refused = partial(self._refused, self._sources.first(rows))
        self._collector.add(self._name, *self._first(rows), refused)

    def _refused(self, sources: Sources, row: int, error: ProduceError) -> None:
        self._tell(*sources[row], error)


@dataclass(frozen=True, slots=True)
class Given:
    """The stream that an agent's yields make: how they are written, and whether their keys may be others than those of
    the events that they come of.
    """

    agent: str
    key_schema: Schema[Any]
    value_schema: Schema[Any]
    rekeyed: bool


class GivenColumns(Columns):
    """Rows on their way to the operators behind the agent. Each stands for the record that its event came from."""

    def __init__(self, given: Given, give: Callable[[Batch], None]) -> None:
        super().__init__(given.key_schema, given.value_schema)
        self._given, self._give = given, give

    def put_out(self, batch: Batch, index: int, out: Out[Any]) -> None:
        if out.key is not None and not self._given.rekeyed:
            self._check_key(batch, index, out.key)
        super().put_out(batch, index, out)

    def _check_key(self, batch: Batch, index: int, key: Any) -> None:
        """Raises UsageError for another key than the event's: its row would be in the wrong partition."""
        if self._encode_key(key) != self._encode_key(batch.key_at(index)):
            raise UsageError(
                f"agent {self._given.agent!r} yields under the key {key!r}, not its event's: say rekeyed=True where "
                f"the stream of its yields is declared, so that what goes by key goes through a repartition topic"
            )

    def flush(self, rows: int) -> None:
        sources = self._sources.first(rows)
        keys, values, timestamps, headers = self._first(rows)
        start = 0
        for origin, group in groupby(sources, key=lambda source: source[0].origin):
            offsets = [batch.offsets[row] for batch, row in group]
            part = slice(start, start := start + len(offsets))
            self._give(
                Batch(
                    origin,
                    offsets,
                    timestamps[part],
                    self.key_schema,
                    self.value_schema,
                    raw_keys=keys[part],
                    raw_values=values[part],
                    headers=None if headers is None else headers[part],
                )
            )
