"""What aiokafka has fetched and nobody has taken yet, per partition, given out a bounded run at a time.

aiokafka throws away the buffer of a paused partition and fetches the same megabyte again when it is resumed; and while
any partition's buffer stands untaken, it asks its broker for nothing (for 0.1 s). So responses are taken from it as
soon as they can be, decoded only when they are given out, and kept, whole, through pauses:

    aiokafka's buffer ──take──▶ responses of the partition ──give──▶ RawBatch
    (at most one response)      (one; while paused up to DEPTH)      (decoded here)
"""

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import NoOffsetForPartitionError

from streamz_actors.clock import Clock
from streamz_actors.transport.abc import RawBatch
from streamz_actors.transport.kafka.records import Response
from streamz_actors.types import TopicPartition

RUN = 2_000
"""Records of one partition after which the next partition gets its turn; a batch is never cut, so it may be more."""

ROUND = 10_000
"""Records after which a poll returns: a few milliseconds of decoding."""

PAUSED_BUDGET = 64
"""Responses (1 MiB each by default) that all paused partitions together may hold."""

DEPTH = 4


class Buffer:
    """Stands between an AIOKafkaConsumer's fetcher and our polls. Knows only assigned partitions."""

    def __init__(self, consumer: Any, reset: int | None = None) -> None:
        """`reset`: where to start without a committed position, if aiokafka's fetcher is not to know (its -2 or -1).

        That one would go there from a position out of range as well.
        """
        self._reset = reset
        self._fetcher = consumer._fetcher
        self._subscription = consumer._subscription
        self._held: dict[TopicPartition, deque[Response]] = {}
        self._paused: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """A new assignment: nothing is held, nothing is paused."""
        fetched = self._fetcher._records
        for partition in [partition for partition in fetched if failed(fetched[partition])]:
            del fetched[partition]  # of the assignment before: its position is not this one's
        self._held = {partition: deque() for partition in partitions}
        self._paused.clear()
        self._positions.clear()

    def position(self, partition: TopicPartition) -> int | None:
        """After what was given out; None: nothing was, and nobody has said where to start."""
        return self._positions.get(partition)

    def lag(self, partition: TopicPartition) -> int | None:
        """Between what was given out and the end, as the last response told it; None: it has not told yet."""
        if partition not in self._held:
            return None
        state = self._subscription.subscription.assignment.state_value(partition)
        position = self._positions.get(partition)
        if position is None and state is not None and state.has_valid_position:
            position = state.position
        if position is None or state is None or state.highwater is None:
            return None
        stable = self._fetcher._isolation_level == READ_COMMITTED and state.lso is not None
        end: int = state.lso if stable else state.highwater
        return max(0, end - position)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self._held:
            return
        self._held[partition].clear()
        self._positions[partition] = offset
        self._fetcher.seek_to(partition, offset)
        self._regulate(partition)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        for partition in self._held.keys() & set(partitions):
            self._paused.add(partition)
            self._regulate(partition)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        for partition in self._paused.intersection(partitions):
            self._paused.discard(partition)
            self._regulate(partition)

    def _regulate(self, partition: TopicPartition) -> None:
        """Stops fetching what is paused and has enough; anything else is fetched."""
        depth = max(1, min(DEPTH, PAUSED_BUDGET // len(self._held)))
        enough = partition in self._paused and len(self._held[partition]) >= depth
        state = self._subscription.subscription.assignment.state_value(partition)
        if state is not None and state.paused != enough:
            (state.pause if enough else state.resume)()

    @property
    def due(self) -> bool:
        """Whether there is anything to ask a broker for."""
        fetched, assignment = self._fetcher._records, self._subscription.subscription.assignment
        states = ((tp, assignment.state_value(tp)) for tp in self._held)
        return any(state is not None and not state.paused and tp not in fetched for tp, state in states)

    def give(self) -> list[RawBatch]:
        """What has arrived, about ROUND records of it. Raises a partition's error when nothing stands before it."""
        self._take()
        self._raise_error()
        batches: list[RawBatch] = []
        records = 0
        for partition, responses in list(self._held.items()):
            if not responses or partition in self._paused:
                continue
            if records >= ROUND:
                break
            batch = self._decode(partition, responses)
            batches.append(batch)
            records += len(batch)
            self._held[partition] = self._held.pop(partition)  # to the end of the queue
        self._take()  # what was just emptied: its successor's fetch leaves while this is worked on
        return batches

    def _decode(self, partition: TopicPartition, responses: deque[Response]) -> RawBatch:
        batch = responses[0].take(RUN)
        if responses[0].empty:
            responses.popleft()
        self._positions[partition] = batch.next_offset
        return batch

    def _take(self) -> None:
        fetched = self._fetcher._records
        for partition in [partition for partition in fetched if self._wanted(partition)]:
            entry = fetched[partition]
            if failed(entry):  # an error: stays until it can be raised
                continue
            del fetched[partition]
            self._fetcher._notify(self._fetcher._wait_consume_future)
            self._keep(TopicPartition(*partition), entry)

    def _wanted(self, partition: TopicPartition) -> bool:
        responses = self._held.get(partition)
        return responses is not None and (not responses or partition in self._paused)

    def _keep(self, partition: TopicPartition, entry: Any) -> None:
        assignment, records = entry._assignment, entry._partition_records
        state = assignment.state_value(partition)
        if not assignment.active or not state.has_valid_position or state.position != records.next_fetch_offset:
            return  # fetched before a rebalance or a seek
        response = Response(partition, records)
        state.consumed_to(response.end)
        if not response.empty:
            self._held[partition].append(response)
        self._regulate(partition)

    def _raise_error(self) -> None:
        fetched = self._fetcher._records
        for partition in list(fetched):
            if failed(fetched[partition]) and not self._held.get(TopicPartition(*partition)):
                entry = fetched.pop(partition)
                self._fetcher._notify(self._fetcher._wait_consume_future)
                state = self._subscription.subscription.assignment.state_value(partition)
                if state is None:
                    continue  # of a former assignment, which the fetcher has still been at work for
                try:
                    entry.check_raise()
                except NoOffsetForPartitionError:
                    if self._reset is None:
                        raise
                    if not state.has_valid_position:  # else: somebody has said meanwhile where to start
                        state.await_reset(self._reset)

    async def wait(self, timeout: float) -> None:
        """Until something arrived, or the fetcher reports an error, which this raises."""
        waiter = self._fetcher._create_fetch_waiter()
        try:
            await asyncio.wait([waiter], timeout=timeout)
            if waiter.done():
                waiter.result()
        finally:
            waiter.cancel()

    def wake(self) -> None:
        """Ends every wait."""
        for waiter in list(self._fetcher._fetch_waiters):
            self._fetcher._notify(waiter)


def failed(entry: Any) -> bool:
    """Whether what the fetcher holds of a partition is an error in place of records."""
    return hasattr(entry, "check_raise")


async def next_batches(buffer: Buffer, timeout: float, clock: Clock) -> list[RawBatch]:
    """What there is, else what comes within `timeout` seconds."""
    deadline = clock.monotonic() + timeout
    while not (batches := buffer.give()):
        left = deadline - clock.monotonic()
        if left <= 0:
            break
        await buffer.wait(left)
    return batches
