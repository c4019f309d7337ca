"""A client for tests: asks a server under test and keeps what it says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession


@dataclass(frozen=True)
class Answer:
    status: int
    type: str
    text: str
    headers: dict[str, str]
    json: Any
    """None where the body is no JSON."""


class Client:
    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any) -> Answer:
        return await self.ask("POST", path, json=body)

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        async with self._session.request(method, path, allow_redirects=False, **options) as response:
            text = await response.text()
            said = await response.json(content_type=None) if response.content_type.endswith("json") else None
            return Answer(response.status, response.content_type, text, dict(response.headers), said)


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Client]:
    async with ClientSession(url) as session:
        yield Client(session)
