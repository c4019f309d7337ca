"""The way of records to one output partition: what is sent while a batch is in flight makes up the next batch.

One batch at a time is with aiokafka. So the sequence numbers of an idempotent producer can be taken back when the
broker refuses a batch (aiokafka itself could never again write to that partition), and order needs no further care.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import repeat
from operator import length_hint
from typing import Any

from aiokafka import errors as kafka

from streamz_actors.errors import ProduceError
from streamz_actors.transport.abc import Delivery
from streamz_actors.transport.kafka.absence import Gone
from streamz_actors.transport.kafka.errors import InvalidRecord, UnsupportedCompression, reason
from streamz_actors.types import Headers, TopicPartition

WINDOW = 4_096
"""Records that are handed to the batch builder in one go."""

NO_HEADERS: list[tuple[str, bytes]] = []

TOO_LARGE = (kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError)
BAD_RECORD = (InvalidRecord, kafka.InvalidTimestampError)
"""The broker has written nothing of the batch, for one of its records, or several."""

REFUSED = (
    UnsupportedCompression,
    kafka.InvalidTopicError,
    kafka.TopicAuthorizationFailedError,
    kafka.ClusterAuthorizationFailedError,
    kafka.UnsupportedForMessageFormatError,
    kafka.PolicyViolationError,
)
"""The broker has written nothing of the batch, whatever its records are."""

MOST = 1 << 31


class Send:
    """One call of `Producer.send`, on its way. `done` counts what is delivered or refused, `runs` says where it is."""

    __slots__ = ("done", "future", "gone", "headers", "keys", "lasting", "refused", "runs", "timestamps", "values")

    def __init__(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
        future: "asyncio.Future[Delivery]",
    ) -> None:
        self.keys, self.values, self.timestamps, self.headers = keys, values, timestamps, headers
        self.future = future
        self.done = 0
        self.runs: list[tuple[int, int]] = []
        self.refused: dict[int, str] = {}
        self.lasting = self.gone = False

    def __len__(self) -> int:
        return len(self.keys)

    def fill(self, builder: Any, count: int, most: int) -> int:
        """Appends what is not delivered yet after the `count` records in `builder`; says how many found room, up to
        `most` in all.

        The record builder is called directly: its wrapper costs twice what it wraps.
        """
        start, append = self.done, builder._builder.append
        total = min(len(self.keys), start + most - count)
        while start < total:
            stop = min(start + WINDOW, total)
            numbers = iter(range(count, count + stop - start))
            headers: Iterable[list[tuple[str, bytes]]] = (
                map(list, self.headers[start:stop]) if self.headers is not None else repeat(NO_HEADERS)
            )
            columns = self.timestamps[start:stop], self.keys[start:stop], self.values[start:stop]
            fitted = all(map(append, numbers, *columns, headers))  # None, which ends this, says that the batch is full
            added = stop - start - length_hint(numbers) - (not fitted)
            start, count = start + added, count + added
            if not fitted:
                break
        return start - self.done

    def delivered(self, offset: int, count: int) -> None:
        self.done += count
        if self.runs and self.runs[-1][0] >= 0 and sum(self.runs[-1]) == offset:
            offset, earlier = self.runs.pop()
            count += earlier
        self.runs.append((offset, count))

    def refuse(self, count: int, why: str) -> None:
        """Of the next ones."""
        self.refused |= dict.fromkeys(range(self.done, self.done + count), why)
        self.done += count
        self.runs.append((-1, count))

    def finish(self, partition: TopicPartition) -> None:
        """Tells what became of it, now that nothing of it is left."""
        if self.future.done():
            return
        if not self.refused:
            self.future.set_result(Delivery(*partition, tuple(self.runs)))
            return
        why = next(iter(self.refused.values()))
        self.future.set_exception(
            ProduceError(
                f"{place(partition)}: {why}", self.refused, tuple(self.runs), lasting=self.lasting, gone=self.gone
            )
        )


class Batch:
    """A built batch and what it is made of: how many records of each of the first sends in the lane."""

    __slots__ = ("builder", "parts")

    def __init__(self, builder: Any, parts: list[tuple[Send, int]]) -> None:
        self.builder = builder
        self.parts = parts

    def __len__(self) -> int:
        return int(self.builder.record_count())


class Lane:
    """Sends to one partition in order. `run` works until nothing is left; who adds to an idle lane starts it again."""

    def __init__(
        self,
        partition: TopicPartition,
        new_builder: Callable[[int], Any],
        deliver: Callable[[TopicPartition, Any], Awaitable[int]],
        take_back: Callable[[TopicPartition, int], None],
        settled: Callable[[int], None],
        max_record: int,
    ) -> None:
        """`new_builder` makes one for at most so many bytes. `deliver` returns the batch's first offset, and raises
        LookupError if there is no such partition, Gone if there is no such topic. `take_back` is told how many records
        the broker refused, `settled` how many are no longer pending. `max_record` is in bytes.
        """
        self._partition = partition
        self._new_builder = new_builder
        self._deliver = deliver
        self._take_back = take_back
        self._settled = settled
        self._max_record = max_record
        self._most = MOST  # records; lowered to find the one that the broker refuses
        self._limit = 1 << 31  # bytes; lowered when the topic's own limit turns out to be lower than the producer's
        self._sends: deque[Send] = deque()

    def add(self, send: Send) -> None:
        self._sends.append(send)

    async def run(self) -> None:
        """Raises what leaves it unknown whether a batch was written: this lane, or the producer, cannot go on."""
        while self._sends:
            batch = self._build()
            if batch is not None:
                await self._transfer(batch)

    def _build(self) -> Batch | None:
        """The next batch; None: a send turned out not to be sendable, and was failed."""
        builder = self._new_builder(self._limit)
        parts: list[tuple[Send, int]] = []
        count = 0
        for send in self._sends:
            try:
                added = send.fill(builder, count, self._most)
            except (TypeError, ValueError, OverflowError) as error:
                self._refuse_rest(send, f"a record is not made of bytes and an integer timestamp: {error}")
                return None
            count += added
            if added:
                parts.append((send, added))
            if send.done + added < len(send):
                break
        builder._relative_offset = count
        builder.close()
        if count == 1 and (size := builder.size()) > self._max_record:
            self._refuse(parts[0][0], too_large(size, f"the producer's max_request_size ({self._max_record})"))
            return None
        return Batch(builder, parts)

    async def _transfer(self, batch: Batch) -> None:
        size = batch.builder.size()
        try:
            offset = await self._deliver(self._partition, batch.builder)
        except TOO_LARGE:
            self._take_back(self._partition, len(batch))
            if len(batch) > 1:
                self._limit = size // 2
            else:
                self._refuse(batch.parts[0][0], too_large(size, "the topic's max.message.bytes"))
        except BAD_RECORD as error:
            self._take_back(self._partition, len(batch))
            if len(batch) > 1:
                self._most = len(batch) // 2
            else:
                self._refuse(batch.parts[0][0], reason(error))
        except REFUSED as error:
            self._take_back(self._partition, len(batch))
            for send, _ in batch.parts:
                self._refuse_rest(send, reason(error))
        except LookupError as error:
            for send in tuple(self._sends):
                send.gone = isinstance(error, Gone)
                self._refuse_rest(send, str(error))
        else:
            self._most = min(2 * self._most, MOST)
            self._advance(batch, offset)

    def _advance(self, batch: Batch, offset: int) -> None:
        for send, count in batch.parts:
            send.delivered(offset, count)
            offset += count
            if send.done == len(send):
                self._sends.popleft()
                send.finish(self._partition)
        self._settled(len(batch))

    def _refuse(self, send: Send, why: str, count: int = 1) -> None:
        """The next records of a send go nowhere, and are known not to be written."""
        send.refuse(count, why)
        if send.done == len(send):
            self._sends.remove(send)
            send.finish(self._partition)
        self._settled(count)

    def _refuse_rest(self, send: Send, why: str) -> None:
        send.lasting = True
        self._refuse(send, why, len(send) - send.done)

    def fail(self, why: str) -> None:
        """Fails all that is left: whether it was written is unknown."""
        while self._sends:
            send = self._sends.popleft()
            if not send.future.done():
                send.future.set_exception(ProduceError(f"{place(self._partition)}: {why}"))
            self._settled(len(send) - send.done)


def place(partition: TopicPartition) -> str:
    return f"topic {partition.topic!r}, partition {partition.partition}"


def too_large(size: int, limit: str) -> str:
    return f"a record of {size} bytes is larger than {limit} allows; raise that limit or make the record smaller"
