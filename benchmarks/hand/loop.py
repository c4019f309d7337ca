"""What the hand-written loops share: clients with the benchmark's settings, batches out, the commit's rhythm."""

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from murmurhash2 import murmurhash2

BROKER = os.environ["BENCH_BROKER"]
INPUT = os.environ["BENCH_INPUT"]
OUTPUT = os.environ["BENCH_OUTPUT"]
GROUP = os.environ["BENCH_GROUP"]
PARTITIONS = int(os.environ["BENCH_PARTITIONS"])
COMMIT_INTERVAL = float(os.environ["BENCH_COMMIT_INTERVAL"])
BATCH_BYTES = int(os.environ["BENCH_BATCH_BYTES"])

Rows = Iterable[tuple[bytes, bytes, int]]
"""Key, value and timestamp of what goes out."""


class Output:
    """Sends rows to OUTPUT in as few batches as fit; remembers what is not acknowledged yet."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._builders: list[Any] = [None] * PARTITIONS
        self._sent: list[asyncio.Future[Any]] = []

    async def send(self, rows: Rows, behind: int = 0) -> None:
        """`behind`: bytes at the end of each key that have no part in its partition."""
        builders, end = self._builders, -behind or None
        for key, value, timestamp in rows:
            partition = (murmurhash2(key[:end], 0x9747B28C) & 0x7FFFFFFF) % PARTITIONS
            builder = builders[partition]
            if builder is None:
                builder = builders[partition] = self._producer.create_batch()
            if builder.append(key=key, value=value, timestamp=timestamp) is None:
                await self._close(partition)
                builder = builders[partition] = self._producer.create_batch()
                builder.append(key=key, value=value, timestamp=timestamp)
        for partition in range(PARTITIONS):
            if builders[partition] is not None:
                await self._close(partition)

    async def _close(self, partition: int) -> None:
        builder, self._builders[partition] = self._builders[partition], None
        builder.close()
        self._sent.append(await self._producer.send_batch(builder, OUTPUT, partition=partition))

    async def delivered(self) -> None:
        """Waits for everything sent; raises what was not delivered."""
        sent, self._sent = self._sent, []
        for future in sent:
            await future


Handle = Callable[[list[Any], Output], Awaitable[None]]
BeforeCommit = Callable[[Output], Awaitable[None]]
Prepare = Callable[[], Awaitable[None]]


async def ready() -> None:
    """There is nothing to prepare."""


async def nothing(output: Output) -> None:
    """There is nothing to flush before a commit."""


async def consume(handle: Handle, before_commit: BeforeCommit, prepare: Prepare) -> None:
    """Prepares, then gives `handle` the records of one partition at a time, and commits behind it, for ever."""
    await prepare()
    consumer = AIOKafkaConsumer(
        INPUT,
        bootstrap_servers=BROKER,
        group_id=GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=BROKER, enable_idempotence=True, acks="all", max_batch_size=BATCH_BYTES
    )
    await producer.start()
    await consumer.start()
    output = Output(producer)
    positions: dict[TopicPartition, int] = {}
    due = time.monotonic() + COMMIT_INTERVAL
    gc.collect()
    gc.freeze()
    while True:
        for partition, records in (await consumer.getmany(timeout_ms=100)).items():
            await handle(records, output)
            positions[partition] = records[-1].offset + 1
        if time.monotonic() >= due and positions:
            due = time.monotonic() + COMMIT_INTERVAL
            await before_commit(output)
            await output.delivered()
            await consumer.commit(positions)
            positions = {}


def run(handle: Handle, before_commit: BeforeCommit = nothing, prepare: Prepare = ready) -> None:
    uvloop.run(consume(handle, before_commit, prepare))
