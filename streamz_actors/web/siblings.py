"""The processes that share one web port: what one of them knows of the others, and how it asks them.

    shared port   inherited, listening, accepted from by every process: answers for all
    private port  each process's own, which it advertises: answers for itself only, so no question goes round
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from streamz_actors.errors import ConfigError
from streamz_actors.web import listening

DEADLINE: Final = 3.0
"""Seconds that a sibling gets to answer: a bit more than it gives the broker for its own answer."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a process answers for itself."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Silent:
    """Why there is no answer. `absent`: it is known not to be up; else it is up and does not answer."""

    reason: str
    absent: bool


Part = Said | Silent


class Siblings:
    """The others, as process `number` of `count` knows them. They are numbered from 1.

    Whoever starts the process gives it the shared sockets, and `addresses`, the others' by number, as often as they
    change; "" stands for one that is not up. `port` is the one of its own that it had in an earlier life, or 0.
    """

    def __init__(self, number: int, count: int, listeners: Sequence[socket.socket], port: int = 0) -> None:
        self.number, self._listeners, self._port = number, tuple(listeners), port
        self._ports = {sock.getsockname()[1] for sock in listeners}
        self.addresses: Mapping[int, str] = dict.fromkeys(range(1, count + 1), "")
        self.own = ""
        """Where this process answers for itself, as the others reach it; "" before it does."""
        self._sites: list[web.SockSite] = []
        self._session: ClientSession | None = None

    # -- the ports

    def listen(self, host: str) -> list[socket.socket]:
        """On the port that it had before, under which others may still know it, else on a free one."""
        if self._port:
            with suppress(ConfigError):  # somebody else has it by now
                return listening.listen(host, self._port)
        return listening.listen(host, 0)

    async def serve(self, runner: web.AppRunner) -> None:
        """Accepts from the shared port."""
        for sock in self._listeners:
            site = web.SockSite(runner, sock)
            await site.start()
            self._sites.append(site)

    async def stop_accepting(self) -> None:
        """Leaves the shared port to the others; what has been accepted goes on. Safe to call twice."""
        while self._sites:
            await self._sites.pop().stop()

    def is_shared(self, request: web.Request) -> bool:
        """Whether a request came in by the shared port."""
        name = request.get_extra_info("sockname")
        return name is not None and name[1] in self._ports

    # -- asking

    async def ask(self, request: web.Request) -> dict[int, Part]:
        """What each of the others answers to the same question, at once and within the deadline. Never raises."""
        others = {number: address for number, address in self.addresses.items() if number != self.number}
        # What the asker may know it may know of all: the siblings want to see the same permission.
        headers = {name: value for name, value in request.headers.items() if name == "Authorization"}
        parts = await asyncio.gather(*(self._ask(address, request.path, headers) for address in others.values()))
        return dict(zip(others, parts, strict=True))

    async def _ask(self, address: str, path: str, headers: Mapping[str, str]) -> Part:
        if not address:
            return Silent("is not up: it is starting, or about to be started again", absent=True)
        try:
            async with self._client().get(f"{address}{path}", headers=headers) as answer:
                return Said(answer.status, await answer.read())
        except TimeoutError:
            return Silent(f"does not answer within {DEADLINE:g} s", absent=False)
        except (ClientError, OSError) as error:
            return Silent(f"does not answer: {error}", absent=False)

    def _client(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=DEADLINE))
        return self._session

    async def close(self) -> None:
        """Safe to call twice."""
        await self.stop_accepting()
        session, self._session = self._session, None
        if session is not None:
            await session.close()
