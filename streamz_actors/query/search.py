"""Looking keys up that this worker alone knows nothing certain about.

    1  the owner of the key's partition is asked; a worker that is asked so asks nobody else
    2  a key that its owner does not have may be in another partition (a producer may partition as it likes): all owners
       are asked; a table whose partitions have values of their own begins here
    3  whoever was asked may have lost a partition meanwhile: if this worker has been told of new owners since, 1 and 2
       are done once more; what is then not known is not ready
    4  last known values: copies are looked for everywhere at once, and the newest counts
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from streamz_actors.errors import NotReady
from streamz_actors.query.access import Access, Known
from streamz_actors.query.copies import Copies
from streamz_actors.query.found import Piece
from streamz_actors.query.local import LocalQueries, Looked
from streamz_actors.query.owners import Owner, Owners
from streamz_actors.query.router import Router, Said
from streamz_actors.query.wire import Ask, Held, Values

T = TypeVar("T")

Rows = list[Sequence[Piece] | None]
"""By key: what its partitions have; None: not known."""


class Search:
    """Deadlines are moments of the event loop's clock."""

    def __init__(self, name: str, local: LocalQueries, owners: Owners, router: Router, copies: Copies) -> None:
        self._name, self._local, self._owners, self._router, self._copies = name, local, owners, router, copies
        self._access: Access = local.access

    async def live(self, table: Known, raws: Sequence[bytes], deadline: float) -> tuple[Rows, NotReady | None]:
        """What the owners have, and why some keys are not known. May wait longer than the deadline."""
        told = self._owners.told
        rows, why = await self._once(table, raws, deadline)
        unknown = [number for number, row in enumerate(rows) if row is None]
        if unknown and self._owners.told is not told:
            again, why = await self._once(table, [raws[number] for number in unknown], deadline)
            for number, row in zip(unknown, again, strict=True):
                rows[number] = row
        return rows, why

    async def newest(self, table: Known, raws: Sequence[bytes], deadline: float) -> Rows:
        """The last known values. A key of which no copy knows is not known: copies may be behind."""
        ask = Ask(table.name, list(raws), stale=True)
        asked = [self._said(self._router.values(host, ask, deadline), deadline) for host in self._owners.others()]
        answers = await together([self._here(ask), *asked])
        looked = [self._looked(table, len(raws), said) for said in answers if said is not None]
        covered = {number for said in answers if said is not None for number in (*said[1].read, *said[1].copies)}
        whole = not table.per_partition or len(covered) == self._access.partitions(table)
        return [pieces if pieces and whole else None for pieces in _by_key(looked, len(raws))]

    # -- for another worker

    async def answer(self, ask: Ask) -> Values:
        """What this worker has, out of copies as well if it is asked for that."""
        values = self._local.values(ask)
        count = self._access.partitions(self._access.table(ask.table)) if ask.stale and values.held else None
        if count:
            await self._add_copies(self._access.table(ask.table), ask, values, count)
        return values

    async def _add_copies(self, table: Known, ask: Ask, values: Values, count: int) -> None:
        rows: dict[int, list[int]] = {}
        for row, raw in enumerate(ask.keys):
            for partition in range(count) if table.per_partition else (table.home(raw, count),):
                if partition not in values.read and (table.per_partition or not values.held[row]):
                    rows.setdefault(partition, []).append(row)
        for partition, wanted in rows.items():
            copied = await self._copies.held(table, partition, [ask.keys[row] for row in wanted])
            if copied is None:
                continue
            values.copies.append(partition)
            for row, held in zip(wanted, copied, strict=True):
                if held is not None:
                    values.held[row].append(held)

    # -- how

    async def _once(self, table: Known, raws: Sequence[bytes], deadline: float) -> tuple[Rows, NotReady | None]:
        rows: Rows = [None] * len(raws)
        missing, why = list(range(len(raws))), None
        if not table.per_partition:
            missing, why = await self._at_home(table, raws, rows, deadline)
        if not missing:
            return rows, why
        looked = await self._everywhere(table, [raws[number] for number in missing], deadline)
        whole = len(looked.read) == self._access.partitions(table)
        for number, pieces in zip(missing, looked.pieces, strict=True):
            if whole or (pieces and not table.per_partition):
                rows[number] = pieces
        return rows, why or looked.why

    async def _at_home(
        self, table: Known, raws: Sequence[bytes], rows: Rows, deadline: float
    ) -> tuple[list[int], NotReady | None]:
        """Fills in what the partitions of the keys have. Gives those that these do not have."""
        homes = [table.home(raw, self._access.counted(table)) for raw in raws]
        owners: dict[Owner, list[int]] = {}
        why = None
        for number, home in enumerate(homes):
            try:
                owners.setdefault(self._owners.of(table, home), []).append(number)
            except NotReady as error:
                why = error
        asked = [
            self._ask(owner, table, [raws[number] for number in numbers], None, deadline)
            for owner, numbers in owners.items()
        ]
        missing = []
        for numbers, looked in zip(owners.values(), await together(asked), strict=True):
            for number, pieces in zip(numbers, looked.pieces, strict=True):
                if pieces:
                    rows[number] = pieces
                elif homes[number] in looked.read:
                    missing.append(number)
                else:
                    why = looked.why
        return missing, why

    async def _everywhere(self, table: Known, raws: Sequence[bytes], deadline: float) -> Looked:
        """Each partition is asked for at one place, so that none answers twice while it moves."""
        owners, why = self._owners.all(table)
        asked = [self._ask(owner, table, raws, partitions, deadline) for owner, partitions in owners.items()]
        looked = await together(asked)
        read = frozenset(number for one in looked for number in one.read)
        reasons = (one.why for one in looked if one.why is not None)
        return Looked(_by_key(looked, len(raws)), read, why or next(reasons, None))

    async def _ask(
        self, owner: Owner, table: Known, raws: Sequence[bytes], partitions: list[int] | None, deadline: float
    ) -> Looked:
        if owner is None:
            return self._local.pieces(table, raws, partitions)
        span = None if table.layout is None else table.span
        ask = Ask(table.name, list(raws), partitions, span=span, committed=table.committed)
        return self._looked(table, len(raws), await self._router.values(owner, ask, deadline))

    def _looked(self, table: Known, keys: int, said: Said) -> Looked:
        worker, values = said
        decode = table.value_schema.decode

        def piece(held: Held) -> Piece:
            return Piece(held.partition, held.timestamp, decode(held.raw), worker, held.stale)

        pieces = [[piece(held) for held in row] for row in values.held] or [[] for _ in range(keys)]
        why = NotReady(values.why, values.wait) if values.why else None
        return Looked(pieces, frozenset(values.read), why)

    async def _here(self, ask: Ask) -> Said | None:
        return self._name, await self.answer(ask)

    async def _said(self, asking: Coroutine[Any, Any, Said], deadline: float) -> Said | None:
        """None if there is no answer in time."""
        try:
            async with asyncio.timeout_at(deadline):
                return await asking
        except TimeoutError:
            return None


def _by_key(looked: Iterable[Looked], keys: int) -> list[list[Piece]]:
    rows: list[list[Piece]] = [[] for _ in range(keys)]
    for one in looked:
        for row, pieces in zip(rows, one.pieces, strict=True):
            row.extend(pieces)
    return rows


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives; one alone needs no task. If one fails, nobody listens to the others."""
    return [await work[0]] if len(work) == 1 else await asyncio.gather(*work)
