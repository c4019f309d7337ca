"""Reads given partitions of the embedded broker from given positions, outside any group."""

import asyncio
from collections.abc import Mapping

from streamz_actors.errors import OffsetOutOfRange, TransportError
from streamz_actors.transport.abc import RawBatch, Reader
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.fetch import Alarm, Fetcher
from streamz_actors.transport.memory.log import PartitionLog
from streamz_actors.types import TopicPartition


class MemoryReader(Reader):
    def __init__(self, broker: MemoryBroker, read_committed: bool = False) -> None:
        self._broker = broker
        self._fetcher = Fetcher(broker, _refuse, read_committed)
        self._running = False

    async def start(self) -> None:
        self._running = True

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._fetcher.assign(positions)

    async def poll(self, timeout: float) -> list[RawBatch]:
        if not self._running:
            raise TransportError("poll of a reader that is not running")
        await asyncio.sleep(0)  # polls that always find something must not keep the loop to themselves
        alarm = Alarm(self._broker.clock, timeout, self._fetcher.wake)
        try:
            while self._running:
                self._fetcher.rest()
                batches = self._fetcher.collect()
                if batches or alarm.rang:
                    return batches
                await self._fetcher.wait()
        finally:
            alarm.cancel()
        return []

    def position(self, partition: TopicPartition) -> int:
        return self._fetcher.position(partition)

    async def stop(self) -> None:
        self._running = False
        self._fetcher.close()


def _refuse(log: PartitionLog, error: OffsetOutOfRange) -> int:
    raise error
