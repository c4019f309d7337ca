"""Workers of steps_app.py that come and go: each a process with a port of its own, all with one folder of state."""

import asyncio
import json
import signal
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from typing import Any

from streamz_actors.transport.abc import Transport
from tests.integration.kafka_contents import behind, count, table
from tests.integration.load import KEYS
from tests.integration.processes import Child, free_port, worker
from tests.integration.steps_app import PARTITIONS

APP = "tests.integration.steps_app"
TABLES = ("counted", "tallied")

TASKS = 2 * PARTITIONS
"""Of the whole application: those that read the steps, and those that read what is regrouped."""

ENOUGH = 2_500
"""Steps that are to pass before the next worker comes or goes: each change meets work under way."""

CLOSE = 4_000
"""Steps that are not committed where a crew keeps up: those of the last commit interval, and about a second more."""

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


async def look(url: str) -> Any:
    """What a page says; None if it says that it cannot say it now, or nobody is there."""

    def read() -> Any:
        try:
            with DIRECT.open(url, timeout=20) as answer:
                return json.load(answer)
        except (OSError, HTTPException):
            return None

    return await asyncio.to_thread(read)


class Crew:
    def __init__(
        self,
        kafka: Transport,
        kafka_url: str,
        folder: Path,
        processes: ExitStack,
        session_timeout: str,
        **settings: str,
    ) -> None:
        """`settings` are of the workers' environment."""
        self._kafka, self._url, self._folder, self._processes = kafka, kafka_url, folder, processes
        self._settings = settings
        self._session_timeout = session_timeout
        self._all: list[Child] = []
        self.at_work: dict[str, Child] = {}
        """By their URLs: those that have been started and not been ended."""

    def start(self, url: str | None = None) -> str:
        """The URL of its web server, which does not listen yet: a new one, or the one of a worker that is no more."""
        url = url or f"http://127.0.0.1:{free_port()}"
        settings = {
            "STREAMZ_WEB_ENABLED": "true",
            "STREAMZ_WEB_PORT": url.rpartition(":")[2],
            "STREAMZ_SESSION_TIMEOUT": self._session_timeout,
            **self._settings,
        }
        child = self._processes.enter_context(
            worker(APP, self._url, self._folder, f"worker-{len(self._all)}", **settings)
        )
        self._all.append(child)
        self.at_work[url] = child
        return url

    async def end(self, url: str) -> None:
        """In order: it finishes what it has in hand, commits and leaves."""
        child = self.at_work.pop(url)
        child.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait) == 0, child.said()

    def kill(self, url: str) -> None:
        child = self.at_work.pop(url)
        child.popen.kill()
        child.wait()

    # -- waiting

    async def share_the_work(self) -> None:
        """Until those at work, and nobody else, have all tasks, each its share, and can answer for them."""

        async def shared() -> bool:
            return all([await self._knows_all(url) for url in self.at_work])

        await self._until(shared)

    async def _knows_all(self, url: str) -> bool:
        ready, cluster = await look(f"{url}/readyz"), await look(f"{url}/v1/cluster")
        if ready is None or cluster is None:
            return False
        shares = sorted(len(worker["tasks"]) for worker in cluster["workers"])
        if {worker["address"] for worker in cluster["workers"]} != self.at_work.keys() or sum(shares) != TASKS:
            return False
        assert shares[-1] - shares[0] <= 1, cluster
        return True

    async def know_every_key(self) -> None:
        """Until every table holds every key, for good: no answer may say from then on that one is not there."""

        async def known() -> bool:
            held = [await table(self._kafka, f"stepping-{name}-changelog") for name in TABLES]
            return all(len(rows) == len(KEYS) for rows in held)

        await self._until(known)

    async def work_on(self) -> None:
        """Until ENOUGH more steps have passed, and they keep up with the load.

        A worker hands its work over at once or not at all: what actors have got and can't work off in half a second
        is done again by its new owner, and counted again.
        """
        before = await count(self._kafka, "passed")

        async def passed() -> bool:
            return await count(self._kafka, "passed") >= before + ENOUGH and await self._behind() < CLOSE

        await self._until(passed)

    async def do_all(self) -> None:
        """Until every step is done and committed."""

        async def done() -> bool:
            return not await self._behind()

        await self._until(done)

    async def _behind(self) -> int:
        return await behind(self._kafka, "stepping", ["steps"])

    async def _until(self, true: Callable[[], Awaitable[bool]]) -> None:
        """Fails with what all have said when one of them ends or the time is up."""
        try:
            async with asyncio.timeout(60):
                while not await true():
                    assert all(child.popen.poll() is None for child in self.at_work.values()), self.said()
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"it has not come to that within a minute:\n{self.said()}") from None

    def said(self) -> str:
        return "\n\n".join(f"{child.output.name}:\n{child.said()}" for child in self._all)
