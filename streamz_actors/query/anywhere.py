"""Queries of any key on any worker: answered here where the key is here, else by those who own it.

A worker that is asked by another answers with what it has and asks nobody else: a question travels once.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

from streamz_actors.errors import NotReady, UsageError
from streamz_actors.query.access import Known
from streamz_actors.query.copies import Copies
from streamz_actors.query.found import Found, Piece, chosen, gathered
from streamz_actors.query.keys import cursor_of, key_behind
from streamz_actors.query.listing import Listing
from streamz_actors.query.local import Elsewhere, LocalQueries
from streamz_actors.query.owners import Owners
from streamz_actors.query.router import Router
from streamz_actors.query.scan import Bounds
from streamz_actors.query.search import Search
from streamz_actors.query.spans import Span
from streamz_actors.query.wire import Answers, Asks, Page, Scan
from streamz_actors.serde.describe import describe
from streamz_actors.stores.abc import Backend
from streamz_actors.worker.worker import Worker

T = TypeVar("T")

DEADLINE: Final = 5.0
"""Seconds that a query may take."""

Coded = tuple[Any, bytes]
"""A key and its encoding."""


class Queries:
    """Raises TableUnknown for a name that is no table's, NotReady where it cannot be known now what was asked for
    (a partition is moved or restored, its owner does not answer), TimeoutError after `within` seconds.

    With `stale`, what cannot be known is answered with the last known value, if anybody has one.
    """

    def __init__(self, worker: Worker, backend: Backend) -> None:
        app, self._name = worker.spec.app_id, worker.name
        self.local = LocalQueries(worker)
        self._access = self.local.access
        self._router = Router(app, worker.spec.settings.web_credentials)
        owners = Owners(worker, self._access)
        copies = Copies(worker, self._access, backend)
        self._search = Search(self._name, self.local, owners, self._router, copies)
        self._listing = Listing(app, self._name, self.local, owners, self._router)

    async def close(self) -> None:
        """Ends what other workers are being asked. Safe to call twice."""
        await self._router.close()

    async def get(self, table: str, key: Any, *, stale: bool = False, within: float = DEADLINE) -> Found | None:
        """What a key has; None if the table does not hold it. Raises EncodeError for what is no key of the table."""
        return await self._get(self._access.table(table), key, stale, within)

    async def windows(
        self, table: str, key: Any, start: int | None = None, stop: int | None = None, *, within: float = DEADLINE
    ) -> Found | None:
        """The windows of a key that begin at start <= ms < stop, as a list of `WindowValue`; None if there are none.

        Raises UsageError for a table without windows.
        """
        return await self._get(self._access.table(table).within((start, stop)), key, stale=False, within=within)

    async def get_text(
        self,
        table: str,
        text: str,
        *,
        span: Span | None = None,
        stale: bool = False,
        committed: bool = False,
        within: float = DEADLINE,
    ) -> Found | None:
        """As `get`, or `windows` with a span, for a key out of a URL; `committed`: without what is not committed yet.

        Raises DecodeError if the text can be no key of the table.
        """
        known = self._access.table(table)
        known = known if span is None else known.within(span)
        known = known.settled() if committed else known
        unknown: NotReady | None = None
        for key in known.keys(text):
            try:
                found = await self._get(known, key, stale, within)
            except NotReady as error:
                unknown = error
                continue
            if found is not None:
                return found
        if unknown is not None:
            raise unknown
        return None

    async def many(
        self,
        table: str,
        keys: Sequence[Any],
        *,
        stale: bool = False,
        committed: bool = False,
        within: float = DEADLINE,
    ) -> list[Found | None]:
        """As `get`, in the order of the keys; `committed`: without what is not committed yet."""
        known = self._access.table(table).plain("which cannot be asked for by many keys at once")
        known = known.settled() if committed else known
        coded = [(key, known.encoded(key)) for key in keys]
        rows = [self.local.look(known, key, raw) for key, raw in coded]
        far = [number for number, row in enumerate(rows) if isinstance(row, Elsewhere)]
        fetched = await self._fetched(known, [coded[number] for number in far], stale, within)
        answers = iter(fetched)
        return [next(answers) if isinstance(row, Elsewhere) else row for row in rows]

    async def entries(
        self,
        table: str,
        *,
        prefix: str | bytes | None = None,
        start: Any = None,
        stop: Any = None,
        limit: int = 100,
        cursor: str | None = None,
        within: float = DEADLINE,
    ) -> tuple[list[Found], str | None]:
        """A page of rows with start <= key < stop and this prefix, and the next page's cursor; None after the last.

        In key order where the keys' encoding keeps it (text, bytes), else in that of their encodings. Writes, and
        partitions that move, between two pages neither repeat nor hide the other keys. The work for a page is bounded,
        so one may be short, even empty, and not the last. Raises UsageError for a bad cursor or a prefix of keys that
        have none.
        """
        known = self._access.table(table).plain("which are not listed")
        if prefix is not None and not _has_prefix(known.key_schema.type, prefix):
            raise UsageError(f"table {table!r} has keys of type {describe(known.key_schema.type)}: they have no prefix")
        after = None if cursor is None else key_behind(cursor)
        deadline = asyncio.get_running_loop().time() + within
        page = self._listing.page(known, Bounds(prefix, start, stop), limit, after, deadline)
        rows, frontier = await _in_time(page, known, deadline, within)
        return rows, None if frontier is None else cursor_of(frontier)

    def holds_windows(self, table: str) -> bool:
        return self._access.table(table).layout is not None

    def key(self, table: str, text: str) -> Any:
        """The key that a text of a URL most likely stands for. Raises DecodeError if it can be none."""
        return self._access.table(table).keys(text)[0]

    def key_type(self, table: str) -> Any:
        """The declared type of a table's keys."""
        return self._access.table(table).key_schema.type

    # -- for other workers

    async def answers(self, asks: Asks) -> Answers:
        return Answers(self._name, [await self._search.answer(ask) for ask in asks.asks])

    def page(self, scan: Scan) -> Page:
        return self.local.page(scan)

    # -- how

    async def _get(self, table: Known, key: Any, stale: bool, within: float) -> Found | None:
        if stale:
            table.plain("of which there are no copies (stale=true)")
        raw = table.encoded(key)
        found = self.local.look(table, key, raw)
        if isinstance(found, Elsewhere):
            (found,) = await self._fetched(table, [(key, raw)], stale, within)
        return found

    async def _fetched(self, table: Known, keys: Sequence[Coded], stale: bool, within: float) -> list[Found | None]:
        """What others have under keys of which this worker alone does not know."""
        if not keys:
            return []
        now = asyncio.get_running_loop().time()
        raws = [raw for _, raw in keys]
        live = now + (within / 2 if stale else within)
        try:
            rows, why = await _in_time(self._search.live(table, raws, live), table, live, within)
        except TimeoutError:
            if not stale:
                raise
            rows, why = [None] * len(raws), None
        unknown = [number for number, row in enumerate(rows) if row is None]
        if unknown and stale:
            newest = await self._search.newest(table, [raws[number] for number in unknown], now + within)
            for number, row in zip(unknown, newest, strict=True):
                rows[number] = row
        if any(row is None for row in rows):
            raise why or NotReady(f"table {table.name!r}: nobody who could be asked has a copy of it")
        return [self._found(table, coded, row or ()) for coded, row in zip(keys, rows, strict=True)]

    def _found(self, table: Known, coded: Coded, pieces: Sequence[Piece]) -> Found | None:
        key, raw = coded
        if table.per_partition:
            return gathered(key, pieces, self._name)
        return chosen(key, pieces, table.home(raw, self._access.counted(table)))


async def _in_time(work: Awaitable[T], table: Known, deadline: float, within: float) -> T:
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except TimeoutError as error:
        raise TimeoutError(f"table {table.name!r}: no answer within {within:g} s") from error


def _has_prefix(annotation: Any, prefix: Any) -> bool:
    return isinstance(prefix, str | bytes) and annotation in (Any, type(prefix))
