"""Rows that an operator over spans gives: under windowed keys, each made from a row of what it was given."""

from typing import Any

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.serde.schema import Schema, windowed_around
from streamz_actors.types import Headers, TopicPartition

WindowRow = tuple[int, bytes, Any, int, Any]
"""The row that it comes from, the encoded windowed key, value, timestamp, and what the key held before."""


class Shape:
    """The schemas of the rows, and whether they say what was before."""

    def __init__(self, spec: StoreSpec, value: Schema[Any]) -> None:
        self.key, self.value = windowed_around(spec.key_schema), value

    def made_from(self, rows: list[WindowRow], batch: Batch, olds: bool) -> Batch | None:
        """None for no rows."""
        if not rows:
            return None
        offsets, headers = batch.offsets, batch.headers
        causes = [row[0] for row in rows]
        return self._made(
            rows,
            batch.origin,
            [offsets[cause] for cause in causes],
            None if headers is None else [headers[cause] for cause in causes],
            olds,
        )

    def made_at(self, rows: list[WindowRow], origin: TopicPartition, offset: int, olds: bool) -> Batch | None:
        """Of rows that no record has led to; None for none."""
        return self._made(rows, origin, [offset] * len(rows), None, olds) if rows else None

    def _made(
        self,
        rows: list[WindowRow],
        origin: TopicPartition,
        offsets: list[int],
        headers: list[Headers] | None,
        olds: bool,
    ) -> Batch:
        # A column at a time: `zip(*rows)` would make an iterator for each row.
        return Batch(
            origin,
            offsets,
            [row[3] for row in rows],
            self.key,
            self.value,
            raw_keys=[row[1] for row in rows],
            values=[row[2] for row in rows],
            headers=headers,
            olds=[row[4] for row in rows] if olds else None,
        )
