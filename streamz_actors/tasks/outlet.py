"""What one task sends. Under exactly-once it is kept back while it is not certain that the task is this worker's.

open ──freeze──▶ frozen: what is sent waits ──resume──▶ open
  └──────────────────────close─────────────────────▶ closed: it is dropped

A yield waits in its outbox already. Here it is for what a handler sends by itself, for dead letters and replies: a
handler goes on while its group rebalances, and a little longer than its task.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from streamz_actors.dataflow.context import Collector, Refused
from streamz_actors.errors import ProduceError
from streamz_actors.types import Headers, RecordMetadata


class Outlet(Collector):
    """`keeps`: whether anything is kept back or dropped."""

    def __init__(self, collector: Collector, *, keeps: bool) -> None:
        self._collector, self._keeps = collector, keeps
        self._kept: list[Callable[[], None]] | None = None
        """What was sent while frozen; None while open."""
        self._closed = False
        self._waiters: list[asyncio.Future[RecordMetadata]] = []

    def partitions(self, topic: str) -> int:
        return self._collector.partitions(topic)

    def add(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
        refused: Refused | None = None,
    ) -> None:
        if self._kept is None:
            self._collector.add(topic, keys, values, timestamps, headers, refused)
        elif not self._closed:
            self._kept.append(partial(self._collector.add, topic, keys, values, timestamps, headers, refused))

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers = (),
        partition: int | None = None,
        refused: Refused | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        if self._kept is None:
            return self._collector.send(topic, key, value, timestamp, headers, partition, refused)
        waiter: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        if self._closed:
            waiter.cancel()
            return waiter
        self._waiters.append(waiter)

        def send() -> None:
            try:
                sent = self._collector.send(topic, key, value, timestamp, headers, partition, refused)
            except ProduceError as error:
                waiter.set_exception(error)
            else:
                sent.add_done_callback(partial(_pass_on, waiter))

        self._kept.append(send)
        return waiter

    def freeze(self) -> None:
        if self._keeps and self._kept is None:
            self._kept = []

    def resume(self) -> None:
        kept, self._kept, self._waiters = self._kept or (), None, []
        for send in kept:
            send()

    def close(self) -> None:
        """Whoever waits for a delivery is cancelled."""
        if self._keeps:
            self._kept, self._closed = [], True
        for waiter in self._waiters:
            waiter.cancel()


def _pass_on(waiter: "asyncio.Future[RecordMetadata]", sent: "asyncio.Future[RecordMetadata]") -> None:
    if waiter.done():
        return
    if sent.cancelled():
        waiter.cancel()
    elif (error := sent.exception()) is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(sent.result())
