"""The supervisor: starts processes, starts them again when they end, and ends them in order.

    start ──▶ running ──it ends──▶ pause (0.5 s, doubling to 30 s) ──▶ running …
                 │                    └── stop ──▶ done
                 ├── wrongly called, before any was ever ready ──▶ stop all
                 └── stop: asked, waited for ──▶ done

It knows nothing of what the processes do, and nothing of theirs can break it: no application code runs here.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamz_actors.cli.life import Life
from streamz_actors.cli.restarts import Backoff, End, exit_code, hopeless
from streamz_actors.clock import Clock

logger = logging.getLogger("streamz_actors.cli")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The exit code of all together, and the message that belongs to it where there is one."""

    code: int
    message: str = ""


class Supervisor:
    """Keeps `count` processes of one command running, numbered from 1, which inherit the sockets `listeners`."""

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        listeners: Sequence[socket.socket],
        clock: Clock,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._command, self._count, self._listeners = tuple(command), count, tuple(listeners)
        self._clock, self._backoff = clock, backoff
        self._lives: dict[int, Life] = {}
        self._ends: dict[int, End] = {}
        self._stopping = asyncio.Event()
        self._hopeless: End | None = None
        self._any_ready = False
        self._all_ready = False

    async def run(self) -> Outcome:
        """Returns after `stop`, or an end that is that of all, when every process has ended."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._count + 1):
                group.create_task(self._keep(number), name=f"process {number}")
        if self._hopeless is not None:
            return Outcome(self._hopeless.code, self._hopeless.message)
        return Outcome(exit_code(self._ends.values()))

    def stop(self) -> None:
        """Nothing is started any more, nothing accepted; the processes are asked to end."""
        self._stopping.set()
        for listener in self._listeners:
            listener.close()
        for life in self._lives.values():
            life.stop()

    def kill(self) -> None:
        """Ends every process at once, without waiting. May be called by a signal handler."""
        for life in self._lives.values():
            life.kill()

    async def _keep(self, number: int) -> None:
        backoff, port = self._backoff(), 0
        while not self._stopping.is_set():
            end, port = await self._live(number, port)
            self._ends[number] = end
            if self._stopping.is_set():
                if end.code and self._hopeless is None:  # else they all say the same
                    logger.error("process %d %s", number, end)
                return
            if hopeless(end, any_ready=self._any_ready):
                self._hopeless = end
                self.stop()
                return
            pause = backoff.after(end)
            level = logging.ERROR if end.code else logging.INFO
            logger.log(level, "process %d %s; it is started again in %g s", number, end, pause)
            await self._pause(pause)

    async def _live(self, number: int, port: int) -> tuple[End, int]:
        """How it ended, and the port of its own that it had."""
        life = self._lives[number] = Life(number, port, self._clock, self._changed)
        try:
            return await life.live(self._command, self._count, self._listeners), life.port
        finally:
            del self._lives[number]
            self._changed()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _changed(self) -> None:
        """Something has become known of a process: all are told where all are."""
        lives = {number: self._lives.get(number) for number in range(1, self._count + 1)}
        addresses = {str(number): "" if life is None else life.address for number, life in lives.items()}
        for life in self._lives.values():
            life.tell({"siblings": addresses})
        ready = [life for life in self._lives.values() if life.ready_at is not None]
        self._any_ready = self._any_ready or bool(ready)
        before, self._all_ready = self._all_ready, len(ready) == self._count
        if self._all_ready and not before:
            logger.info("ready: %d processes", self._count)
