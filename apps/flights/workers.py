"""Workers as processes beside the demo, on consecutive web ports: started, listened to, ended in order.

They are what `app -A apps.flights worker` runs. Each is in a session of its own, so that Ctrl-C reaches the demo only,
which then asks all of them to end, and waits.
"""

import asyncio
import re
import shlex
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

SESSION_TIMEOUT = 6
"""Seconds until the others take over from a worker that was killed: the shortest that Kafka allows by default."""

LONGEST = 1 << 20
"""Bytes in a line that a worker says, at the most."""

CLIENT = re.compile(r" aiokafka\.")
"""Lines that are not shown: the client calls each retry in a rebalance an error."""


class WorkersFailed(Exception):
    """No worker is left, or one did not start. The message says which and how it ended."""


@dataclass(frozen=True, slots=True)
class One:
    """A worker that has been started."""

    number: int
    url: str
    process: Process

    @property
    def runs(self) -> bool:
        return self.process.returncode is None


class Workers:
    """An async context: `count` of them run when the block begins, none when it has ended. `say` is given lines."""

    def __init__(self, broker: str, count: int, first_port: int, say: Callable[[str], None]) -> None:
        self._broker, self._count, self._first_port, self._say = broker, count, first_port, say
        self.all: list[One] = []
        self._attended: list[asyncio.Task[None]] = []
        self._ending = False

    async def __aenter__(self) -> "Workers":
        try:
            for number in range(1, self._count + 1):
                await self._start(number)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._end()

    @property
    def urls(self) -> list[str]:
        """Of those that run."""
        return [worker.url for worker in self.all if worker.runs]

    def check(self, *, whole: bool = False) -> None:
        """Raises WorkersFailed if no worker runs any more; with `whole`, if one of them does not."""
        ended = [worker for worker in self.all if not worker.runs]
        if ended and (whole or len(ended) == len(self.all)):
            raise WorkersFailed(
                "; ".join(f"worker {worker.number} {ending(worker.process.returncode)}" for worker in ended)
            )

    def command(self, number: int) -> list[str]:
        """What runs a worker, without the interpreter."""
        return [
            *("-m", "streamz_actors", "-A", "apps.flights", "worker", "--broker", self._broker),
            *("--web-port", str(self._first_port + number - 1), "--session-timeout", str(SESSION_TIMEOUT)),
        ]

    def kill(self) -> None:
        """Ends all at once, without waiting."""
        for worker in self.all:
            with suppress(ProcessLookupError):
                worker.process.kill()

    async def _start(self, number: int) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.command(number),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
            limit=LONGEST,
        )
        worker = One(number, f"http://127.0.0.1:{self._first_port + number - 1}", process)
        self.all.append(worker)
        self._attended.append(asyncio.create_task(self._attend(worker), name=f"worker {number}"))

    async def _attend(self, worker: One) -> None:
        """Passes on what it says, and tells of its end."""
        output = worker.process.stdout
        assert output is not None
        async for raw in output:
            line = raw.decode(errors="replace").rstrip()
            if CLIENT.search(line) is None:
                self._say(f"[{worker.number}] {line}")
        code = await worker.process.wait()
        self._say(f"[{worker.number}] pid {worker.process.pid} {ending(code)}")
        if not self._ending:
            again = shlex.join([sys.executable, *self.command(worker.number)])
            self._say(f"[{worker.number}] the others take over what it had; to start it again: {again}")

    async def _end(self) -> None:
        self._ending = True
        for worker in self.all:
            with suppress(ProcessLookupError):
                worker.process.terminate()
        await asyncio.gather(*self._attended)


def ending(code: int | None) -> str:
    """How a process that has this return code came to its end."""
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
