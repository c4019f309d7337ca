"""Rows that an operator over spans gives: under windowed keys, each made from a row of what it was given."""

from collections.abc import Sequence
from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.serde.schema import Schema, windowed_around
from streamz_actors.types import Headers, TopicPartition


class Shape:
    """The schemas of the rows."""

    def __init__(self, spec: StoreSpec, value: Schema[Any]) -> None:
        self.key, self.value = windowed_around(spec.key_schema), value


class WindowRows:
    """Columns that grow while a batch is worked on; `raws` are encoded windowed keys."""

    __slots__ = ("olds", "raws", "rows", "timestamps", "values")

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.raws: list[bytes | None] = []
        self.values: Column = []
        self.timestamps: list[int] = []
        self.olds: Column = []

    def add(self, row: int, raw: bytes, value: Any, timestamp: int, old: Any = None) -> None:
        """`row` is that of the batch which it comes from, `old` what the key held before."""
        self.rows.append(row)
        self.raws.append(raw)
        self.values.append(value)
        self.timestamps.append(timestamp)
        self.olds.append(old)

    def made_from(self, batch: Batch, shape: Shape, olds: bool) -> Batch | None:
        if not self.rows:
            return None
        offsets, headers = batch.offsets, batch.headers
        return self.made_at(
            batch.origin,
            [offsets[row] for row in self.rows],
            None if headers is None else [headers[row] for row in self.rows],
            shape,
            olds,
        )

    def made_at(
        self,
        origin: TopicPartition,
        offsets: Sequence[int],
        headers: list[Headers] | None,
        shape: Shape,
        olds: bool,
    ) -> Batch | None:
        if not self.rows:
            return None
        return Batch(
            origin,
            offsets,
            self.timestamps,
            shape.key,
            shape.value,
            raw_keys=self.raws,
            values=self.values,
            headers=headers,
            olds=self.olds if olds else None,
        )
