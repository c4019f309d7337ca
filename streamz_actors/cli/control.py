"""How the supervisor and one of its processes talk: a pair of sockets, one JSON object a line.

    process → supervisor   {"started": true}      it runs our code: from here on it is asked to stop, not made to
                           {"loaded": true}       the application is imported, its settings are good; a held one waits
                           {"address": "http…"}   where it answers its siblings; "" without a web server
                           {"place": {…}}         its place in the group, at each assignment: see Place; null: it left
                           {"ready": true}        for the first time
                           {"done": true}         all that it had is closed, and open to the next one
                           {"error": "…"}         why it is about to fail
    supervisor → process   {"siblings": {"1": "http…", "2": ""}}   all processes; "" is one that is not up
                           {"go": true}           to a held one: the process that it replaces has ended
                           {"stop": true}

The end of the line is an order as well: a process whose supervisor has gone stops. The two may be of different
releases, for a supervisor outlives the processes that it replaces: what one does not know it leaves aside.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

VARIABLE: Final = "_STREAMZ_PROCESS"
"""Not one of the settings: those begin with STREAMZ_."""

PATIENCE: Final = 1.0
"""Seconds that a message may take: the supervisor reads at once, or is stopped or gone."""

LONGEST: Final = 8_000
"""Characters of an error that are passed on."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What a process is given at its start: which of how many it is, and open file descriptors."""

    number: int
    count: int
    control: int
    listeners: tuple[int, ...] = ()
    port: int | None = None
    """Of the listeners; None without a web server."""
    own_port: int = 0
    """That it had beside it in its last life; 0 if it had none."""
    held: bool = False
    """It loads the application, and begins only when it is told to: another one still has its place."""

    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    @staticmethod
    def taken() -> "Seat | None":
        """This process's own, if a supervisor has started it. The processes that it starts itself have none."""
        text = os.environ.pop(VARIABLE, None)
        if text is None:
            return None
        known = {field.name for field in fields(Seat)}
        given = {name: value for name, value in json.loads(text).items() if name in known}
        return Seat(**given | {"listeners": tuple(given["listeners"])})


@dataclass(frozen=True, slots=True)
class Place:
    """What others need to know of a process to take over what it had, should it die."""

    group: str
    member: str
    """The id that the group has given it."""
    instance: str | None = None
    """Of a static member."""
    transactional: str | None = None
    """The transactional id of its producer, if it has one."""

    @staticmethod
    def of(told: Mapping[str, Any]) -> "Place":
        return Place(told["group"], told["member"], told.get("instance"), told.get("transactional"))


def inherited(descriptor: int) -> socket.socket:
    """A socket that the supervisor has opened; it goes no further than to this process."""
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


class Control:
    """The end of the process. Telling works before, beside and after its event loop."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.settimeout(PATIENCE)

    def tell(self, **message: Any) -> bool:
        """Whether the supervisor is there to hear it."""
        try:
            self._sock.sendall(_line(message))
        except OSError:
            return False
        return True

    def fail(self, error: str) -> bool:
        """Like `tell`, for the last words."""
        return self.tell(error=error[:LONGEST])

    def close(self) -> None:
        self._sock.close()

    async def orders(self) -> AsyncIterator[dict[str, Any]]:
        """What the supervisor says, until it goes."""
        reader, writer = await asyncio.open_connection(sock=self._sock.dup())
        try:
            async for message in messages(reader):
                yield message
        finally:
            writer.close()


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Until the other end closes. A line that was cut off by its end is none."""
    try:
        async for line in reader:
            if line.endswith(b"\n"):
                yield json.loads(line)
    except ConnectionError:
        return


def send(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    """To the process, in its turn; to one that has gone, nothing."""
    if not writer.is_closing():
        writer.write(_line(message))


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
