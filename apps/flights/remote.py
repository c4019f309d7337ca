"""The application's tables as its workers tell them over HTTP: any of them answers for all."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

T = TypeVar("T")

PAGE = 1_000
"""Rows asked for at once."""

PATIENCE = aiohttp.ClientTimeout(total=10)


class Refused(Exception):
    """A worker gave an answer that asking again will not change. The message has it."""


class Remote:
    """`urls` gives the workers that may be asked, at the moment."""

    def __init__(self, session: aiohttp.ClientSession, urls: Callable[[], Sequence[str]]) -> None:
        self._session, self._urls = session, urls

    async def ready(self, url: str) -> bool:
        """Whether one worker has its partitions and has restored them."""
        return await self._get(f"{url}/readyz") is not None

    async def holds(self, url: str, table: str, key: str) -> bool:
        """Whether one worker finds a key."""
        return await self._get(f"{url}/v1/tables/{table}/{quote(key, safe='')}") is not None

    async def table(self, name: str, type_: type[T]) -> dict[str, T] | None:
        """All rows of a table with text as keys; None if nobody can tell at the moment: partitions move, say."""
        for url in self._urls():
            rows = await self._table(url, name, type_)
            if rows is not None:
                return rows
        return None

    async def _table(self, url: str, name: str, type_: type[T]) -> dict[str, T] | None:
        rows: dict[str, T] = {}
        cursor: str | None = ""
        while cursor is not None:
            behind = f"&cursor={quote(cursor, safe='')}" if cursor else ""
            page = await self._get(f"{url}/v1/tables/{name}?limit={PAGE}{behind}")
            if page is None:
                return None
            rows |= {row["key"]: msgspec.convert(row["value"], type_) for row in page["entries"]}
            cursor = page["cursor"]
        return rows

    async def _get(self, url: str) -> Any:
        """None for what is not there, or not yet. Raises Refused."""
        try:
            async with self._session.get(url, timeout=PATIENCE) as answer:
                if answer.status in (404, 503, 504):
                    return None
                if answer.status != 200:
                    raise Refused(f"{url} answers {answer.status}: {(await answer.text())[:300]}")
                return await answer.json()
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
            return None
