"""One life of one process: started, listened to, told things, waited for.

    begin ──▶ started ──▶ loaded ──▶ (held: until `release`) ──▶ ready ──▶ done ──▶ ended
"""

import asyncio
import logging
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from streamz_actors.cli.control import Place, Seat, messages, send
from streamz_actors.cli.restarts import End
from streamz_actors.clock import Clock

logger = logging.getLogger("streamz_actors.cli")

LAST_WORDS: Final = 1.0
"""Seconds after its end in which what it said last is still awaited: others may hold its line open."""


class Life:
    """`changed` is called when its address or its readiness has.

    `port` is the one of its own that the process has, or had in its last life; 0 if there is none. `held`: it loads the
    application, and does no more before `release`.
    """

    def __init__(
        self, number: int, port: int, clock: Clock, changed: Callable[[], None], *, held: bool = False
    ) -> None:
        self.number, self.port, self.held, self._clock, self._changed = number, port, held, clock, changed
        self.address = ""
        self.loaded, self.ready, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.place: Place | None = None
        self._ready_at: float | None = None
        self._started = False
        self._stopping = False
        self._sent_away = False
        self._error = ""
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None

    def begin(self, command: Sequence[str], count: int, listeners: Sequence[socket.socket]) -> "asyncio.Task[End]":
        """Starts the process. The task ends when it does, and takes it along if it is cancelled."""
        return asyncio.create_task(self._live(command, count, listeners), name=f"process {self.number}")

    async def _live(self, command: Sequence[str], count: int, listeners: Sequence[socket.socket]) -> End:
        began = self._clock.monotonic()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await self._start(command, count, listeners, theirs)
        except OSError as error:
            ours.close()
            return End(1, self._clock.monotonic() - began, message=f"it cannot be started: {error}")
        try:
            code = await self._attended(self._process, ours)
        finally:
            self.address = ""
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        now = self._clock.monotonic()
        ready_for = 0.0 if self._ready_at is None else now - self._ready_at
        if self._sent_away and code == -signal.SIGTERM:
            code = 0
        return End(code, now - began, ready_for, self._error)

    async def _start(
        self, command: Sequence[str], count: int, listeners: Sequence[socket.socket], control: socket.socket
    ) -> Process:
        """In a session of its own: a signal from the terminal comes to the supervisor only, which passes it on once."""
        descriptors = tuple(sock.fileno() for sock in listeners)
        port = listeners[0].getsockname()[1] if listeners else None
        seat = Seat(self.number, count, control.fileno(), descriptors, port, self.port, self.held)
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            env=os.environ | seat.environment(),
            pass_fds=(control.fileno(), *descriptors),
            start_new_session=True,
        )

    async def _attended(self, process: Process, line: socket.socket) -> int:
        logger.info("process %d is pid %d", self.number, process.pid)
        reader, self._writer = await asyncio.open_connection(sock=line)
        listening = asyncio.create_task(self._listen(reader), name=f"line of process {self.number}")
        try:
            self._changed()
            if self._stopping:
                self.stop()
            code = await process.wait()
            await asyncio.wait((listening,), timeout=LAST_WORDS)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self._writer.close()
        return code

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        async for message in messages(reader):
            self._started = True
            self._error = message.get("error", self._error)
            if "loaded" in message:
                self.loaded.set()
            if "done" in message:
                self.done.set()
            if "place" in message:
                told = message["place"]
                self.place = None if told is None else Place.of(told)
            if "address" in message:
                self.address = message["address"]
                self.port = urlsplit(self.address).port or 0
                self._changed()
            if "ready" in message:
                self._ready_at = self._clock.monotonic()
                self.ready.set()
                self._changed()

    def tell(self, message: Mapping[str, Any]) -> None:
        if self._writer is not None:
            send(self._writer, message)

    def release(self) -> None:
        """Lets one begin that is held and has loaded."""
        self.held = False
        self.tell({"go": True})

    def stop(self) -> None:
        """Asks for the end. One that does not run our code yet, and so has nothing in hand, is sent away."""
        self._stopping = True
        if self._process is None:
            return
        self.tell({"stop": True})
        if not self._started and not self._sent_away:  # a second signal would take its exit code from who waits for it
            self._sent_away = True
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
