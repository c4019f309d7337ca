"""The real Kafka of a run: started by scripts/kafka, topics made and filled, and read again for the checks."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.orders import Dataset
from benchmarks.settings import PARTITIONS
from streamz_actors.clock import SystemClock
from streamz_actors.transport.abc import RawBatch, TopicSpec, Transport
from streamz_actors.transport.select import make_transport
from streamz_actors.types import TopicPartition, partition_of

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "kafka"
STOP_TIMEOUT = 30.0
CHUNK = 20_000
"""Records given to the producer at once."""
TOGETHER = 8
"""Chunks that are on their way at once."""
POLL = 1.0


class Chunk(NamedTuple):
    """Records of one partition, as columns."""

    partition: int
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    timestamps: Sequence[int]


class Record(Protocol):
    """What a topic is filled with: an order, a row of a table."""

    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def timestamp(self) -> int: ...


class Cluster:
    """`url` is kafka://host:port."""

    def __init__(self, url: str, transport: Transport) -> None:
        self.url = url
        self._transport = transport
        self._loaded: set[str] = set()
        self._partitions: dict[str, int] = {}

    @property
    def bootstrap(self) -> str:
        return self.url.partition("://")[2]

    async def create(self, topic: str, *, compacted: bool = False, partitions: int = PARTITIONS) -> None:
        policy = {"cleanup.policy": "compact"} if compacted else {"retention.ms": "-1"}
        await self._transport.admin.create([TopicSpec(topic, partitions, config=policy)])
        self._partitions[topic] = partitions

    async def delete(self, topics: Sequence[str]) -> None:
        self._loaded.difference_update(topics)
        known = await self._transport.admin.describe(topics)
        await self._transport.admin.delete(list(known))

    async def clear(self, group: str) -> None:
        """Deletes every topic with the group in its name: what an application wrote to, its changelogs as well.

        The broker would go on compacting those, beside whoever runs next.
        """
        topics = await self._transport.admin.list_topics()
        await self.delete([topic.name for topic in topics if group in topic.name])

    async def load(self, dataset: Dataset) -> None:
        """Fills the dataset's topic."""
        await self.fill(dataset.topic, dataset.records, dataset.orders)

    async def fill(
        self,
        topic: str,
        records: int,
        content: Callable[[], Iterable[Record]],
        *,
        compacted: bool = False,
        partitions: int = PARTITIONS,
    ) -> None:
        """Fills a topic with so many records, once. Raises RuntimeError if it holds something else."""
        await self.pour(
            topic, records, lambda: chunks(content(), partitions), compacted=compacted, partitions=partitions
        )

    async def pour(
        self,
        topic: str,
        records: int,
        content: Callable[[], Iterable[Chunk]],
        *,
        compacted: bool = False,
        partitions: int = PARTITIONS,
    ) -> None:
        """Fills a topic as `fill` does, from columns."""
        if topic in self._loaded:
            return
        await self.create(topic, compacted=compacted, partitions=partitions)
        found = sum(await self.ends(topic))
        if not found:
            await self._pour(topic, content())
        elif found != records:
            raise RuntimeError(f"topic {topic!r} holds {found} records: delete it, or use another broker")
        self._loaded.add(topic)

    async def _pour(self, topic: str, content: Iterable[Chunk]) -> None:
        producer = self._transport.producer("benchmarks-loader")
        await producer.start()
        left = iter(content)
        try:
            while sent := [producer.send(topic, *chunk) for chunk in islice(left, TOGETHER)]:
                await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def ends(self, topic: str) -> tuple[int, ...]:
        """End offsets, by partition."""
        places = self._places(topic)
        ends = await self._transport.admin.end_offsets(places)
        return tuple(ends[place] for place in places)

    async def committed(self, group: str, topic: str) -> tuple[int, ...]:
        """Committed offsets, by partition; 0 where there is none."""
        places = self._places(topic)
        found = await self._transport.admin.committed(group, places)
        return tuple(found.get(place) or 0 for place in places)

    async def read(self, topic: str) -> AsyncIterator[RawBatch]:
        """Everything in a topic that is committed, from the beginning to its present end."""
        ends = await self._transport.admin.end_offsets(self._places(topic))
        left = {place: 0 for place, end in ends.items() if end}
        reader = self._transport.reader(read_committed=True)
        await reader.start()
        try:
            reader.assign(left)
            while any(reader.position(place) < ends[place] for place in left):
                for batch in await reader.poll(POLL):
                    yield batch
        finally:
            await reader.stop()

    def _places(self, topic: str) -> list[TopicPartition]:
        """Its partitions: as many as it was made with here, for a topic of an application the usual number."""
        return [TopicPartition(topic, partition) for partition in range(self._partitions.get(topic, PARTITIONS))]


def chunks(content: Iterable[Record], partitions: int) -> Iterator[Chunk]:
    """Records as columns, those of each partition in their order."""
    waiting: list[list[Record]] = [[] for _ in range(partitions)]
    for record in content:
        partition = partition_of(record.key, partitions)
        rows = waiting[partition]
        rows.append(record)
        if len(rows) == CHUNK:
            yield columns(partition, rows)
            waiting[partition] = []
    for partition, rows in enumerate(waiting):
        if rows:
            yield columns(partition, rows)


def columns(partition: int, rows: list[Record]) -> Chunk:
    return Chunk(
        partition, [row.key for row in rows], [row.value for row in rows], [row.timestamp for row in rows]
    )


@asynccontextmanager
async def running(url: str | None = None) -> AsyncIterator[Cluster]:
    """A Kafka of our own, ended with the block; or the one at `url`, which is left as it is but for its topics."""
    process = None if url is not None else start()
    try:
        url = url or first_line(process)
        async with make_transport(url, clock=SystemClock()) as transport:
            yield Cluster(url, transport)
    finally:
        if process is not None:
            process.terminate()
            process.communicate(timeout=STOP_TIMEOUT)


def start() -> "subprocess.Popen[str]":
    command = [sys.executable, str(SCRIPT), "run", "--with-parent"]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def first_line(process: "subprocess.Popen[str] | None") -> str:
    assert process is not None
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line.startswith("kafka://"):
        return line
    _, problem = process.communicate(timeout=STOP_TIMEOUT)
    raise RuntimeError(f"no Kafka: {problem.strip()}")
