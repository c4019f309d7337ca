"""What the transport contracts are told with: rows, sending and reading, an assignor and a member that keep notes."""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from streamz_actors.transport.abc import (
    Consumer,
    Delivery,
    GroupSettings,
    Offer,
    Producer,
    RawBatch,
    Reader,
    Share,
    Transport,
)
from streamz_actors.types import Headers, TopicPartition

DEADLINE = 60.0
"""Seconds until a wait is called a failure; nothing is ever waited for that long when things work."""

START = 1_700_000_000_000
"""The timestamp of the first record of each `send`, in ms; each further one is 1 ms later."""


class Names:
    """Names that no other test on the same broker uses."""

    def __init__(self) -> None:
        self._run = uuid.uuid4().hex[:8]
        self._numbers = itertools.count(1)

    def __call__(self, what: str) -> str:
        return f"{what}-{self._run}-{next(self._numbers)}"


class Row(NamedTuple):
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers


def rows_of(batches: Sequence[RawBatch]) -> list[Row]:
    rows: list[Row] = []
    for batch in batches:
        headers = batch.headers if batch.headers is not None else [()] * len(batch)
        columns = zip(batch.offsets, batch.keys, batch.values, batch.timestamps, headers, strict=True)
        rows.extend(Row(batch.partition, *row) for row in columns)
    return rows


async def send(
    producer: Producer,
    topic: str,
    values: Sequence[bytes | None],
    *,
    partition: int = 0,
    keys: Sequence[bytes | None] | None = None,
    headers: Sequence[Headers] | None = None,
) -> Delivery:
    keys = keys if keys is not None else [b"key"] * len(values)
    timestamps = list(range(START, START + len(values)))
    return await producer.send(topic, partition, keys, values, timestamps, headers)


def numbered(count: int, prefix: str = "") -> list[bytes]:
    return [f"{prefix}{number}".encode() for number in range(count)]


def values_of(rows: Sequence[Row], partition: int | None = None) -> list[bytes | None]:
    return [row.value for row in rows if partition is None or row.partition == partition]


class SpreadAssignor:
    """Deals partitions out to the members in the order of their names, and tells everybody all names it was told."""

    name = "spread"

    def __init__(self, member: str, notes: list[str] | None = None) -> None:
        self.member = member
        self._notes = notes if notes is not None else []
        self.heard = b""
        self.generation = -1
        self.member_id = ""
        self.leader = False

    def user_data(self) -> bytes:
        return self.member.encode()

    def assign(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> Mapping[str, Share]:
        ordered = sorted(offers, key=lambda offer: offer.user_data)
        everything = [TopicPartition(topic, p) for topic, count in sorted(partitions.items()) for p in range(count)]
        heard = b",".join(offer.user_data for offer in ordered)
        return {
            offer.member_id: Share(tuple(everything[turn :: len(ordered)]), heard)
            for turn, offer in enumerate(ordered)
        }

    def on_assigned(self, share: Share, generation: int, member_id: str, leader: bool) -> None:
        self._notes.append("assignor")
        self.heard, self.generation, self.member_id, self.leader = share.user_data, generation, member_id, leader


class Member:
    """A consumer with its assignor and listener. What it got since `rows` was last cleared is in `rows`."""

    def __init__(self, transport: Transport, settings: GroupSettings) -> None:
        self.notes: list[str] = []
        self.assignor = SpreadAssignor(settings.client_id, self.notes)
        self.consumer: Consumer = transport.consumer(settings, self.assignor, self)
        self.rows: list[Row] = []
        self.batches: list[RawBatch] = []
        self.revocations: list[frozenset[TopicPartition]] = []
        self.assignments: list[frozenset[TopicPartition]] = []
        self.when_revoked: Callable[[], asyncio.Future[None]] | None = None
        self.when_assigned: Callable[[frozenset[TopicPartition]], None] | None = None

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.revocations.append(partitions)
        if self.when_revoked is not None:
            await self.when_revoked()

    def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.notes.append("listener")
        self.assignments.append(partitions)
        if self.when_assigned is not None:
            self.when_assigned(partitions)

    async def turn(self) -> None:
        batches = await self.consumer.poll(0.05)
        self.batches.extend(batches)
        self.rows.extend(rows_of(batches))

    @property
    def owned(self) -> frozenset[TopicPartition]:
        return self.consumer.assignment()


async def turns_until(condition: Callable[[], bool], *members: Member) -> None:
    """Lets all members poll, at the same time, until the condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.gather(*(member.turn() for member in members))


async def read_to(reader: Reader, ends: Mapping[TopicPartition, int]) -> list[Row]:
    """What the reader gives until its positions are at `ends`."""
    rows: list[Row] = []
    async with asyncio.timeout(DEADLINE):
        while any(reader.position(partition) < end for partition, end in ends.items()):
            rows.extend(rows_of(await reader.poll(0.05)))
    return rows


async def read_all(transport: Transport, partitions: Collection[TopicPartition]) -> list[Row]:
    """All records of the partitions, from their beginning to their end."""
    reader = transport.reader()
    await reader.start()
    try:
        reader.assign(await transport.admin.beginning_offsets(partitions))
        return await read_to(reader, await transport.admin.end_offsets(partitions))
    finally:
        await reader.stop()


async def turns_until_it_reads(member: Member, producer: Producer, topic: str) -> None:
    """Sends until the member sees something: where "latest" stands is only certain once it does."""
    async with asyncio.timeout(DEADLINE):
        while not member.rows:
            await send(producer, topic, [b"new"])
            await member.turn()


Join = Callable[..., Awaitable[Member]]
MakeTopic = Callable[..., Awaitable[str]]
