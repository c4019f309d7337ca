"""Queries answered from this worker's own state, its newest writes included. Nothing here awaits."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from streamz_actors.errors import DecodeError, UsageError
from streamz_actors.query.access import Access, Known
from streamz_actors.query.keys import keys_in
from streamz_actors.query.scan import Bounds, Held, page
from streamz_actors.serde.describe import describe
from streamz_actors.tables.mapping import State
from streamz_actors.types import partition_of
from streamz_actors.worker.worker import Worker


@dataclass(frozen=True, slots=True)
class Found:
    """The value of a key. `timestamp` is in ms, the newest where several partitions have values."""

    key: Any
    value: Any
    timestamp: int
    partition: int | None
    """None where the value is of no one partition: in global tables, and where it is `gathered`."""
    worker: str
    gathered: bool = False
    """Each partition has a value of its own: `value` is a dict of them by partition number."""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table and how much of it is here. `partitions` is None until the broker was asked."""

    name: str
    kind: str
    key_type: str
    value_type: str
    partitions: int | None
    here: tuple[int, ...]
    """Partitions that can be read."""
    count: int
    """Keys in them, about."""
    per_partition: bool


class LocalQueries:
    """Raises TableUnknown for a name that is no table's, NotReady where the state asked for is not here (yet)."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._access = Access(worker)

    def tables(self) -> list[TableInfo]:
        """Every table of the application, by name."""
        return [self._info(table) for table in self._access.tables]

    def table(self, name: str) -> TableInfo:
        return self._info(self._access.table(name))

    def key_type(self, table: str) -> Any:
        """The declared type of a table's keys."""
        return self._access.table(table).key_schema.type

    def key(self, table: str, text: str) -> Any:
        """The key that a text of a URL most likely stands for. Raises DecodeError if it can be none."""
        return self._keys(self._access.table(table), text)[0]

    def get(self, table: str, key: Any) -> Found | None:
        """What a key has; None if the table does not hold it. Raises EncodeError for what is no key of the table."""
        known = self._access.table(table)
        raw = known.key_schema.encode(key)
        if raw is None:
            raise UsageError(f"table {table!r}: None is no key")
        if known.per_partition:
            held = [(number, state, state.entry(raw)) for number, state in self._access.all(known).items()]
            return self._gathered(key, [(number, state, entry) for number, state, entry in held if entry is not None])
        return self._of_owner(known, key, raw)

    def get_text(self, table: str, text: str) -> Found | None:
        """As `get`, for a key out of a URL. Raises DecodeError if the text can be no key of the table."""
        found = (self.get(table, key) for key in self._keys(self._access.table(table), text))
        return next((one for one in found if one is not None), None)

    def many(self, table: str, keys: Iterable[Any]) -> list[Found | None]:
        """As `get`, in the order of the keys."""
        return [self.get(table, key) for key in keys]

    def entries(
        self,
        table: str,
        *,
        prefix: str | bytes | None = None,
        start: Any = None,
        stop: Any = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[Found], str | None]:
        """A page of rows with start <= key < stop and this prefix, and the next page's cursor; None after the last.

        In key order where the keys' encoding keeps it (text, bytes), else in that of their encodings. Writes between
        two pages neither repeat nor hide the other keys. The work for a page is bounded, so one may be short, even
        empty, and not the last. Raises UsageError for a bad cursor or a prefix of keys that have none.
        """
        known = self._access.table(table)
        if prefix is not None and not _has_prefix(known.key_schema.type, prefix):
            raise UsageError(f"table {table!r} has keys of type {describe(known.key_schema.type)}: they have no prefix")
        states = self._access.all(known)
        held, after = page(states, known.key_schema, Bounds(prefix, start, stop), limit, cursor)
        rows = (self._row(known, key, entries) for key, entries in held)
        return [row for row in rows if row is not None], after

    # -- how

    def _keys(self, table: Known, text: str) -> list[Any]:
        try:
            return keys_in(text, table.key_schema)
        except DecodeError as error:
            name = describe(table.key_schema.type)
            raise DecodeError(f"{text!r} is no key of table {table.name!r} ({name}): {error.reason}") from error

    def _info(self, table: Known) -> TableInfo:
        here = self._access.here(table)
        return TableInfo(
            table.name,
            table.kind,
            describe(table.key_schema.type),
            describe(table.value_schema.type),
            self._access.partitions(table),
            tuple(sorted(here)),
            sum(state.logged.store.approximate_count() for state in here.values()),
            table.per_partition,
        )

    def _of_owner(self, table: Known, key: Any, raw: bytes) -> Found | None:
        """First where the key's hash says; then in the others: a topic's producer may partition otherwise."""
        count = self._access.partitions(table)
        if count is None:
            raise self._access.not_ready(table)
        if count == 0:
            return None
        here = self._access.here(table)
        owner = partition_of(raw, count)
        if owner not in here:
            raise self._access.not_ready(table)
        for number in (owner, *(number for number in here if number != owner)):
            found = self._at(table, number, here[number], key, raw)
            if found is not None:
                return found
        if len(here) != count:
            raise self._access.not_ready(table)
        return None

    def _at(self, table: Known, number: int, state: State, key: Any, raw: bytes) -> Found | None:
        entry = state.entry(raw)
        value = state.value(entry)
        if entry is None or value is None:
            return None
        return Found(key, value, entry.timestamp, None if table.is_global else number, self._worker.name)

    def _gathered(self, key: Any, held: Held) -> Found | None:
        values = {number: value for number, state, entry in held if (value := state.value(entry)) is not None}
        if not values:
            return None
        newest = max(entry.timestamp for _, _, entry in held)
        return Found(key, values, newest, None, self._worker.name, gathered=True)

    def _row(self, table: Known, key: Any, held: Held) -> Found | None:
        if table.per_partition:
            return self._gathered(key, held)
        number, state, entry = held[0]
        return Found(key, state.value(entry), entry.timestamp, number, self._worker.name)


def _has_prefix(annotation: Any, prefix: Any) -> bool:
    return isinstance(prefix, str | bytes) and annotation in (Any, type(prefix))
