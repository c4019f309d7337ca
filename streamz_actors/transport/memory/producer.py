"""Sends to the embedded broker: a record is in its log when `send` returns."""

import asyncio
from collections.abc import Sequence

from streamz_actors.errors import ProduceError
from streamz_actors.transport.abc import Delivery, Producer
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.types import Headers, TopicPartition


class MemoryProducer(Producer):
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._running = False

    async def start(self) -> None:
        self._running = True

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        """The future it returns is done."""
        count = len(keys)
        if count == 0 or not count == len(values) == len(timestamps) == (count if headers is None else len(headers)):
            raise ValueError(f"topic {topic!r}: columns must have one equal length of at least 1")
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        try:
            if not self._running:
                raise ProduceError(f"topic {topic!r}: send by a producer that is not running")
            first = self._broker.append(TopicPartition(topic, partition), keys, values, timestamps, headers)
        except ProduceError as error:
            future.set_exception(error)
        else:
            future.set_result(Delivery(topic, partition, ((first, count),)))
        return future

    @property
    def pending(self) -> int:
        return 0

    async def flush(self) -> None:
        """Nothing ever waits."""

    async def stop(self) -> None:
        self._running = False
