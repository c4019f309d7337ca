"""Places for workers: each has a web port, a folder of state and a proxy to every broker; one life after the other."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from subprocess import TimeoutExpired

from tests.chaos.cluster import free_ports
from tests.chaos.proxy import Cut, Proxy
from tests.integration.processes import Child, worker

NOBODY_THERE, JOINED = "error: no Kafka broker answers", "streamz_actors.worker: assigned"
UNCOMMITTED = "error: stopped, but "
"""A worker that is stopped while it is cut off, or while its group rebalances, says what it could not commit."""

STOP_TIMEOUT = 60.0
"""A worker that was asked to end has to have ended by then, whatever happens around it."""


class Place:
    """Worker number `number`, or nobody. `folder` gets the log of each life."""

    def __init__(
        self,
        number: int,
        app: str,
        folder: Path,
        state: Path,
        proxies: list[Proxy],
        settings: Mapping[str, str],
        lives: ExitStack,
    ) -> None:
        self.number, self._app, self._folder, self._lives = number, app, folder, lives
        self._proxies = proxies
        (self.port,) = free_ports(1)
        self._settings = {
            **settings,
            "STREAMZ_DATA_DIR": str(state),
            "STREAMZ_WEB_ENABLED": "true",
            "STREAMZ_WEB_PORT": str(self.port),
        }
        self._child: Child | None = None
        self._life = 0

    @property
    def taken(self) -> bool:
        """Whether a worker is here that is not meant to have ended."""
        return self._child is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.popen.pid

    def start(self) -> None:
        self._life += 1
        servers = ",".join(f"127.0.0.1:{proxy.port}" for proxy in self._proxies)
        name = f"worker-{self.number}-life-{self._life}"
        self._child = self._lives.enter_context(
            worker(self._app, f"kafka://{servers}", self._folder, name, **self._settings)
        )

    def kill(self) -> None:
        if self._child is not None:
            self._child.popen.kill()
            self._child.wait()
            self._child = None

    def signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.popen.poll() is None:
            os.kill(self.pid, number)

    async def end(self) -> str | None:
        """In order. What is wrong with how it ended."""
        child, self._child = self._child, None
        if child is None:
            return None
        child.popen.terminate()
        who = f"worker {self.number} ({child.output.name})"
        try:
            code = await asyncio.to_thread(child.wait, STOP_TIMEOUT)
        except TimeoutExpired:
            child.popen.send_signal(signal.SIGABRT)
            return f"{who} did not end within {STOP_TIMEOUT:.0f} s of SIGTERM"
        if code == 0 or (code == -signal.SIGTERM and not child.said()):  # the latter had not begun to be a worker
            return None
        if code == 1 and UNCOMMITTED in child.said():
            return None
        return f"{who} was asked to end, and did with code {code}"

    def died(self) -> str | None:
        """What it said, if it has ended by itself; the place is then free.

        One that has found no broker when it began has to be started again: that is as it should be.
        """
        child = self._child
        if child is None or child.popen.poll() is None:
            return None
        self._child = None
        if NOBODY_THERE in child.said() and JOINED not in child.said():
            self.start()
            return None
        last = "\n    ".join(child.said().splitlines()[-12:])
        return f"worker {self.number} ({child.output.name}) ended by itself with {child.popen.returncode}:\n    {last}"

    def cut(self, how: Cut) -> None:
        for proxy in self._proxies:
            proxy.cut(how)
