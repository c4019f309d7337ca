"""What every producer does with its records: a lane for each partition, futures, flushing, and giving up as a whole."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import chain
from typing import Any

from aiokafka import TopicPartition as ForeignPartition
from aiokafka.errors import KafkaConnectionError, ProducerClosed, TopicAuthorizationFailedError
from aiokafka.producer.message_accumulator import BatchBuilder

from streamz_actors.clock import Clock
from streamz_actors.errors import ProduceError
from streamz_actors.transport.abc import Delivery
from streamz_actors.transport.kafka.absence import Absences, Gone
from streamz_actors.transport.kafka.connection import Profile
from streamz_actors.transport.kafka.errors import reason
from streamz_actors.transport.kafka.lane import Lane, Send
from streamz_actors.types import Headers, TopicPartition

log = logging.getLogger(__name__)

STOP_TIMEOUT = 5.0
ABSENCE = 120.0
"""Seconds for which records wait at the most for a topic that was deleted: as long as Kafka's own producer tries. An
outage, in which nobody knows what there is, may last longer.
"""
LOOK = 1.0
"""Seconds after which it is asked why a batch is not acknowledged yet, again and again: metadata may be out of date."""

MAX_BATCH = 512 * 1024
MAX_REQUEST = 1024 * 1024
BUDGET = 32 * 1024 * 1024
"""Bytes of all batches in flight: one request holds a batch for each partition, and brokers refuse 100 MiB of it."""


class Sending:
    """One started aiokafka producer in use. It ends with `close` or `abandon`, and cannot be started again.

    A batch is sent again and again for `patience` seconds, through outages of any kind; idempotence keeps it single and
    in order. A delivery that is unknown after that is the end of all of it: `refusing` says why. If its topic is gone,
    it is given up after half that time at the latest, so that a transaction can still be ended.
    """

    def __init__(self, producer: Any, profile: Profile, clock: Clock, patience: float) -> None:
        self.producer = producer
        self.refusing = ""
        self._clock = clock
        self._patience = patience
        self._absences = Absences(producer.client, clock, min(patience / 2, ABSENCE))
        self._max_batch = int(profile.producer.get("max_batch_size", MAX_BATCH))
        self._max_record = max(int(profile.producer.get("max_request_size", MAX_REQUEST)), self._max_batch)
        self._lanes: dict[TopicPartition, Lane] = {}
        self._running: dict[Lane, asyncio.Task[None]] = {}
        self._pending = 0
        self._idle = asyncio.Event()
        self._idle.set()
        # aiokafka gives a batch up when its partition has had no leader for the time that one request may take.
        producer._message_accumulator._batch_ttl = 2 * patience

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
    ) -> "asyncio.Future[Delivery]":
        if self.refusing:
            return refused(topic, partition, self.refusing)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Delivery] = loop.create_future()
        lane = self._lane(TopicPartition(topic, partition))
        lane.add(Send(keys, values, timestamps, headers, future))
        self._pending += len(keys)
        self._idle.clear()
        if lane not in self._running:
            # Its first step comes after this turn of the loop, so all that is sent in one turn shares a batch.
            self._running[lane] = loop.create_task(self._run(lane))
        return future

    def _lane(self, partition: TopicPartition) -> Lane:
        lane = self._lanes.get(partition)
        if lane is None:
            lane = Lane(partition, self._new_builder, self._deliver, self._take_back, self._settle, self._max_record)
            self._lanes[partition] = lane
        return lane

    def _new_builder(self, limit: int) -> Any:
        manager = self.producer._txn_manager
        return BatchBuilder(
            min(limit, self._max_batch, BUDGET // len(self._running)),
            self.producer._message_accumulator._compression_type,
            is_transactional=manager is not None and manager.transactional_id is not None,
        )

    async def _run(self, lane: Lane) -> None:
        try:
            await lane.run()
        except Exception as error:  # whatever it is: the sends' futures report it
            why = f"whether it was written is unknown: {reason(error)}"
            if self.producer._txn_manager is None:
                lane.fail(why)
            else:
                self.refuse(f"{why}; this producer cannot go on, start a new one")
        finally:
            del self._running[lane]

    async def _deliver(self, partition: TopicPartition, builder: Any) -> int:
        async with asyncio.timeout(self._patience):
            await self._find(partition)
            delivery = await self.producer.send_batch(builder, partition.topic, partition=partition.partition)
            try:
                while not (await asyncio.wait((delivery,), timeout=LOOK))[0]:
                    await self._look(partition, delivery)
                metadata = delivery.result()
            finally:
                delivery.cancel()
        if metadata.offset < 0:
            raise ProduceError("the broker had it already, and no longer knows where")
        return int(metadata.offset)

    async def _find(self, partition: TopicPartition) -> None:
        """Raises LookupError when the brokers answer that there is no such partition; waits while they do not, and
        while its topic may come back.
        """
        client, topic = self.producer.client, partition.topic
        answered: bool | None = None
        while True:
            there = self._absences.check(topic, answered)
            known = client.cluster.partitions_for_topic(topic) or ()
            if partition.partition in known:
                return
            if there and answered:
                raise LookupError(f"this topic has only {len(known)} partitions")
            if answered is not None:
                await self._clock.sleep(0.1)
            client.add_topic(topic)
            answered = await client.force_metadata_update()
            if topic in client.cluster.unauthorized_topics:
                raise LookupError(reason(TopicAuthorizationFailedError(topic)))

    async def _look(self, partition: TopicPartition, delivery: "asyncio.Future[Any]") -> None:
        """Gives a batch up whose topic is gone."""
        asked = self.producer.client.force_metadata_update()
        await asyncio.wait((asked, delivery), return_when=asyncio.FIRST_COMPLETED)
        if delivery.done() or not asked.done():
            return
        try:
            self._absences.check(partition.topic, asked.result())
        except Gone as error:
            self._give_up(ForeignPartition(*partition), error)

    def _give_up(self, partition: Any, error: Gone) -> None:
        """Takes a batch back from aiokafka, unless a request is under way with it: that will be answered.

        Its sequence numbers are left out if they were ever used: a topic that is made anew takes any to begin with.
        """
        accumulator, manager = self.producer._message_accumulator, self.producer._txn_manager
        if not accumulator._batches.get(partition):
            return
        batch = accumulator._pop_batch(partition)
        if manager is not None:
            if batch.retry_count == 1:
                manager.increment_sequence_number(partition, -batch.record_count)
            manager.partitions_to_add().discard(partition)  # else none would be added to the transaction any more
        batch.failure(error)

    def _take_back(self, partition: TopicPartition, records: int) -> None:
        """The next batch gets the sequence numbers of the one that the broker refused."""
        if self.producer._txn_manager is not None:
            self.producer._txn_manager.increment_sequence_number(ForeignPartition(*partition), -records)

    def _settle(self, records: int) -> None:
        self._pending -= records
        if not self._pending:
            self._idle.set()

    def refuse(self, why: str) -> None:
        """Fails everything that is pending, and all that comes."""
        self.refusing = self.refusing or why
        for task in self._running.values():
            if task is not asyncio.current_task():
                task.cancel()
        for lane in self._lanes.values():
            lane.fail(why)

    @property
    def pending(self) -> int:
        return self._pending

    async def flush(self) -> None:
        await self._idle.wait()

    async def close(self) -> None:
        """Ends it in a bounded time. What is pending still is failed."""
        if self._pending:
            self.refuse("the producer was stopped before the broker confirmed it: whether it was written is unknown")
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await close(self.producer)

    async def abandon(self, why: str) -> None:
        """Ends it without waiting for any answer; no request leaves any more."""
        self.refuse(why)
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await abandon(self.producer)


def refused(topic: str, partition: int, why: str) -> "asyncio.Future[Delivery]":
    future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
    future.set_exception(ProduceError(f"topic {topic!r}, partition {partition}: {why}"))
    return future


def check_columns(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
) -> None:
    count = len(keys)
    if not count or not count == len(values) == len(timestamps) == (count if headers is None else len(headers)):
        raise ValueError("the columns of a send must be of one length, and not empty")


async def close(producer: Any) -> None:
    """Stops an aiokafka producer in a bounded time; its own stop waits for brokers that may be gone."""
    stopping = asyncio.ensure_future(producer.stop())
    await asyncio.wait({stopping}, timeout=0.1 if producer._message_accumulator._pending_batches else STOP_TIMEOUT)
    if not stopping.done():
        stopping.cancel()
        await asyncio.wait({stopping}, timeout=1)
        await abandon(producer)
    elif (error := stopping.exception()) is not None:
        log.warning("a Kafka producer did not stop cleanly: %s", reason(error))


async def abandon(producer: Any) -> None:
    """Ends a producer without waiting for anything: what it has queued is failed, and no request leaves any more."""

    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise KafkaConnectionError("this producer was abandoned")

    producer.client.send, producer._closed = refuse, True
    sender = producer._sender.sender_task
    if sender is not None:  # how it ends is of no interest any more, and aiokafka stumbles over that
        sender.remove_done_callback(producer._sender._fail_all)
        sender.add_done_callback(_forget)
    accumulator = producer._message_accumulator
    waiting = [*chain.from_iterable(accumulator._batches.values()), *accumulator._pending_batches]
    accumulator.fail_all(ProducerClosed())
    accumulator._batches.clear()  # the sender, which may have a step to go, would stumble over what has failed
    for batch in waiting:  # nobody may be left to look at these, and asyncio would complain of that
        batch.future.exception()
        batch._drain_waiter.exception()
    await producer.client.close()
    if sender is not None and not sender.done():
        sender.cancel()
        await asyncio.wait({sender}, timeout=2)


def _forget(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
