"""The log of one partition: appended columns, read in slices, shortened by retention and compaction.

Offsets are not stored where they follow one another. A log is a *head*, what compaction has been over, whose offsets
are listed since they may have gaps, and a *tail*, where they are counted from `_tail`:

    begin           head offsets             _tail                  end
      |   2  3  7  8  11  15  16  21  22  23   |  24 25 26 27 28 29  |
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, islice

from streamz_actors.errors import OffsetOutOfRange, ProduceError, TransportError
from streamz_actors.transport.abc import RawBatch
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
        self._watchers: dict[Callable[[], None], None] = {}  # a dict and not a set: woken in a fixed order

    @property
    def end(self) -> int:
        """The offset that the next record will get."""
        return self._tail + len(self._keys) - len(self._head)

    def __len__(self) -> int:
        return len(self._keys)

    def watch(self, callback: Callable[[], None]) -> None:
        """Calls back after each append, until `unwatch`."""
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
    ) -> int:
        """The offset of the first record. Raises ProduceError and appends nothing if one record is refused."""
        self._check(keys, values, headers)
        first, settings = self.end, self.settings
        if headers is not None and any(headers):
            if self._headers is None:
                self._headers = [()] * len(self._keys)
            self._headers.extend(headers)
        elif self._headers is not None:
            self._headers.extend([()] * len(keys))
        self._keys.extend(keys)
        self._values.extend(values)
        self._timestamps.extend([now] * len(keys) if settings.append_time else timestamps)
        if settings.compacts and len(self._keys) - len(self._head) >= max(DIRTY_RECORDS, len(self._head)):
            self.compact(now)
        for watcher in tuple(self._watchers):
            watcher()
        return first

    def _check(
        self, keys: Sequence[bytes | None], values: Sequence[bytes | None], headers: Sequence[Headers] | None
    ) -> None:
        if self.settings.compacts and None in keys:
            raise ProduceError(f"{self.partition}: a record without a key cannot go to a compacted topic")
        limit = self.settings.max_message_bytes
        if headers is None and _payload(keys) + _payload(values) <= limit:
            return
        for index, (key, value) in enumerate(zip(keys, values, strict=True)):
            size = len(key or b"") + len(value or b"")
            if headers is not None:
                size += sum(len(name) + len(content) for name, content in headers[index])
            if size > limit:
                raise ProduceError(
                    f"{self.partition}: a record of {size} bytes (number {index} of its batch) is larger than "
                    f"the topic's max.message.bytes of {limit}; raise that or send less"
                )

    # ---- reading

    def read(self, offset: int, limit: int) -> RawBatch | None:
        """At most `limit` records from the first at or after `offset`; None at the end of the log.

        An empty batch moves over a tail that compaction took away. Raises OffsetOutOfRange.
        """
        end = self.end
        if offset == end:
            return None
        if not self.begin <= offset < end:
            raise OffsetOutOfRange(
                f"{self.partition}: offset {offset} is not in the log, which holds {self.begin} to {end}; "
                "read from its beginning, or keep records for longer"
            )
        start = self._index(offset)
        head = len(self._head)
        offsets: Sequence[int]
        if start < head:
            stop = min(start + limit, head)
            offsets = self._head[start:stop]
        else:
            stop = min(start + limit, len(self._keys))
            offsets = range(self._tail + start - head, self._tail + stop - head)
        headers = self._headers[start:stop] if self._headers is not None else None
        return RawBatch(
            topic=self.partition.topic,
            partition=self.partition.partition,
            keys=self._keys[start:stop],
            values=self._values[start:stop],
            timestamps=self._timestamps[start:stop],
            offsets=offsets,
            headers=headers if headers is not None and any(headers) else None,
            next_offset=offsets[-1] + 1 if stop < len(self._keys) else end,
        )

    def _index(self, offset: int) -> int:
        """Where the first record at or after `offset` stands in the columns."""
        if offset >= self._tail:
            return len(self._head) + offset - self._tail
        return bisect_left(self._head, offset)

    # ---- cleaning

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
        count = max(self._too_old(now), self._too_much())
        if count == 0:
            return
        self._drop(count, self._offset(count) if count < len(self._keys) else self.end)

    def compact(self, now: int) -> None:
        """Keeps the last record of each key; a tombstone goes `delete.retention.ms` after compaction first saw it."""
        clean, total, end = len(self._head), len(self._keys), self.end
        last = dict(zip(islice(self._keys, clean, None), range(clean, total), strict=True))
        keep = bytearray(total)
        for index in last.values():
            keep[index] = 1
        for index, key in enumerate(islice(self._keys, clean)):
            keep[index] = key not in last
        offsets = [*self._head, *range(self._tail, end)]
        horizons: dict[int, int] = {}
        for index, value in enumerate(self._values):
            if value is not None or not keep[index]:
                continue
            offset = offsets[index]
            horizon = self._horizons.get(offset, now + self.settings.delete_retention_ms)
            if offset in self._horizons and horizon <= now:
                keep[index] = 0
            else:
                horizons[offset] = horizon
        self._horizons = horizons
        self._keys = list(compress(self._keys, keep))
        self._values = list(compress(self._values, keep))
        self._timestamps = list(compress(self._timestamps, keep))
        self._headers = list(compress(self._headers, keep)) if self._headers is not None else None
        self._head, self._tail = list(compress(offsets, keep)), end

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

    def _offset(self, index: int) -> int:
        head = len(self._head)
        return self._head[index] if index < head else self._tail + index - head


def _payload(column: Iterable[bytes | None]) -> int:
    return sum(map(len, filter(None, column)))
