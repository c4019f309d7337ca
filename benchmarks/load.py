"""The instrument of W7: keep-alive connections that each ask for one row after another, and check every answer.

Raw sockets, no pipelining: a connection asks again when it has its answer. It costs a fraction of what a server does.
"""

import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import uvloop

from benchmarks.accounts import Account
from benchmarks.instruments import MEASURED, MEASURING, milliseconds
from benchmarks.settings import PARTITIONS
from streamz_actors.types import partition_of

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Value(msgspec.Struct):
    account: str
    name: str
    tier: str
    country: str
    since: int
    limit: float


class Answer(msgspec.Struct):
    """Contenders may say more than this."""

    key: str
    value: Value


decode = msgspec.json.Decoder(Answer).decode


class Load:
    """`keys` are asked for at random, on each connection, until `count` answers are there or `seconds` are over."""

    def __init__(self, host: str, path: str, keys: Sequence[bytes], truth: dict[str, Value]) -> None:
        request = b"GET %s%%s HTTP/1.1\r\nHost: %s\r\n\r\n" % (path.encode(), host.encode())
        self._requests = [request % key for key in keys]
        self._draw = random.Random(len(keys))
        self._truth = truth
        self._left = 0
        self._waiting = 0
        self._over: asyncio.Event = asyncio.Event()
        self._deadline = 0.0
        self.took: list[float] = []
        """Seconds, of each answer."""
        self.problem: str | None = None

    async def run(self, connections: Sequence["Connection"], count: int, seconds: float) -> float:
        """Returns how long it took. Raises SystemExit for a wrong answer."""
        self.took, self._left, self._waiting = [], count, len(connections)
        self._over.clear()
        began = time.perf_counter()
        self._deadline = began + seconds
        for connection in connections:
            connection.ask()
        await self._over.wait()
        if self.problem is not None:
            raise SystemExit(self.problem)
        return time.perf_counter() - began

    def next(self) -> bytes | None:
        """The next request; None when it is over, for this connection."""
        if self._left > 0 and self.problem is None and time.perf_counter() < self._deadline:
            self._left -= 1
            return self._requests[int(self._draw.random() * len(self._requests))]
        self._waiting -= 1
        if not self._waiting:
            self._over.set()
        return None

    def answered(self, head: bytes, body: bytes, asked: bytes, seconds: float) -> None:
        self.took.append(seconds)
        if not head.startswith(b"HTTP/1.1 200"):
            self.fail(f"{head.splitlines()[0]!r} {body[:300]!r} to {asked.splitlines()[0]!r}")
            return
        answer = decode(body)
        if not asked.split(b" ", 2)[1].endswith(answer.key.encode()) or self._truth[answer.key] != answer.value:
            self.fail(f"a wrong answer to {asked.splitlines()[0]!r}: {body!r}")

    def fail(self, problem: str) -> None:
        self.problem = problem
        self._over.set()


class Connection(asyncio.Protocol):
    """One request at a time; answers must say their length."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._asked = b""
        self._at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        request = self._load.next()
        if request is not None and self._transport is not None:
            self._asked, self._at = request, time.perf_counter()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data
        end = buffer.find(HEAD_END)
        if end < 0:
            return
        head, start = buffer[:end], end + len(HEAD_END)
        size = length(head)
        if size is None:
            self._load.fail(f"an answer without a length: {head!r}")
        elif len(buffer) >= start + size:
            self._buffer = buffer[start + size :]
            self._load.answered(head, buffer[start : start + size], self._asked, time.perf_counter() - self._at)
            self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.fail(f"the server has closed a connection: {error}")


def length(head: bytes) -> int | None:
    lower = head.lower()
    at = lower.find(LENGTH)
    return None if at < 0 else int(lower[at + len(LENGTH) :].split(b"\r\n", 1)[0])


async def measure(asked: dict[str, Any]) -> dict[str, float]:
    wanted = set(asked["partitions"])
    accounts = [
        account
        for account in map(Account, range(asked["keys"]))
        if partition_of(account.key, PARTITIONS) in wanted
    ]
    read = msgspec.json.Decoder(Value).decode
    truth = {account.key.decode(): read(account.value) for account in accounts}
    load = Load(asked["host"], asked["path"], [account.key for account in accounts], truth)
    host, port = asked["host"].split(":")
    connections = []
    for _ in range(asked["connections"]):
        _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(load), host, int(port))
        connections.append(connection)
    await load.run(connections, max(len(connections), asked["requests"] // 5), asked["seconds"] / 5)
    gc.collect()
    gc.freeze()
    print(MEASURING, flush=True)
    seconds = await load.run(connections, asked["requests"], asked["seconds"])
    print(MEASURED, flush=True)
    return {"rate": len(load.took) / seconds, "answers": len(load.took), **milliseconds(load.took)}


def main() -> None:
    found = uvloop.run(measure(json.loads(sys.argv[1])))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
