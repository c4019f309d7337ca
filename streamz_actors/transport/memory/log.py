"""The log of one partition: appended columns, read in slices, shortened by retention and compaction.

Offsets are not stored where they follow one another. A log is a *head*, what compaction has been over, whose offsets
are listed since they may have gaps, and a *tail*, where they are counted from `_tail`:

    begin           head offsets             _tail                  end
      |   2  3  7  8  11  15  16  21  22  23   |  24 25 26 27 28 29  |

Control records stand among the columns, empty, and so do aborted ones: the ledger says which to leave out.
"""

from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import compress, islice

from streamz_actors.errors import OffsetOutOfRange, ProduceError, TransportError
from streamz_actors.transport.abc import RawBatch
from streamz_actors.transport.memory.ledger import Ledger
from streamz_actors.transport.memory.settings import TopicSettings
from streamz_actors.types import Headers, TopicPartition

DIRTY_RECORDS = 100_000
"""A tail of this many records, and as long as the head, is compacted without being asked: amortised, as Kafka does."""


class PartitionLog:
    def __init__(self, partition: TopicPartition, settings: TopicSettings) -> None:
        self.partition = partition
        self.settings = settings
        self.begin = 0
        """Reading below this raises OffsetOutOfRange. Compaction does not move it."""
        self.closed = False
        """Whether the topic was deleted: nothing is read from it or appended any more."""
        self._keys: list[bytes | None] = []
        self._values: list[bytes | None] = []
        self._timestamps: list[int] = []
        self._headers: list[Headers] | None = None  # made by the first record that has any
        self._head: list[int] = []
        self._tail = 0
        self._horizons: dict[int, int] = {}  # offset of a tombstone seen by compaction → when it may go, in ms
        self._ledger: Ledger | None = None  # made by the first transaction
        self._watchers: dict[Callable[[], None], None] = {}  # a dict and not a set: woken in a fixed order

    @property
    def end(self) -> int:
        """The offset that the next record will get."""
        return self._tail + len(self._keys) - len(self._head)

    @property
    def stable_end(self) -> int:
        """Where the oldest open transaction begins, else the end: as far as readers of committed records come."""
        first = self._ledger.first_open if self._ledger is not None else None
        return self.end if first is None else max(first, self.begin)

    def __len__(self) -> int:
        """How many records it holds, control records among them."""
        return len(self._keys)

    def watch(self, callback: Callable[[], None]) -> None:
        """Calls back whenever there is something new to read, until `unwatch`."""
        self._watchers[callback] = None

    def unwatch(self, callback: Callable[[], None]) -> None:
        self._watchers.pop(callback, None)

    def close(self) -> None:
        self._drop(len(self._keys), self.end)
        self.closed = True

    # ---- writing

    def append(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
        now: int,
        producer: int | None = None,
    ) -> int:
        """The offset of the first record. Raises ProduceError and appends nothing if one record is refused.

        With a `producer` they belong to its transaction, until `end_transaction`.
        """
        self._check(keys, values, headers)
        first, settings = self.end, self.settings
        if producer is not None:
            self._ledger = self._ledger if self._ledger is not None else Ledger()
            self._ledger.add(producer, first, len(keys))
        if headers is not None and any(headers):
            if self._headers is None:
                self._headers = [()] * len(self._keys)
            self._headers.extend(headers)
        elif self._headers is not None:
            self._headers.extend([()] * len(keys))
        self._keys.extend(keys)
        self._values.extend(values)
        self._timestamps.extend([now] * len(keys) if settings.append_time else timestamps)
        if settings.compacts and self.stable_end - self._tail >= max(DIRTY_RECORDS, len(self._head)):
            self.compact(now)
        self._wake()
        return first

    def end_transaction(self, producer: int, committed: bool, now: int) -> None:
        """Appends the control record that ends what this producer has open here."""
        if self.closed:
            return
        self._ledger = self._ledger if self._ledger is not None else Ledger()
        self._ledger.end(producer, self.end, committed)
        self._keys.append(None)
        self._values.append(None)
        self._timestamps.append(now)
        if self._headers is not None:
            self._headers.append(())
        self._wake()

    def _wake(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()

    def _check(
        self, keys: Sequence[bytes | None], values: Sequence[bytes | None], headers: Sequence[Headers] | None
    ) -> None:
        refused: dict[int, str] = {}
        if self.settings.compacts and None in keys:
            why = "a record without a key cannot go to a compacted topic"
            refused = {index: why for index, key in enumerate(keys) if key is None}
        limit = self.settings.max_message_bytes
        if headers is not None or _payload(keys) + _payload(values) > limit:
            refused |= self._too_large(keys, values, headers, limit)
        if refused:
            raise ProduceError(f"{self.partition}: {next(iter(refused.values()))}", refused)

    def _too_large(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Headers] | None,
        limit: int,
    ) -> dict[int, str]:
        refused: dict[int, str] = {}
        for index, (key, value) in enumerate(zip(keys, values, strict=True)):
            size = len(key or b"") + len(value or b"")
            if headers is not None:
                size += sum(len(name) + len(content) for name, content in headers[index])
            if size > limit:
                refused[index] = (
                    f"a record of {size} bytes (number {index} of its batch) is larger than "
                    f"the topic's max.message.bytes of {limit}; raise that or send less"
                )
        return refused

    # ---- reading

    def read(self, offset: int, limit: int, committed: bool = False) -> RawBatch | None:
        """At most `limit` records from the first at or after `offset`; None at the end of the log.

        With `committed` that end is the stable one, and aborted records are left out. An empty batch moves over what
        there is nothing to show of. Raises OffsetOutOfRange.
        """
        end = self.end
        if not self.begin <= offset <= end:
            raise OffsetOutOfRange(
                f"{self.partition}: offset {offset} is not in the log, which holds {self.begin} to {end}; "
                "read from its beginning, or keep records for longer",
                {self.partition: offset},
            )
        if committed:
            end = self.stable_end
        if offset >= end:
            return None
        start, last = self._index(offset), self._index(end)
        head = len(self._head)
        offsets: Sequence[int]
        if start < head:
            stop = min(start + limit, head)
            offsets = self._head[start:stop]
        else:
            stop = min(start + limit, last)
            offsets = range(self._tail + start - head, self._tail + stop - head)
        headers = self._headers[start:stop] if self._headers is not None else None
        batch = RawBatch(
            topic=self.partition.topic,
            partition=self.partition.partition,
            keys=self._keys[start:stop],
            values=self._values[start:stop],
            timestamps=self._timestamps[start:stop],
            offsets=offsets,
            headers=headers if headers is not None and any(headers) else None,
            next_offset=offsets[-1] + 1 if stop < last else end,
        )
        if self._ledger is not None and (hidden := self._ledger.hidden(offset, batch.next_offset, committed)):
            leave_out(batch, hidden)
        return batch

    def _index(self, offset: int) -> int:
        """Where the first record at or after `offset` stands in the columns."""
        if offset >= self._tail:
            return len(self._head) + offset - self._tail
        return bisect_left(self._head, offset)

    # ---- cleaning

    def at(self, timestamp: int) -> int:
        """The offset of the first record whose time is `timestamp` (ms) or later; the end where there is none."""
        found = next((index for index, stamp in enumerate(self._timestamps) if stamp >= timestamp), None)
        return self.end if found is None else self._offset(found)

    def delete_before(self, offset: int) -> None:
        """Drops the records below `offset`. Raises OffsetOutOfRange beyond the end."""
        if offset > self.end:
            raise OffsetOutOfRange(f"{self.partition}: cannot delete up to offset {offset}, the log ends at {self.end}")
        if offset <= self.begin:
            return
        if self.settings.compacts and not self.settings.deletes:
            raise TransportError(f"{self.partition}: cleanup.policy=compact does not allow to delete records")
        self._drop(self._index(offset), offset)

    def clean(self, now: int) -> None:
        """Does now what the topic's cleanup policy asks for; `now` in milliseconds."""
        if self.settings.deletes:
            self.retain(now)
        if self.settings.compacts:
            self.compact(now)

    def retain(self, now: int) -> None:
        """Drops the records before the first that is younger than `retention.ms`, and those over `retention.bytes`."""
        count = min(max(self._too_old(now), self._too_much()), self._index(self.stable_end))
        if count == 0:
            return
        self._drop(count, self._offset(count) if count < len(self._keys) else self.end)

    def compact(self, now: int, below: int | None = None) -> None:
        """Keeps the last record of each key; a tombstone goes `delete.retention.ms` after compaction first saw it.

        What is at `below` or after it stays as it is, as Kafka leaves alone the segment that it appends to.
        What follows the first record of an open transaction stays as it is; control and aborted records go.
        """
        end = self.stable_end if below is None else max(self._tail, min(below, self.stable_end))
        clean, total = len(self._head), self._index(end)
        last = dict(zip(islice(self._keys, clean, total), range(clean, total), strict=True))
        if self._ledger is not None and (hidden := self._ledger.hidden(self._tail, end, committed=True)):
            shown = [index for index in range(clean, total) if self._tail + index - clean not in hidden]
            last = {self._keys[index]: index for index in shown}
        keep = bytearray(total)
        for index in last.values():
            keep[index] = 1
        for index, key in enumerate(islice(self._keys, clean)):
            keep[index] = key not in last
        offsets = [*self._head, *range(self._tail, end)]
        horizons: dict[int, int] = {}
        for index, value in enumerate(islice(self._values, total)):
            if value is not None or not keep[index]:
                continue
            offset = offsets[index]
            horizon = self._horizons.get(offset, now + self.settings.delete_retention_ms)
            if offset in self._horizons and horizon <= now:
                keep[index] = 0
            else:
                horizons[offset] = horizon
        self._horizons = horizons
        self._keys[:total] = compress(self._keys, keep)
        self._values[:total] = compress(self._values, keep)
        self._timestamps[:total] = compress(self._timestamps, keep)
        if self._headers is not None:
            self._headers[:total] = compress(self._headers, keep)
        self._head, self._tail = list(compress(offsets, keep)), end
        if self._ledger is not None:
            self._ledger.forget_before(end)

    def _too_old(self, now: int) -> int:
        if self.settings.retention_ms < 0:
            return 0
        oldest = now - self.settings.retention_ms
        return next((index for index, stamp in enumerate(self._timestamps) if stamp >= oldest), len(self._timestamps))

    def _too_much(self) -> int:
        """How many of the oldest records can go while at least `retention.bytes` stay."""
        limit = self.settings.retention_bytes
        if limit < 0:
            return 0
        for index in range(len(self._keys) - 1, -1, -1):
            limit -= len(self._keys[index] or b"") + len(self._values[index] or b"")
            if limit <= 0:
                return index
        return 0

    def _drop(self, count: int, begin: int) -> None:
        """Drops `count` records from the front; the log begins at `begin` then."""
        head = len(self._head)
        self._tail += max(0, count - head)
        del self._head[:count], self._keys[:count], self._values[:count], self._timestamps[:count]
        if self._headers is not None:
            del self._headers[:count]
        self._horizons = {offset: horizon for offset, horizon in self._horizons.items() if offset >= begin}
        self.begin = begin
        if self._ledger is not None:
            self._ledger.forget_before(begin)

    def _offset(self, index: int) -> int:
        head = len(self._head)
        return self._head[index] if index < head else self._tail + index - head


def leave_out(batch: RawBatch, hidden: Container[int]) -> None:
    """Takes these offsets out of a batch, and a header column that nothing is left in."""
    shown = [offset not in hidden for offset in batch.offsets]
    batch.keys, batch.values = list(compress(batch.keys, shown)), list(compress(batch.values, shown))
    batch.timestamps, batch.offsets = list(compress(batch.timestamps, shown)), list(compress(batch.offsets, shown))
    if batch.headers is not None:
        headers = list(compress(batch.headers, shown))
        batch.headers = headers if any(headers) else None


def _payload(column: Iterable[bytes | None]) -> int:
    return sum(map(len, filter(None, column)))
