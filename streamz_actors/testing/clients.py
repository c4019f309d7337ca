"""The transport of one simulated worker: clients of the embedded broker whose every request goes over a `Wire`."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Generic, TypeVar

from streamz_actors.errors import CommitError, ProduceError
from streamz_actors.testing.member import SimulatedConsumer
from streamz_actors.testing.wire import Line, Wire, shown, split_batches
from streamz_actors.transport.abc import (
    Admin,
    Assignor,
    Consumer,
    Delivery,
    GroupMember,
    GroupSettings,
    Listener,
    MemberInfo,
    Producer,
    RawBatch,
    Reader,
    TopicInfo,
    TopicSpec,
    TransactionalProducer,
    Transport,
)
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import Headers, TopicPartition

FLUSH = 5.0
"""Seconds that a producer which is stopped waits for what is on its way."""

P = TypeVar("P", bound=Producer)


class SimulatedTransport(Transport):
    embedded = True

    def __init__(self, broker: MemoryBroker, wire: Wire) -> None:
        self._broker, self._wire = broker, wire
        self._inner = MemoryTransport(broker)
        self._admin = SimulatedAdmin(self._inner.admin, wire)
        self.consumers: list[SimulatedConsumer] = []

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to close."""

    @property
    def admin(self) -> Admin:
        return self._admin

    def consumer(self, settings: GroupSettings, assignor: Assignor, listener: Listener) -> Consumer:
        consumer = SimulatedConsumer(self._broker, settings, assignor, listener, self._wire)
        self.consumers.append(consumer)
        return consumer

    def reader(self, *, read_committed: bool = False) -> Reader:
        return SimulatedReader(self._inner.reader(read_committed=read_committed), self._wire)

    def producer(self, client_id: str) -> Producer:
        return SimulatedProducer(self._inner.producer(client_id), self._wire)

    def transactional_producer(
        self, client_id: str, transactional_id: str, *, timeout: float = 60.0
    ) -> TransactionalProducer:
        def make() -> TransactionalProducer:
            return self._inner.transactional_producer(client_id, transactional_id, timeout=timeout)

        return SimulatedTransactions(make, self._wire, transactional_id)


class _Sends(Generic[P]):
    """Sends on their way: a line for each partition, so that their order is kept. An idempotent producer's."""

    def __init__(self, inner: P, wire: Wire) -> None:
        self._inner, self._wire = inner, wire
        self._lines: dict[TopicPartition, Line] = {}
        self._pending = 0
        self._closed = ""
        """Why nothing is sent any more."""
        self.failed = False
        """Whether one was not delivered, or nobody knows."""

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        place, count = TopicPartition(topic, partition), len(keys)
        what = f"send {count} to {place}"

        async def effect() -> Delivery:
            refused = self._wire.chance(self._wire.faults.refused)
            if refused and self._wire.chance(0.5):
                raise ProduceError(f"{what}: refused")
            delivery = await self._inner.send(topic, partition, keys, values, timestamps, headers)
            if refused:
                raise ProduceError(f"{what}: no answer")
            return delivery

        if self._closed:
            future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
            future.set_exception(ProduceError(f"{what}: {self._closed}"))
            return future
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = self._wire.line()
        self._pending += count
        sent = line.put(what, effect, None)
        sent.add_done_callback(lambda done: self._done(done, count))
        return sent

    def _done(self, sent: "asyncio.Future[Delivery]", count: int) -> None:
        self._pending -= count
        error = None if sent.cancelled() else sent.exception()
        refused = isinstance(error, ProduceError) and error.refused  # which the producer within sees to
        self.failed = self.failed or sent.cancelled() or (error is not None and not refused)

    @property
    def pending(self) -> int:
        return self._pending

    async def flush(self) -> None:
        for line in list(self._lines.values()):
            await line.settled()

    def close(self, why: str) -> None:
        """What is not out yet stays here."""
        self._closed = why
        for line in self._lines.values():
            for future in line.clear():
                if not future.done():
                    future.set_exception(ProduceError(why))

    async def finish(self) -> None:
        """Waits for a bounded time for what is on its way."""
        if self._closed or self._wire.dead:
            self._closed = self._closed or "the producer is stopped"
            return
        late = asyncio.Event()
        timer = self._wire.clock.call_later(FLUSH, late.set)
        waits = [asyncio.ensure_future(self.flush()), asyncio.ensure_future(late.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for waiting in waits:
                waiting.cancel()
        self.close("the producer is stopped")


class SimulatedProducer(Producer):
    def __init__(self, inner: Producer, wire: Wire) -> None:
        self._inner, self._wire = inner, wire
        self._sends = _Sends(inner, wire)

    async def start(self) -> None:
        await self._inner.start()

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        return self._sends.send(topic, partition, keys, values, timestamps, headers)

    @property
    def pending(self) -> int:
        return self._sends.pending

    async def flush(self) -> None:
        await self._sends.flush()

    async def stop(self) -> None:
        await self._sends.finish()


class SimulatedTransactions(TransactionalProducer):
    """Ends of transactions have a line of their own; one that is out when its producer is dropped still arrives.

    Each start is a producer of its own (`make` gives it), so that what is out belongs to the one that sent it.
    """

    def __init__(self, make: Callable[[], TransactionalProducer], wire: Wire, transactional_id: str) -> None:
        self._make, self._wire, self._id = make, wire, transactional_id
        self._failure = "it was not started"
        self._renew()

    def _renew(self) -> None:
        self._inner = self._make()
        self._sends = _Sends(self._inner, self._wire)
        self._line = self._wire.line()

    async def start(self) -> None:
        self._renew()
        await self._line.put(f"begin {self._id}", self._inner.start)
        self._failure = ""

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        return self._sends.send(topic, partition, keys, values, timestamps, headers)

    def forgive(self, error: ProduceError) -> None:
        self._inner.forgive(error)

    async def commit(self, offsets: Mapping[TopicPartition, int], member: GroupMember) -> None:
        if self._failure or self._sends.failed:
            raise CommitError(f"transactional id {self._id!r}: {self._failure or 'a send failed'}")
        inner, what = self._inner, f"end {self._id} with {shown(offsets)}"
        self._failure = given_up = "a commit was given up"
        await self._line.put(what, lambda: inner.commit(offsets, member), CommitError, commits=True)
        if self._failure is given_up:
            self._failure = ""

    @property
    def pending(self) -> int:
        return self._sends.pending

    async def flush(self) -> None:
        await self._sends.flush()

    async def drop(self) -> None:
        """What is out goes on by itself."""
        self._failure = "it was dropped"
        self._sends.close(self._failure)
        self._line.clear()

    async def stop(self) -> None:
        if self._failure or self._sends.failed or self._wire.dead:
            await self.drop()
            return
        await self._sends.finish()
        self._failure = "it is stopped"
        await self._line.put(f"stop {self._id}", self._inner.stop)


class SimulatedReader(Reader):
    def __init__(self, inner: Reader, wire: Wire) -> None:
        self._inner, self._wire = inner, wire
        self._assigned: tuple[TopicPartition, ...] = ()

    async def start(self) -> None:
        await self._inner.start()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._assigned = tuple(positions)
        self._inner.assign(positions)

    async def poll(self, timeout: float) -> list[RawBatch]:
        await self._wire.passing()
        batches = await self._inner.poll(timeout)
        if cuts := split_batches(self._wire, batches):
            self._inner.assign({place: cuts.get(place, self._inner.position(place)) for place in self._assigned})
        if batches:
            await self._wire.way()
        await self._wire.passing()
        return batches

    def position(self, partition: TopicPartition) -> int:
        return self._inner.position(partition)

    async def stop(self) -> None:
        await self._inner.stop()


class SimulatedAdmin(Admin):
    def __init__(self, inner: Admin, wire: Wire) -> None:
        self._inner = inner
        self._line = wire.line()

    async def cluster_id(self) -> str:
        return await self._line.put("cluster id", self._inner.cluster_id)

    async def describe(self, topics: Collection[str]) -> dict[str, TopicInfo]:
        return await self._line.put("describe topics", lambda: self._inner.describe(topics))

    async def list_topics(self) -> list[TopicInfo]:
        return await self._line.put("list topics", self._inner.list_topics)

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        await self._line.put("create topics", lambda: self._inner.create(specs))

    async def delete(self, topics: Collection[str]) -> None:
        await self._line.put("delete topics", lambda: self._inner.delete(topics))

    async def config(self, topic: str) -> dict[str, str]:
        return await self._line.put(f"settings of {topic}", lambda: self._inner.config(topic))

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        what = f"delete records before {shown(before)}"
        await self._line.put(what, lambda: self._inner.delete_records(before))

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._line.put("beginning offsets", lambda: self._inner.beginning_offsets(partitions))

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._line.put("end offsets", lambda: self._inner.end_offsets(partitions))

    async def offsets_at(self, partitions: Collection[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        return await self._line.put("offsets at a time", lambda: self._inner.offsets_at(partitions, timestamp))

    async def all_committed(self, group: str) -> dict[TopicPartition, int]:
        return await self._line.put(f"all committed of {group}", lambda: self._inner.all_committed(group))

    async def members(self, group: str) -> list[MemberInfo]:
        return await self._line.put(f"members of {group}", lambda: self._inner.members(group))

    async def set_committed(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        what = f"commit for {group} {shown(offsets)}"
        await self._line.put(what, lambda: self._inner.set_committed(group, offsets))

    async def delete_group(self, group: str) -> None:
        await self._line.put(f"delete group {group}", lambda: self._inner.delete_group(group))

    async def committed(self, group: str, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        return await self._line.put(f"committed of {group}", lambda: self._inner.committed(group, partitions))

    async def remove_member(self, group: str, member_id: str, instance_id: str | None = None) -> None:
        what = f"remove {member_id or instance_id} from {group}"
        await self._line.put(what, lambda: self._inner.remove_member(group, member_id, instance_id))
