"""Pages of a table's rows, gathered from all who own a part of it."""

from collections.abc import Sequence

from streamz_actors.errors import NotReady
from streamz_actors.query.access import Known
from streamz_actors.query.found import Found, Piece, chosen, gathered
from streamz_actors.query.local import LocalQueries
from streamz_actors.query.owners import Owner, Owners
from streamz_actors.query.router import Router
from streamz_actors.query.scan import Bounds, Part, joined
from streamz_actors.query.search import together
from streamz_actors.query.wire import Page, Scan

Answer = tuple[Part, frozenset[int], NotReady | None]
"""A page, the partitions that it is of, and why others are not in it."""


class Listing:
    """Deadlines are moments of the event loop's clock."""

    def __init__(self, app: str, name: str, local: LocalQueries, owners: Owners, router: Router) -> None:
        self._app, self._name, self._local, self._owners, self._router = app, name, local, owners, router

    async def page(
        self, table: Known, bounds: Bounds, limit: int, after: bytes | None, deadline: float
    ) -> tuple[list[Found], bytes | None]:
        """Rows behind the key `after`, and how far they go (None: to the end).

        Raises NotReady unless every partition is in it; may wait longer than the deadline.
        """
        told = self._owners.told
        try:
            parts = await self._parts(table, bounds, limit, after, deadline)
        except NotReady:
            if self._owners.told is told:
                raise
            parts = await self._parts(table, bounds, limit, after, deadline)
        rows, frontier = joined(parts, limit)
        found = (self._row(table, raw, pieces) for raw, pieces in rows)
        return [row for row in found if row is not None], frontier

    async def _parts(
        self, table: Known, bounds: Bounds, limit: int, after: bytes | None, deadline: float
    ) -> Sequence[Part]:
        owners, why = self._owners.all(table)
        if why is not None:
            raise why
        scan = _scan(self._app, table, bounds, limit, after)
        answers = await together(
            [self._ask(owner, table, bounds, scan, partitions, deadline) for owner, partitions in owners.items()]
        )
        for (_, read, why), partitions in zip(answers, owners.values(), strict=True):
            if len(read) != len(partitions):
                raise why or self._local.access.not_ready(table)
        return [part for part, _, _ in answers]

    async def _ask(
        self, owner: Owner, table: Known, bounds: Bounds, scan: Scan, partitions: list[int], deadline: float
    ) -> Answer:
        if owner is None:
            part, read = self._local.part(table, bounds, scan.limit, scan.after, partitions)
            return part, read, None
        return _decoded(table, await self._router.page(owner, scan.derive(partitions=partitions), deadline))

    def _row(self, table: Known, raw: bytes, pieces: Sequence[Piece]) -> Found | None:
        key = table.key_schema.decode(raw)
        if table.per_partition:
            return gathered(key, pieces, self._name)
        return chosen(key, pieces, table.home(raw, self._local.access.counted(table)))


def _scan(app: str, table: Known, bounds: Bounds, limit: int, after: bytes | None) -> Scan:
    """Bounds travel as keys do. Raises EncodeError for what cannot be one."""
    encode = table.key_schema.encode
    start, stop, prefix = encode(bounds.start), encode(bounds.stop), encode(bounds.prefix)
    return Scan(app, table.name, [], limit, after, prefix, start, stop)


def _decoded(table: Known, page: Page) -> Answer:
    decode = table.value_schema.decode
    rows = [
        (raw, [Piece(one.partition, one.timestamp, decode(one.raw), page.worker) for one in held])
        for raw, held in page.rows
    ]
    why = NotReady(page.why, page.wait) if page.why else None
    return Part(rows, page.frontier), frozenset(page.read), why
