"""Reads given partitions of Kafka from given positions, outside any group: a consumer of its own, without commits."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ForeignPartition

from streamz_actors.clock import Clock
from streamz_actors.errors import TransportError
from streamz_actors.transport.abc import RawBatch, Reader
from streamz_actors.transport.kafka.client import no_auto_creation
from streamz_actors.transport.kafka.connection import Profile, probe
from streamz_actors.transport.kafka.consumer import START_TIMEOUT, close
from streamz_actors.transport.kafka.errors import FOREIGN, translate
from streamz_actors.transport.kafka.fetching import Buffer, next_batches
from streamz_actors.types import TopicPartition

FETCH_WAIT_MS = 50
"""A new assignment takes effect when the broker has answered the request under way."""


class KafkaReader(Reader):
    def __init__(self, profile: Profile, client_id: str, clock: Clock, read_committed: bool = False) -> None:
        self._profile = profile
        self._client_id = client_id
        self._clock = clock
        self._isolation = {"isolation_level": "read_committed"} if read_committed else {}
        self._consumer: Any = None
        self._buffer: Buffer | None = None

    async def start(self) -> None:
        await probe(self._profile, self._client_id)
        consumer = AIOKafkaConsumer(
            **{
                "fetch_max_wait_ms": FETCH_WAIT_MS,
                **self._profile.shared,
                **self._profile.consumer,
                **self._isolation,
            },
            bootstrap_servers=list(self._profile.servers),
            client_id=self._client_id,
            auto_offset_reset="none",
            enable_auto_commit=False,
        )
        no_auto_creation(consumer._client)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await consumer.start()
        except FOREIGN as error:
            await close(consumer)
            raise translate(error, f"starting a reader at {self._profile.address}") from error
        self._consumer, self._buffer = consumer, Buffer(consumer)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        buffer = self._running()
        self._consumer.assign([ForeignPartition(*partition) for partition in positions])
        buffer.assign(positions)
        for partition, offset in positions.items():
            buffer.seek(partition, offset)
        buffer.wake()

    async def poll(self, timeout: float) -> list[RawBatch]:
        buffer = self._running()
        await asyncio.sleep(0)  # polls that always find something must not keep the loop to themselves
        try:
            fetching = self._consumer._fetcher.error_future
            if fetching.done():
                fetching.result()
            return await next_batches(buffer, timeout, self._clock)
        except FOREIGN as error:
            raise translate(error, "reading") from error

    def position(self, partition: TopicPartition) -> int:
        position = self._running().position(partition)
        if position is None:
            raise TransportError(f"{partition} is not assigned to this reader")
        return position

    def _running(self) -> Buffer:
        if self._buffer is None:
            raise TransportError("this reader is not running")
        return self._buffer

    async def stop(self) -> None:
        buffer, self._buffer = self._buffer, None
        if buffer is None:
            return
        buffer.wake()
        await close(self._consumer)
