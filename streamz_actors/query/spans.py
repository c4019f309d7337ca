"""Windows in queries: which of a key's are asked for, and how a list of them travels as one value."""

from typing import Any

from streamz_actors.dataflow.node import Layout
from streamz_actors.serde.models import Record
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.stores.logged import Entry
from streamz_actors.tables.mapping import State
from streamz_actors.types import WindowValue

Span = tuple[int | None, int | None]
"""Windows that begin at start <= ms < stop; None: unbounded."""

ALL: Span = (None, None)


class _Row(Record, array_like=True):
    start: int
    end: int
    raw: bytes
    timestamp: int


_ROWS: Schema[list[_Row]] = schema_for(list[_Row], "msgpack")


def windows_schema(value: Schema[Any]) -> Schema[Any]:
    """Of lists of `WindowValue`, given the schema of their values."""

    def write(rows: list[WindowValue[Any]]) -> bytes:
        held = [_Row(row.start, row.end, value.encode(row.value) or b"", row.timestamp) for row in rows]
        return _ROWS.encode(held) or b""

    def read(raw: bytes) -> list[WindowValue[Any]]:
        rows = _ROWS.decode(raw) or []
        return [WindowValue(row.start, row.end, value.decode(row.raw), row.timestamp) for row in rows]

    return packed(f"windows:{value.codec}", write, read)


def windows_entry(layout: Layout, state: State, raw: bytes, span: Span) -> Entry | None:
    """What a partition has for an encoded key: its windows as one value, under the newest of their times."""
    rows = [WindowValue(*row) for row in layout.windows(state.logged, raw, *span)]
    return Entry(rows, None, max(row.timestamp for row in rows)) if rows else None
