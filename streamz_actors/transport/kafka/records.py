"""From a fetched response to columns: whole record batches are kept as they came, and decoded when they are handed out.

aiokafka makes an object of every record. Here its C parser is asked for a batch at a time, and one pass fills the
columns; which batches count (control records, aborted transactions) is decided as aiokafka's PartitionRecords does.
"""

import struct
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import google_crc32c
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import Headers, TopicPartition


class Fetched:
    """The bytes of a response beside aiokafka's reader of them, which does not give them out: checksums need them."""

    __slots__ = ("_records", "data", "has_next", "next_batch", "size_in_bytes")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._records = records = MemoryRecords(data)
        self.has_next, self.next_batch, self.size_in_bytes = records.has_next, records.next_batch, records.size_in_bytes


fetcher.MemoryRecords = Fetched
"""Looked up there by name for each response."""

NEWEST: Final = 2
"""The format of record batches since Kafka 0.11; brokers convert older ones when they are asked for."""
FRAME: Final = struct.Struct(">8xi4xbI")
"""Of a batch: offset, size (of what follows it), leader epoch, format, checksum of what follows that."""
COUNTED: Final = 12
"""Bytes in front of what the size counts."""


class Piece(NamedTuple):
    """A record batch not yet decoded, or (None) a stretch of offsets without any record for the reader."""

    batch: Any | None
    next_offset: int
    begin: int
    """Where it begins among the response's bytes."""


class Response:
    """What one fetch brought for one partition. `end` is the position after all of it."""

    __slots__ = ("_check_crcs", "_data", "_partition", "_pieces", "_position", "end")

    def __init__(self, partition: TopicPartition, records: Any) -> None:
        """`records` is aiokafka's PartitionRecords of this response, from which nothing has been taken."""
        self._partition = partition
        self._check_crcs, self._data = records._check_crcs, records._records.data
        self._position: int = records.next_fetch_offset
        # Never started, it would hold itself and the response's bytes in a circle until a garbage collection.
        records._records_iterator = None
        self._pieces = deque(pieces(partition, records))
        self.end = self._pieces[-1].next_offset if self._pieces else self._position

    @property
    def empty(self) -> bool:
        return not self._pieces

    def take(self, records: int) -> RawBatch:
        """The next whole batches, until they hold `records` records or the response ends."""
        columns = Columns()
        while self._pieces and len(columns) < records:
            batch, next_offset, begin = self._pieces.popleft()
            if batch is not None:
                if self._check_crcs:
                    verify(self._partition, batch, self._data, begin)
                columns.add(batch, self._position)
            self._position = next_offset
        return columns.freeze(self._partition, self._position)


def pieces(partition: TopicPartition, records: Any) -> Iterator[Piece]:
    memory, committed = records._records, records._isolation_level == READ_COMMITTED
    end = 0
    while memory.has_next():
        batch, begin = memory.next_batch(), end
        end = begin + COUNTED + FRAME.unpack_from(memory.data, begin)[0]
        skipped = False
        if committed and batch.producer_id is not None:
            records._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch:
                verify(partition, batch, memory.data, begin)
                if records._contains_abort_marker(batch):
                    records._aborted_producers.discard(batch.producer_id)
            skipped = batch.is_transactional and batch.producer_id in records._aborted_producers
        yield Piece(None if skipped or batch.is_control_batch else batch, batch.next_offset, begin)


def verify(partition: TopicPartition, batch: Any, data: bytes, begin: int) -> None:
    if not intact(batch, data, begin):
        raise CorruptRecordException(f"a batch of {partition} before offset {batch.next_offset} has a wrong checksum")


def intact(batch: Any, data: bytes, begin: int) -> bool:
    """Whether a batch's checksum is right: by the processor's own instruction, where it has one (aiokafka: in C)."""
    size, magic, checksum = FRAME.unpack_from(data, begin)
    if magic != NEWEST or google_crc32c.implementation != "c":
        return bool(batch.validate_crc())
    return bool(google_crc32c.value(data[begin + FRAME.size : begin + COUNTED + size]) == checksum)


class Columns:
    """Columns that grow by whole batches."""

    __slots__ = ("_headers", "_keys", "_stretches", "_timestamps", "_values")

    def __init__(self) -> None:
        self._keys: list[bytes | None] = []
        self._values: list[bytes | None] = []
        self._timestamps: list[int] = []
        self._stretches: list[Sequence[int]] = []  # of offsets, one for each batch
        self._headers: list[tuple[int, Headers]] = []  # only of records that have some, with the record's index

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, batch: Any, position: int) -> None:
        """Decodes `batch`: once only, for it is an iterator. What lies before `position` is left out."""
        offsets: list[int] = []
        key, value, timestamp, offset = (
            self._keys.append,
            self._values.append,
            self._timestamps.append,
            offsets.append,
        )
        # A plain loop: measured faster than comprehensions, attrgetter and map, as no record outlives its turn.
        for record in batch:
            key(record.key)
            value(record.value)
            timestamp(record.timestamp)
            offset(record.offset)
            if found := record.headers:
                self._headers.append((len(self._keys) - 1, headers_of(found)))
        if offsets and offsets[0] < position:
            self._drop_before(position, offsets)
        if offsets:
            self._stretches.append(compact(offsets))

    def _drop_before(self, position: int, offsets: list[int]) -> None:
        """A fetch returns the whole batch that holds its position, also what comes before that."""
        begin, early = len(self._keys) - len(offsets), bisect_left(offsets, position)
        for column in (self._keys, self._values, self._timestamps):
            del column[begin : begin + early]
        del offsets[:early]
        self._headers = [
            (index if index < begin else index - early, headers)
            for index, headers in self._headers
            if not begin <= index < begin + early
        ]

    def freeze(self, partition: TopicPartition, next_offset: int) -> RawBatch:
        return RawBatch(
            partition.topic,
            partition.partition,
            self._keys,
            self._values,
            self._timestamps,
            joined(self._stretches),
            self._header_column(),
            next_offset,
        )

    def _header_column(self) -> list[Headers] | None:
        if not self._headers:
            return None
        column: list[Headers] = [()] * len(self._keys)
        for index, headers in self._headers:
            column[index] = headers
        return column


def headers_of(found: Sequence[tuple[str, bytes | None]]) -> Headers:
    """A header without a value, which Kafka allows, becomes an empty one."""
    return tuple((name, value or b"") for name, value in found)


def compact(offsets: list[int]) -> Sequence[int]:
    """The same rising offsets, as a range where they have no gaps."""
    first, last = offsets[0], offsets[-1]
    return range(first, last + 1) if last - first + 1 == len(offsets) else offsets


def joined(stretches: list[Sequence[int]]) -> Sequence[int]:
    if len(stretches) == 1:
        return stretches[0]
    return compact(list(chain.from_iterable(stretches))) if stretches else range(0)
