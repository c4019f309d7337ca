"""A run of records on its way through a task, as columns. Operators take one and give one; they never change one.

Keys and values stand raw, decoded, or both: a column is decoded when somebody reads it and written again as it came
when nobody replaced it. So functions that only look at a value (predicates, key selectors) must not change it.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

from streamz_actors.errors import DecodeError, EncodeError
from streamz_actors.serde.schema import Schema
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import Headers, TopicPartition

Column = list[Any]

_PICKED: Final = frozenset({"offsets", "headers", "raw_keys", "raw_values", "olds", "branches", "_keys", "_values"})


class Batch:
    """Columns of equal length. `offsets` are those of the source records each row came from, at `origin`."""

    __slots__ = (
        "_chosen",
        "_keys",
        "_values",
        "branches",
        "headers",
        "key_schema",
        "offsets",
        "olds",
        "origin",
        "raw_keys",
        "raw_values",
        "timestamps",
        "value_schema",
    )

    def __init__(
        self,
        origin: TopicPartition,
        offsets: Sequence[int],
        timestamps: list[int],
        key_schema: Schema[Any],
        value_schema: Schema[Any],
        *,
        keys: Column | None = None,
        values: Column | None = None,
        raw_keys: list[bytes | None] | None = None,
        raw_values: list[bytes | None] | None = None,
        headers: list[Headers] | None = None,
        olds: Column | None = None,
        branches: list[int] | None = None,
    ) -> None:
        self.origin, self.offsets, self.timestamps, self.headers = origin, offsets, timestamps, headers
        self.key_schema, self.value_schema = key_schema, value_schema
        self._keys, self._values, self.raw_keys, self.raw_values = keys, values, raw_keys, raw_values
        self._chosen: tuple[Batch, Sequence[Any]] | None = None
        self.olds = olds
        """What each row's key held before, where the rows are changes of a table."""
        self.branches = branches
        """The branch each row takes, behind a split."""

    @classmethod
    def from_raw(
        cls,
        raw: RawBatch,
        key_schema: Schema[Any],
        value_schema: Schema[Any],
        *,
        keys: Column | None = None,
        values: Column | None = None,
        timestamps: list[int] | None = None,
    ) -> "Batch":
        """Records as they came; `keys` and `values` if they are decoded already, `timestamps` in place of theirs."""
        return cls(
            TopicPartition(raw.topic, raw.partition),
            raw.offsets,
            raw.timestamps if timestamps is None else timestamps,
            key_schema,
            value_schema,
            keys=keys,
            values=values,
            raw_keys=raw.keys,
            raw_values=raw.values,
            headers=raw.headers,
        )

    def __len__(self) -> int:
        return len(self.timestamps)

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} from {self.origin}>"

    # -- reading

    @property
    def keys(self) -> Column:
        """Decoded keys. Raises DecodeError saying where."""
        if self._keys is None:
            self._keys = self._decoded("key", self.key_schema, self.raw_keys or [])
        return self._keys

    @property
    def values(self) -> Column:
        """Decoded values. Raises DecodeError saying where."""
        if self._values is None:
            self._values = self._decoded("value", self.value_schema, self.raw_values or [])
        return self._values

    def _decoded(self, side: str, schema: Schema[Any], raws: list[bytes | None]) -> Column:
        failures: list[tuple[int, DecodeError]] = []
        column = schema.decode_all(raws, failures)
        if failures:
            index, error = failures[0]
            raise DecodeError(error.reason, field=error.field, where=f"{side} of {self.place(index)}")
        return column

    def place(self, index: int) -> str:
        """Where a row came from, for messages."""
        topic, partition = self.origin
        return f"topic {topic!r}, partition {partition}, offset {self.offsets[index]}"

    def encoded_keys(self, schema: Schema[Any]) -> list[bytes | None]:
        """Keys as `schema` writes them: as they came where it is theirs. Raises EncodeError saying where."""
        if self.raw_keys is not None and (schema is self.key_schema or schema == self.key_schema):
            return self.raw_keys
        return self.encode("key", schema, self.keys)

    def encoded_values(self, schema: Schema[Any]) -> list[bytes | None]:
        """As `encoded_keys`."""
        if self.raw_values is not None and (schema is self.value_schema or schema == self.value_schema):
            return self.raw_values
        return self.encode("value", schema, self.values)

    def encode(self, side: str, schema: Schema[Any], column: Column) -> list[bytes | None]:
        """A column made from these rows, encoded. Raises EncodeError saying which record it was made from."""
        try:
            return schema.encode_all(column)
        except EncodeError:
            for index, item in enumerate(column):
                try:
                    schema.encode(item)
                except EncodeError as error:
                    raise self.misfit(side, index, error) from error
            raise

    def misfit(self, side: str, index: int, error: EncodeError) -> EncodeError:
        """The error to raise where something made from a row cannot be written."""
        return EncodeError(f"{side} made from {self.place(index)}: {error}")

    @property
    def payloads(self) -> Column:
        """Values as they stand, raw or decoded: enough to see which of them are None."""
        column: Column | None = self.raw_values if self.raw_values is not None else self._values
        return column or []

    def key_at(self, index: int) -> Any:
        """One decoded key, without decoding the column."""
        if self._keys is not None:
            return self._keys[index]
        return self.key_schema.decode(self.raw_keys[index] if self.raw_keys is not None else None)

    # -- deriving

    def _columns(self, pick: Callable[[Any], Any]) -> "Batch":
        def picked(column: Any) -> Any:
            return None if column is None else pick(column)

        return Batch(
            self.origin,
            pick(self.offsets),
            pick(self.timestamps),
            self.key_schema,
            self.value_schema,
            keys=picked(self._keys),
            values=picked(self._values),
            raw_keys=picked(self.raw_keys),
            raw_values=picked(self.raw_values),
            headers=picked(self.headers),
            olds=picked(self.olds),
            branches=picked(self.branches),
        )

    def select(self, mask: Sequence[Any]) -> "Batch":
        """The rows where `mask` is true. But for the timestamps, a column is picked when it is asked for: few are."""
        chosen = Batch.__new__(Batch)
        chosen.origin, chosen.key_schema, chosen.value_schema = self.origin, self.key_schema, self.value_schema
        chosen.timestamps = list(compress(self.timestamps, mask))
        chosen._chosen = (self, mask)
        return chosen

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A column of what `select` gave, asked for the first time."""
            if name not in _PICKED:
                raise AttributeError(name)
            base, mask = self._chosen
            column = getattr(base, name)
            picked = None if column is None else list(compress(column, mask))
            setattr(self, name, picked)
            return picked

    def take(self, indices: Sequence[int]) -> "Batch":
        """The rows at `indices`, in that order; a row may be taken more than once."""
        return self._columns(lambda column: [column[index] for index in indices])

    def slice(self, start: int, stop: int) -> "Batch":
        """Written out: inputs that take turns are cut into pieces of a row or two."""
        part, rows = Batch.__new__(Batch), slice(start, stop)
        part.origin, part.key_schema, part.value_schema = self.origin, self.key_schema, self.value_schema
        part._chosen = None
        part.offsets, part.timestamps = self.offsets[rows], self.timestamps[rows]
        keys, values, raw_keys, raw_values = self._keys, self._values, self.raw_keys, self.raw_values
        headers, olds, branches = self.headers, self.olds, self.branches
        part._keys = None if keys is None else keys[rows]
        part._values = None if values is None else values[rows]
        part.raw_keys = None if raw_keys is None else raw_keys[rows]
        part.raw_values = None if raw_values is None else raw_values[rows]
        part.headers = None if headers is None else headers[rows]
        part.olds = None if olds is None else olds[rows]
        part.branches = None if branches is None else branches[rows]
        return part

    @classmethod
    def concatenated(cls, parts: "Sequence[Batch]") -> "Batch":
        """The rows of several, one after the other: of one origin, of one operator's making. At least one."""
        first = parts[0]
        if len(parts) == 1:
            return first

        def column(name: str) -> Any:
            columns = [getattr(part, name) for part in parts]
            return None if None in columns else [item for each in columns for item in each]

        return cls(
            first.origin,
            column("offsets"),
            column("timestamps"),
            first.key_schema,
            first.value_schema,
            keys=column("_keys"),
            values=column("_values"),
            raw_keys=column("raw_keys"),
            raw_values=column("raw_values"),
            headers=column("headers"),
            olds=column("olds"),
            branches=column("branches"),
        )

    def rows(self) -> "Iterable[Batch]":
        """Each row as a batch of one."""
        return (self.slice(index, index + 1) for index in range(len(self)))

    def replace(
        self,
        *,
        keys: tuple[Column, Schema[Any]] | None = None,
        values: tuple[Column, Schema[Any]] | None = None,
        timestamps: list[int] | None = None,
        olds: Column | None = None,
    ) -> "Batch":
        """The same rows with other keys or values, each given with its schema. Old values go unless given again."""
        return Batch(
            self.origin,
            self.offsets,
            self.timestamps if timestamps is None else timestamps,
            self.key_schema if keys is None else keys[1],
            self.value_schema if values is None else values[1],
            keys=self._keys if keys is None else keys[0],
            values=self._values if values is None else values[0],
            raw_keys=self.raw_keys if keys is None else None,
            raw_values=self.raw_values if values is None else None,
            headers=self.headers,
            olds=olds,
        )

    def marked(self, branches: list[int]) -> "Batch":
        """The same rows, each with the branch that it takes."""
        copy = self._columns(lambda column: column)
        copy.branches = branches
        return copy
