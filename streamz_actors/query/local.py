"""What this worker's own state says, its newest writes included. Nothing here awaits."""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamz_actors.errors import NotReady, TableUnknown
from streamz_actors.query.access import Access, Known
from streamz_actors.query.found import Found, Piece, TableInfo, chosen, gathered
from streamz_actors.query.scan import Bounds, Part, page
from streamz_actors.query.wire import Ask, Held, Page, Scan, Values
from streamz_actors.serde.describe import describe
from streamz_actors.stores.logged import Entry
from streamz_actors.tables.mapping import State
from streamz_actors.worker.worker import Worker


class Elsewhere(enum.Enum):
    """This worker alone cannot say what a key has."""

    ELSEWHERE = enum.auto()


ELSEWHERE: Final = Elsewhere.ELSEWHERE


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found under each key, and the partitions in which all keys were looked for."""

    pieces: Sequence[Sequence[Piece]]
    read: frozenset[int]
    why: NotReady | None = None
    """Why the other partitions were not."""


class LocalQueries:
    """Raises TableUnknown for a name that is no table's, NotReady before it is known how many partitions there are."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.access = Access(worker)

    def tables(self) -> list[TableInfo]:
        """Every table of the application, by name."""
        return [self._info(table) for table in self.access.tables]

    def table(self, name: str) -> TableInfo:
        return self._info(self.access.table(name))

    def _info(self, table: Known) -> TableInfo:
        here = self.access.here(table)
        return TableInfo(
            table.name,
            table.kind,
            describe(table.key_schema.type),
            describe(table.value_type),
            self.access.partitions(table),
            tuple(sorted(here)),
            sum(state.logged.store.approximate_count() for state in here.values()),
            table.per_partition,
        )

    # -- for this worker's own queries

    def look(self, table: Known, key: Any, raw: bytes) -> Found | Elsewhere | None:
        """What a key has, None if the table does not hold it, ELSEWHERE if others must be asked for either."""
        count = self.access.counted(table)
        if count == 0:
            return None
        home = table.home(raw, count)
        state = None if table.per_partition else self.access.state(table, home)
        if state is not None:
            entry = table.entry(state, raw)
            value = state.value(entry)
            if entry is not None and value is not None:
                return Found(key, value, entry.timestamp, None if table.is_global else home, self._worker.name)
        elif not table.per_partition:
            return self._not_here(table)
        here = self.access.here(table)
        pieces = self._pieces(table, raw, here)
        if len(here) == count or (pieces and not table.per_partition):
            return gathered(key, pieces, self._worker.name) if table.per_partition else chosen(key, pieces, home)
        return ELSEWHERE

    def _not_here(self, table: Known) -> Elsewhere:
        if table.is_global:
            raise self.access.not_ready(table)
        return ELSEWHERE

    def pieces(self, table: Known, raws: Sequence[bytes], partitions: Collection[int] | None) -> Looked:
        """What these partitions (None: all) have; those that are not here are not `read`."""
        here = self._here(table, partitions)
        found = [self._pieces(table, raw, here) for raw in raws]
        whole = partitions is not None and len(here) == len(partitions)
        return Looked(found, frozenset(here), None if whole else self.access.not_ready(table))

    def _here(self, table: Known, partitions: Collection[int] | None) -> dict[int, State]:
        here = self.access.here(table)
        return {number: here[number] for number in (here if partitions is None else partitions) if number in here}

    def _pieces(self, table: Known, raw: bytes, here: Mapping[int, State]) -> list[Piece]:
        held = ((number, state, table.entry(state, raw)) for number, state in here.items())
        return self._live([(number, state, entry) for number, state, entry in held if entry is not None])

    def _live(self, held: Iterable[tuple[int, State, Entry]]) -> list[Piece]:
        name = self._worker.name
        return [
            Piece(number, entry.timestamp, value, name)
            for number, state, entry in held
            if (value := state.value(entry)) is not None
        ]

    def part(
        self, table: Known, bounds: Bounds, limit: int, after: bytes | None, partitions: Collection[int]
    ) -> tuple[Part, frozenset[int]]:
        """A page out of those of these partitions that are here, and which they are."""
        here = self._here(table, partitions)
        rows, frontier = page(here, table.key_schema, bounds, limit, after)
        return Part([(raw, self._live(held)) for raw, _, held in rows], frontier), frozenset(here)

    # -- for other workers

    def values(self, ask: Ask) -> Values:
        """What another worker asks for, as far as it is here."""
        try:
            table = self.access.table(ask.table)
            table = table if ask.span is None else table.within(ask.span)
            table = table.settled() if ask.committed else table
            count = self.access.counted(table)
        except (TableUnknown, NotReady) as error:
            why, wait = self._reason(error)
            return Values(why=why, wait=wait)
        if not table.per_partition and ask.partitions is None:
            found = [self._at_home(table, raw, count) for raw in ask.keys]
            if all(found):
                return Values(found)
        here = self._here(table, ask.partitions)
        held = [self._held(table, raw, here, count) for raw in ask.keys]
        if len(here) == (count if ask.partitions is None else len(ask.partitions)):
            return Values(held, list(here))
        why, wait = self._reason(self.access.not_ready(table))
        return Values(held, list(here), why=why, wait=wait)

    def _at_home(self, table: Known, raw: bytes, count: int) -> list[Held]:
        """What the partition has that the key's hash names."""
        home = table.home(raw, count)
        state = self.access.state(table, home)
        return [] if state is None else _present([_encoded(table, home, table.entry(state, raw))])

    def _held(self, table: Known, raw: bytes, here: Mapping[int, State], count: int) -> list[Held]:
        """All that there is; where a key has one value, what its own partition has suffices."""
        home = table.home(raw, count)
        own = None if table.per_partition or home not in here else table.entry(here[home], raw)
        if own is not None and (held := _encoded(table, home, own)):
            return [held]
        return _present(_encoded(table, number, table.entry(state, raw)) for number, state in here.items())

    def page(self, scan: Scan) -> Page:
        """A page for another worker."""
        name = self._worker.name
        try:
            table = self.access.table(scan.table)
            self.access.counted(table)
        except (TableUnknown, NotReady) as error:
            why, wait = self._reason(error)
            return Page(name, why=why, wait=wait)
        schema = table.key_schema
        bounds = Bounds(schema.decode(scan.prefix), schema.decode(scan.start), schema.decode(scan.stop))
        here = self._here(table, scan.partitions)
        rows, frontier = page(here, schema, bounds, scan.limit, scan.after)
        held = [
            (raw, _present(_encoded(table, number, entry) for number, _, entry in entries)) for raw, _, entries in rows
        ]
        if len(here) == len(scan.partitions):
            return Page(name, held, frontier, list(here))
        why, wait = self._reason(self.access.not_ready(table))
        return Page(name, held, frontier, list(here), why=why, wait=wait)

    def _reason(self, error: TableUnknown | NotReady) -> tuple[str, float]:
        wait = error.retry_after if isinstance(error, NotReady) else 1.0
        return f"worker {self._worker.name}: {error}", wait


def _encoded(table: Known, number: int, entry: Entry | None) -> Held | None:
    if entry is None:
        return None
    raw = table.value_schema.encode(entry.value) if entry.raw is None else entry.raw
    return None if raw is None else Held(number, entry.timestamp, raw)


def _present(held: Iterable[Held | None]) -> list[Held]:
    return [one for one in held if one is not None]
