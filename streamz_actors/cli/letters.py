"""The dead letters of an application, read from their topics: what they are, and which were replayed already.

A replay is remembered in a topic of its own, `<app id>-dead-letters-replayed`: a record for each letter, under its id.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from streamz_actors.dataflow import dead_letters
from streamz_actors.dataflow.dead_letters import Why
from streamz_actors.dataflow.policies import DeadLetter, last_word
from streamz_actors.transport.abc import RawBatch, Transport
from streamz_actors.types import Headers, TopicPartition
from streamz_actors.worker.spec import Spec

PATIENCE: Final = 2.0
"""Seconds that nothing may come, before the end of a log is reached: a transaction may be open there."""


@dataclass(frozen=True, slots=True)
class Letter:
    """`timestamp` is that of the record that failed, in ms."""

    place: TopicPartition
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    why: Why

    @property
    def id(self) -> str:
        return f"{self.place.topic}/{self.place.partition}@{self.offset}"

    @property
    def own_headers(self) -> Headers:
        """Those that the record had itself."""
        return dead_letters.own(self.headers)

    def short(self, default: str) -> str:
        """Its id, without the topic where that is the default one."""
        return self.id.removeprefix(f"{default}/")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant; what is empty leaves out none. `text` stands in the error."""

    ids: frozenset[str] = frozenset()
    topic: str = ""
    what: str = ""
    text: str = ""
    limit: int | None = None

    def takes(self, letter: Letter) -> bool:
        why = letter.why
        return (
            (not self.ids or letter.id in self.ids)
            and self.topic in ("", why.place.topic)
            and self.what in why.what
            and self.text in why.error
        )


def topics_of(spec: Spec) -> list[str]:
    """Where an application's dead letters go, its default topic first."""
    given: list[Any] = [spec.on_error, *(agent.on_error for agent in spec.agents)]
    given += [topic.on_decode_error for topic in spec.topology.topics]
    given += [node.policy for node in spec.topology.nodes]
    last = [last_word(policy) for policy in given if policy is not None]
    own = {each.topic.name for each in last if isinstance(each, DeadLetter) and each.topic is not None}
    return [spec.dead_letters, *sorted(own - {spec.dead_letters})]


def replayed_topic(spec: Spec) -> str:
    return f"{spec.dead_letters}-replayed"


async def chosen(transport: Transport, topics: Iterable[str], choice: Choice) -> AsyncGenerator[Letter, None]:
    """The letters that are meant, the oldest of a partition first. To be closed by whoever stops before the end."""
    count = 0
    async with aclosing(everything(transport, topics)) as batches:
        async for batch in batches:
            for letter in filter(choice.takes, _letters(batch)):
                if choice.limit is not None and count >= choice.limit:
                    return
                count += 1
                yield letter


async def replayed(transport: Transport, topic: str) -> set[str]:
    """The ids of letters that were replayed."""
    return {key.decode() async for batch in everything(transport, [topic]) for key in batch.keys if key is not None}


async def everything(transport: Transport, topics: Iterable[str]) -> AsyncGenerator[RawBatch, None]:
    """All committed records that topics have at this moment; of a topic that does not exist, none. As `chosen`."""
    admin = transport.admin
    existing = await admin.describe(list(topics))
    places = [TopicPartition(name, number) for name, info in existing.items() for number in range(info.partitions)]
    begins, ends = await admin.beginning_offsets(places), await admin.end_offsets(places)
    async with aclosing(between(transport, begins, ends)) as batches:
        async for batch in batches:
            yield batch


async def between(
    transport: Transport, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncGenerator[RawBatch, None]:
    """The committed records of partitions from one position to another. As `chosen`."""
    open_ = {place for place in begins if begins[place] < ends[place]}
    if not open_:
        return
    reader = transport.reader(read_committed=True)
    await reader.start()
    try:
        reader.assign({place: begins[place] for place in open_})
        before: dict[TopicPartition, int] = {}
        while any(reader.position(place) < ends[place] for place in open_):
            batches = await reader.poll(PATIENCE)
            for batch in batches:
                yield batch
            now = {place: reader.position(place) for place in open_}
            if not batches and now == before:
                return
            before = now
    finally:
        await reader.stop()


def _letters(batch: RawBatch) -> Iterable[Letter]:
    for row, headers in enumerate(batch.headers or ()):
        why = dead_letters.read(headers)
        if why is not None:
            yield Letter(
                TopicPartition(batch.topic, batch.partition),
                batch.offsets[row],
                batch.timestamps[row],
                batch.keys[row],
                batch.values[row],
                headers,
                why,
            )
