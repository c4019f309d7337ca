"""Questions that go on while workers come and go, and what may never be the answer to one."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiohttp

NOBODY = "nobody"
"""A key that no table holds."""

PAUSE = 0.01
"""Seconds between two questions of one asker: they share two cores with the workers that they ask."""

ASKERS = 3


class Asking:
    """Asks any of `doors`, the URLs of workers, for keys that the tables are known to hold.

    What is wrong, whatever happens to the workers: any status but 200, 404 and 503; 404 for a key that is there; 503
    that does not say when to come again; a value above `most`; and no answer at all from a worker that is `firm`.
    """

    def __init__(self, tables: Sequence[str], keys: Sequence[str], most: Callable[[], float]) -> None:
        self._tables, self._keys, self._most = tables, keys, most
        self.doors: list[str] = []
        self.firm: set[str] = set()
        """Those of them that are neither starting nor ending."""
        self.answers: Counter[tuple[str, int]] = Counter()
        """How often each door gave each status."""
        self.wrong: list[str] = []
        self._random = random.Random(5)

    async def go_on(self, session: aiohttp.ClientSession) -> None:
        while True:
            door, table = self._random.choice(self.doors), self._random.choice(self._tables)
            key = NOBODY if self._random.random() < 0.1 else self._random.choice(self._keys)
            stale = "?stale=true" if self._random.random() < 0.5 else ""
            url = f"{door}/v1/tables/{table}/{key}{stale}"
            try:
                async with session.get(url) as answer:
                    self.answers[door, answer.status] += 1
                    problem = await self._problem(key, answer)
            except aiohttp.ClientError as error:
                problem = f"{error!r}" if door in self.firm else None
            if problem is not None:
                self.wrong.append(f"{url}: {problem}")
            await asyncio.sleep(PAUSE)

    async def _problem(self, key: str, answer: aiohttp.ClientResponse) -> str | None:
        said = await answer.json(content_type=None)
        if answer.status == 503 and int(answer.headers.get("Retry-After", 0)) > 0:
            return None
        if answer.status == 404 and key == NOBODY:
            return None
        if answer.status == 200 and key != NOBODY and 0 < said["value"] <= self._most():
            return None
        return f"{answer.status} {said}"


@asynccontextmanager
async def questions(asking: Asking) -> AsyncIterator[None]:
    """Go on while the block runs."""
    connector = aiohttp.TCPConnector(force_close=True)  # each meets the worker that is there now, if there is one
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(20)) as session:
        askers = [asyncio.create_task(asking.go_on(session)) for _ in range(ASKERS)]
        try:
            yield
        finally:
            for asker in askers:
                asker.cancel()
            ended = await asyncio.gather(*askers, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
