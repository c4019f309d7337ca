"""The instrument of W5: sends orders at a steady rate, and waits for each on the other side of the application.

Send and arrival are read from one clock, in one process, with a producer and a raw reader of its own. An order is sent
when its time has come, whatever became of those before it, and counts from the call that sends it.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import uvloop

from benchmarks.instruments import MEASURED, MEASURING, milliseconds
from benchmarks.orders import Dataset, Order
from benchmarks.settings import PARTITIONS
from streamz_actors.clock import SystemClock
from streamz_actors.transport.abc import Delivery, Producer, Reader
from streamz_actors.transport.select import make_transport
from streamz_actors.types import TopicPartition, partition_of

TICK = 0.001
"""Seconds between two looks at what is due: a loop's timers know no less."""
FIRST = 60.0
"""Seconds that the application gets to answer the first order: it is starting."""
LAST = 15.0
"""Seconds that it gets for what is missing at the end."""


class Number(msgspec.Struct):
    id: int


decode = msgspec.json.Decoder(Number).decode


class Arrivals:
    """The moment at which each order came back, by its number."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.at: dict[int, float] = {}
        self.twice: set[int] = set()

    async def follow(self) -> None:
        while True:
            batches = await self._reader.poll(1.0)
            now = time.perf_counter()
            for batch in batches:
                for value in batch.values:
                    number = decode(value or b"null").id
                    if self.at.setdefault(number, now) != now:
                        self.twice.add(number)

    async def until(self, count: int, seconds: float) -> None:
        """Raises SystemExit if so many do not come in time."""
        deadline = time.perf_counter() + seconds
        while len(self.at) < count:
            if time.perf_counter() > deadline:
                raise SystemExit(f"{len(self.at)} of {count} orders came back in {seconds:.0f} s")
            await asyncio.sleep(TICK)


class Sender:
    def __init__(self, producer: Producer, topic: str, orders: Iterator[Order]) -> None:
        self._producer, self._topic, self._orders = producer, topic, orders
        self._deliveries: list[asyncio.Future[Delivery]] = []
        self.at: list[float] = []
        """The moment at which each order was sent, by its number."""

    def send(self) -> None:
        order = next(self._orders)
        key = order.key
        self.at.append(time.perf_counter())
        sent = self._producer.send(
            self._topic, partition_of(key, PARTITIONS), [key], [order.value], [int(time.time() * 1000)]
        )
        self._deliveries.append(sent)

    async def pace(self, count: int, rate: float) -> None:
        began = time.perf_counter()
        for number in range(count):
            early = began + number / rate - time.perf_counter()
            if early > 0:
                await asyncio.sleep(max(early, TICK))
            self.send()

    async def delivered(self) -> None:
        await asyncio.gather(*self._deliveries)


async def measure(asked: dict[str, Any]) -> dict[str, float]:
    warm, count, rate = asked["warm"], asked["records"], asked["rate"]
    everything = 1 + warm + count
    async with make_transport(asked["broker"], clock=SystemClock()) as transport:
        producer, reader = transport.producer("benchmarks-probe"), transport.reader(read_committed=True)
        await producer.start()
        await reader.start()
        reader.assign({TopicPartition(asked["output"], partition): 0 for partition in range(PARTITIONS)})
        arrivals = Arrivals(reader)
        following = asyncio.create_task(arrivals.follow())
        sender = Sender(producer, asked["input"], islice(Dataset(everything).orders(), everything))
        try:
            sender.send()
            await arrivals.until(1, FIRST)
            await sender.pace(warm, rate)
            gc.collect()
            gc.disable()
            print(MEASURING, flush=True)
            began = time.perf_counter()
            await sender.pace(count, rate)
            took = time.perf_counter() - began
            print(MEASURED, flush=True)
            await sender.delivered()
            await arrivals.until(everything, LAST)
        finally:
            following.cancel()
            await producer.stop()
            await reader.stop()
    if arrivals.twice:
        raise SystemExit(f"{len(arrivals.twice)} orders came back twice")
    first = 1 + warm
    late = [arrivals.at[number] - sender.at[number] for number in range(first, first + count)]
    return {**milliseconds(late), "sent_per_s": count / took}


def main() -> None:
    found = uvloop.run(measure(json.loads(sys.argv[1])))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
