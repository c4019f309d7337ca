"""The way to another worker: what is asked of it travels over kept connections, together where it can.

Nothing here raises for a worker that cannot be reached or does not know: that is an answer, too, with the reason `why`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import (
    ClientError,
    ClientOSError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)

from streamz_actors.assignment.wire import Host
from streamz_actors.errors import NotReady, SerdeError
from streamz_actors.query.wire import (
    ANSWERS,
    ASKS,
    CONTENT_TYPE,
    ENTRIES_PATH,
    PAGE,
    SCAN,
    TIME_LEFT,
    VALUES_PATH,
    Ask,
    Asks,
    Page,
    Scan,
    Values,
)
from streamz_actors.serde.schema import Schema

CONNECT: Final = 1.0
"""Seconds that a connection may take: a machine that is gone does not use up the time of the question."""

TOGETHER: Final = 1_000
"""Keys in one request at the most: it holds the loop of whoever answers for a few ms."""

Said = tuple[str, Values]
"""The name of the worker that answers, and what it says."""


class Router:
    """Deadlines are moments of the event loop's clock. Nothing is retried but what a kept connection lost."""

    def __init__(self, app: str, credentials: Mapping[str, str]) -> None:
        """`credentials` are headers that all workers of the application want to see."""
        self._app, self._credentials = app, credentials
        self._session: ClientSession | None = None
        self._lanes: dict[Host, _Lane] = {}

    async def values(self, host: Host, ask: Ask, deadline: float) -> Said:
        """Waits no longer than the question lives; whoever asks gives up at its deadline."""
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = _Lane(
                lambda asks, until: self._values(host, asks, until), lambda: self._lanes.pop(host, None)
            )
        return await lane.put(ask, deadline)

    async def page(self, host: Host, scan: Scan, deadline: float) -> Page:
        try:
            return await self._post(host, ENTRIES_PATH, SCAN, scan, PAGE, deadline)  # type: ignore[no-any-return]
        except NotReady as error:
            return Page(host.worker, why=str(error), wait=error.retry_after)

    async def close(self) -> None:
        """Ends what is under way. Safe to call twice."""
        for lane in list(self._lanes.values()):
            await lane.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _values(self, host: Host, asks: list[Ask], deadline: float) -> list[Said]:
        try:
            answers = await self._post(host, VALUES_PATH, ASKS, Asks(self._app, asks), ANSWERS, deadline)
        except NotReady as error:
            return [(host.worker, Values(why=str(error), wait=error.retry_after))] * len(asks)
        fits = [len(values.held) in (0, len(ask.keys)) for ask, values in zip(asks, answers.values, strict=False)]
        if len(answers.values) != len(asks) or not all(fits):
            return [(host.worker, Values(why=f"worker {host.worker} answers something else"))] * len(asks)
        return [(answers.worker, values) for values in answers.values]

    async def _post(
        self, host: Host, path: str, asking: Schema[Any], question: Any, answering: Schema[Any], deadline: float
    ) -> Any:
        """The decoded answer. Raises NotReady where there is none."""
        who = f"worker {host.worker} at {host.address}"
        body = asking.encode(question)
        try:
            async with asyncio.timeout_at(deadline):
                status, said = await self._exchanged(f"{host.address}{path}", body, deadline)
        except TimeoutError as error:
            raise NotReady(f"{who} did not answer in time") from error
        except (ClientError, OSError) as error:
            raise NotReady(f"{who} does not answer: {str(error) or type(error).__name__}") from error
        if status != 200:
            raise NotReady(f"{who} does not say: it answers {status}")
        try:
            return answering.decode(said)
        except SerdeError as error:
            raise NotReady(f"{who} says what cannot be understood: {error}") from error

    async def _exchanged(self, url: str, body: bytes | None, deadline: float) -> tuple[int, bytes]:
        try:
            return await self._once(url, body, deadline)
        except (ServerDisconnectedError, ClientOSError):
            # A connection that was kept, and ended by the other side meanwhile. Asking changes nothing: once more.
            return await self._once(url, body, deadline)

    async def _once(self, url: str, body: bytes | None, deadline: float) -> tuple[int, bytes]:
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        headers = {TIME_LEFT: str(round(left * 1000)), "Content-Type": CONTENT_TYPE}
        async with self._client().post(url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, await response.read()

    def _client(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=0),
                cookie_jar=DummyCookieJar(),
                headers=self._credentials,
                timeout=ClientTimeout(total=None, sock_connect=CONNECT),
            )
        return self._session


class _Waiter:
    """A question, and whoever waits for its answer."""

    __slots__ = ("ask", "deadline", "future")

    def __init__(self, ask: Ask, deadline: float) -> None:
        self.ask, self.deadline = ask, deadline
        self.future: asyncio.Future[Said] = asyncio.get_running_loop().create_future()

    def settle(self, said: Said) -> None:
        if not self.future.done():
            self.future.set_result(said)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Lane:
    """Questions to one worker: those of one turn of the loop travel together; so do those that come while others are
    under way, as the next request. `ended` is called when there are none left; a lane is not used again."""

    def __init__(
        self, send: Callable[[list[Ask], float], Awaitable[list[Said]]], ended: Callable[[], object]
    ) -> None:
        self._send, self._ended = send, ended
        self._waiting: deque[_Waiter] = deque()
        self._work = asyncio.create_task(self._send_all(), name="questions to a worker")

    def put(self, ask: Ask, deadline: float) -> "asyncio.Future[Said]":
        waiter = _Waiter(ask, deadline)
        self._waiting.append(waiter)
        return waiter.future

    async def _send_all(self) -> None:
        try:
            while batch := self._batch():
                await self._answer(batch)
        finally:
            self._ended()

    async def _answer(self, batch: list[_Waiter]) -> None:
        try:
            said = await self._send([waiter.ask for waiter in batch], max(waiter.deadline for waiter in batch))
            for waiter, one in zip(batch, said, strict=True):
                waiter.settle(one)
        except Exception as error:  # nobody foresaw it: whoever asked is told
            for waiter in batch:
                waiter.fail(error)
        finally:
            for waiter in batch:
                waiter.future.cancel()  # those without an answer: the end of this worker

    def _batch(self) -> list[_Waiter]:
        """The next questions that somebody still waits for."""
        batch: list[_Waiter] = []
        keys = 0
        while self._waiting:
            keys += len(self._waiting[0].ask.keys)
            if batch and keys > TOGETHER:
                break
            waiter = self._waiting.popleft()
            if not waiter.future.done():
                batch.append(waiter)
        return batch

    async def close(self) -> None:
        for waiter in self._waiting:
            waiter.future.cancel()
        self._waiting.clear()
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
