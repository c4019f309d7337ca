"""A steady load of steps (see steps_app.py): in each round every key takes one more, all with the same number."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamz_actors.transport.abc import Producer, Transport
from streamz_actors.types import partition_of
from tests.integration.steps_app import PARTITIONS

KEYS = tuple(f"walker-{number}" for number in range(160))
PAUSE = 0.03
"""Seconds between two rounds: some three thousand records a second, which a machine of two cores can handle beside
Kafka and three workers. Nothing is asserted of it."""

BEGINNING = 1_700_000_000_000


def home(key: str) -> int:
    """The partition of a key."""
    return partition_of(key.encode(), PARTITIONS)


class Load:
    """`begun` counts the rounds that are at least partly with Kafka, `rounds` those that are so wholly."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._keys: dict[int, list[bytes | None]] = defaultdict(list)
        for key in KEYS:
            self._keys[home(key)].append(key.encode())
        self.begun = self.rounds = 0
        self._over = False

    async def send(self) -> None:
        """Until it is told to finish; the last round is sent whole."""
        while not self._over:
            self.begun += 1
            await self._round(self.rounds)
            self.rounds += 1
            await asyncio.sleep(PAUSE)

    def finish(self) -> None:
        self._over = True

    async def _round(self, number: int) -> None:
        value, timestamp = str(number).encode(), BEGINNING + number
        sent = [
            self._producer.send("steps", partition, list(keys), [value] * len(keys), [timestamp] * len(keys))
            for partition, keys in self._keys.items()
        ]
        await asyncio.gather(*sent)


@asynccontextmanager
async def steady_load(kafka: Transport) -> AsyncIterator[Load]:
    """Goes on while the block runs."""
    producer = kafka.producer("load")
    await producer.start()
    load = Load(producer)
    sending = asyncio.create_task(load.send())
    try:
        yield load
        load.finish()
        await sending
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await producer.stop()
