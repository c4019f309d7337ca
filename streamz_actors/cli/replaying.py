"""Dead letters go back to where their records came from: each once, however often it is asked for.

    1  start the producer: whatever a replay before had open is decided now
    2  read which letters were replayed; leave them out
    3  for each letter of a derived record, read the record that it was made of
    4  in one transaction, a chunk of letters to their topics, and their ids to the topic that remembers them
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from streamz_actors.agents.replies import CORRELATION, REPLY_TO
from streamz_actors.cli.letters import Letter, between, replayed
from streamz_actors.dataflow import dead_letters
from streamz_actors.errors import TransportError
from streamz_actors.transport.abc import GroupMember, TopicSpec, TransactionalProducer, Transport
from streamz_actors.types import Headers, TopicPartition, partition_of

CHUNK: Final = 500
"""Letters in one transaction."""

NOBODY: Final = GroupMember("", -1, "")
MEMORY: Final = {"cleanup.policy": "compact"}
ASKED: Final = frozenset({REPLY_TO, CORRELATION})
"""Who asked for an answer has got one: that it failed."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What the letter `id` becomes. `partition`: the record's own, where it goes back to its own topic."""

    id: str
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


@dataclass(slots=True)
class Outcome:
    """By id: what was sent, with the topic and partition; which were replayed before; why others could not be."""

    sent: dict[str, TopicPartition] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replay:
    """`memory`: the topic that remembers. `to`: the topic that all go to; "": each to its own. `now`: the time, in ms,
    that they get instead of their own. `again`: those as well that were replayed before.
    """

    transport: Transport
    name: str
    memory: str
    to: str = ""
    now: int | None = None
    again: bool = False

    async def plan(self, letters: AsyncIterator[Letter]) -> Outcome:
        """What would be done."""
        outcome = Outcome()
        async for _ in self._chunks(letters, outcome):
            pass
        return outcome

    async def run(self, letters: AsyncIterator[Letter]) -> Outcome:
        """Sends them. Raises TransportError: then what has not been remembered has not been sent."""
        # 1
        await self.transport.admin.create([TopicSpec(self.memory, 1, None, MEMORY)])
        producer = self.transport.transactional_producer(self.name, self.name)
        await producer.start()
        outcome = Outcome()
        try:
            async for chunk in self._chunks(letters, outcome):
                # 4
                await self._send(producer, chunk)
        except TransportError:
            await producer.drop()
            raise
        await producer.stop()
        return outcome

    async def _chunks(self, letters: AsyncIterator[Letter], outcome: Outcome) -> AsyncIterator[list[Sending]]:
        """What is to be sent, in parts of CHUNK; all else is noted."""
        # 2
        known = set() if self.again else await replayed(self.transport, self.memory)
        chunk: list[Sending] = []
        async for letter in letters:
            if letter.id in known:
                outcome.before.append(letter.id)
                continue
            # 3
            sending = await self._sending(letter)
            if isinstance(sending, str):
                outcome.failed[letter.id] = sending
                continue
            outcome.sent[letter.id] = TopicPartition(sending.topic, sending.partition)
            chunk.append(sending)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _send(self, producer: TransactionalProducer, chunk: Sequence[Sending]) -> None:
        deliveries = [
            producer.send(each.topic, each.partition, [each.key], [each.value], [each.timestamp], [each.headers])
            for each in chunk
        ]
        ids: list[bytes | None] = [each.id.encode() for each in chunk]
        times = [each.timestamp for each in chunk]
        deliveries.append(producer.send(self.memory, 0, ids, [b"1"] * len(ids), times))
        for delivery in deliveries:
            await delivery
        await producer.commit({}, NOBODY)

    async def _sending(self, letter: Letter) -> Sending | str:
        """What the letter becomes, or why it can't be replayed."""
        topic, place = self.to or letter.why.place.topic, letter.why.place
        info = (await self.transport.admin.describe([topic])).get(topic)
        if info is None:
            return f"topic {topic!r} does not exist"
        key, value, headers, timestamp = letter.key, letter.value, letter.headers, letter.timestamp
        if letter.why.derived:
            found = await self._original(place, letter.why.offset)
            if found is None:
                return "the record that it was made of is no longer in its topic, and the letter holds another"
            key, value, headers, timestamp = found
        tried = (dead_letters.ATTEMPTS, str(letter.why.attempts).encode())
        own = tuple(pair for pair in dead_letters.own(headers) if pair[0] not in ASKED)
        at = timestamp if self.now is None else self.now
        if topic == place.topic:
            partition = place.partition
        else:
            partition = letter.offset % info.partitions if key is None else partition_of(key, info.partitions)
        if partition >= info.partitions:
            return f"topic {topic!r} has no partition {partition} any more"
        return Sending(letter.id, topic, partition, key, value, (*own, tried), at)

    async def _original(
        self, place: TopicPartition, offset: int
    ) -> tuple[bytes | None, bytes | None, Headers, int] | None:
        admin = self.transport.admin
        if place.topic not in await admin.describe([place.topic]):
            return None
        begin, end = (await admin.beginning_offsets([place]))[place], (await admin.end_offsets([place]))[place]
        if not begin <= offset < end:
            return None
        async with aclosing(between(self.transport, {place: offset}, {place: offset + 1})) as batches:
            async for batch in batches:
                for row, at in enumerate(batch.offsets):
                    if at == offset:
                        headers = batch.headers[row] if batch.headers is not None else ()
                        return batch.keys[row], batch.values[row], headers, batch.timestamps[row]
        return None
