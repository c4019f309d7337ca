"""What has arrived for a task and is not stepped yet: the next run is taken where the lowest timestamp stands.

Ties between partitions go to the topic that is first in alphabetical order. A run is as long as that order allows.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from streamz_actors.dataflow.batch import Batch
from streamz_actors.errors import DecodeError
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import TopicPartition


class Poison(NamedTuple):
    """The record behind a batch's last, which stops the task."""

    error: DecodeError
    offset: int


Opened = tuple[Batch, Poison | None]
Open = Callable[[RawBatch], Opened]
"""Makes a batch of a raw one."""


class Run:
    """A stretch of one partition's records. `position` is where its partition stands once the run is done."""

    __slots__ = ("batch", "partition", "poison", "position")

    def __init__(self, partition: TopicPartition, batch: Batch, position: int, poison: Poison | None) -> None:
        self.partition, self.batch, self.position, self.poison = partition, batch, position, poison


class PartitionBuffer:
    """The queue of one source partition; its first batch is opened when it is looked at."""

    def __init__(self, partition: TopicPartition, open_: Open) -> None:
        self.partition, self._open = partition, open_
        self._queue: deque[RawBatch] = deque()
        self._head: Batch | None = None
        self._poison: Poison | None = None
        self._next_offset = 0
        self.at = 0
        self.count = 0

    def add(self, raw: RawBatch) -> None:
        self._queue.append(raw)
        self.count += len(raw)

    def head(self) -> Batch | None:
        """The batch with the next record, opened; None if nothing is buffered. All its rows may be gone."""
        if self._head is None and self._queue:
            raw = self._queue.popleft()
            self._head, self._poison = self._open(raw)
            self._next_offset, self.at = raw.next_offset, 0
            self.count -= len(raw) - len(self._head)
        return self._head

    def take(self, stop: int) -> Run:
        """The head's rows up to `stop`."""
        head, start = self._head, self.at
        assert head is not None
        batch = head if start == 0 and stop == len(head) else head.slice(start, stop)
        self.count -= len(batch)
        self.at = stop
        if stop < len(head):
            return Run(self.partition, batch, head.offsets[stop], None)
        self._head = None
        poison = self._poison
        return Run(self.partition, batch, self._next_offset if poison is None else poison.offset, poison)

    def clear(self) -> None:
        self._queue.clear()
        self._head, self._poison, self.at, self.count = None, None, 0, 0


Lag = Callable[[TopicPartition], int | None]
"""How much of a partition is known to be still on its way; None: nothing is known."""


def none_behind(partition: TopicPartition) -> int:
    """All that there is has arrived."""
    return 0


@dataclass(frozen=True, slots=True)
class Idle:
    """How long a partition without records is waited for, by what clock, both in seconds: `max_task_idle`.

    0: until all that the broker is known to have is here. Above: so much longer, for what may be produced. Below: not.
    """

    limit: float = 0.0
    now: Callable[[], float] = lambda: 0.0


class Buffer:
    """The partitions of one task, in the order in which ties are broken.

    Which of several comes next can't be said while one of them has nothing here, but more at the broker (or perhaps
    more: it has not answered yet). Then all wait, as in Kafka Streams, where this is `max.task.idle.ms`.
    """

    def __init__(
        self,
        partitions: Iterable[TopicPartition],
        open_: Callable[[TopicPartition, RawBatch], Opened],
        lag: Lag = none_behind,
        idle: Idle = Idle(),
    ) -> None:
        self._lag, self._idle = lag, idle
        self.bound: float = math.inf
        """The highest timestamp, in ms, that a run may begin with or go up to. -inf: nobody knows it yet."""
        self._deadlines: dict[TopicPartition, int] = {}
        """By partition that is waited for though nothing of it is known to be on its way: until when, in ms."""
        self.partitions = {
            partition: PartitionBuffer(partition, lambda raw, partition=partition: open_(partition, raw))  # type: ignore[misc]
            for partition in sorted(partitions)
        }

    def add(self, raw: RawBatch) -> None:
        place = TopicPartition(raw.topic, raw.partition)
        self.partitions[place].add(raw)
        if self._deadlines:
            self._deadlines.pop(place, None)

    @property
    def count(self) -> int:
        return sum(partition.count for partition in self.partitions.values())

    def awaited(self) -> frozenset[TopicPartition]:
        """The partitions of which nothing is here, where others have something that may have to wait for them."""
        empty = frozenset(place for place, partition in self.partitions.items() if partition.head() is None)
        return empty if len(empty) < len(self.partitions) else frozenset()

    def clear(self) -> None:
        for partition in self.partitions.values():
            partition.clear()

    def _waits_for(self, empty: TopicPartition) -> bool:
        """Whether what is here must wait for a partition of which nothing is."""
        limit = self._idle.limit
        if limit < 0:
            return False
        if self._lag(empty) != 0:
            return True
        if not limit or not self.count:
            return False
        now = self._now()
        return now < self._deadlines.setdefault(empty, now + round(limit * 1_000))

    def _now(self) -> int:
        return round(self._idle.now() * 1_000)

    @property
    def idles(self) -> float | None:
        """For how many seconds what is here waits for nothing but time; None: it does not."""
        if not self._deadlines or not self.count:
            return None
        empty = [place for place, partition in self.partitions.items() if partition.head() is None]
        if any(self._lag(place) != 0 for place in empty):
            return None
        now = self._now()
        left = max((self._deadlines.get(place, now) - now for place in empty), default=0)
        return left / 1_000 if left > 0 else None

    def head_time(self) -> float:
        """The timestamp of the next record, in ms; -inf while it may be on its way, inf if there is none."""
        lowest = math.inf
        for partition in self.partitions.values():
            head = partition.head()
            if head is None:
                if self._lag(partition.partition) != 0:
                    return -math.inf
            elif partition.at >= len(head):
                return -math.inf  # what follows is known once this is taken, and that is not kept back
            else:
                lowest = min(lowest, head.timestamps[partition.at])
        return lowest

    @property
    def held(self) -> bool:
        """Whether all that is here is beyond a `bound` that others set who have records themselves."""
        return -math.inf < self.bound < self.head_time()

    def next_run(self, limit: int) -> Run | None:
        """At most `limit` records, with the lowest timestamps of all heads and none above `bound`; None: none."""
        chosen: PartitionBuffer | None = None
        lowest = 0
        other: int | None = None
        ties = True
        for partition in self.partitions.values():
            head = partition.head()
            if head is None:
                if len(self.partitions) > 1 and self._waits_for(partition.partition):
                    return None
                continue
            if partition.at >= len(head):
                return partition.take(partition.at)
            timestamp = head.timestamps[partition.at]
            if chosen is None:
                chosen, lowest = partition, timestamp
            elif timestamp < lowest:
                chosen, lowest, other, ties = partition, timestamp, lowest, False
            elif other is None or timestamp < other:
                other, ties = timestamp, True
        if chosen is None or lowest > self.bound:
            return None
        highest = self.bound
        if other is not None:
            highest = min(highest, other if ties else other - 1)
        return chosen.take(_run_end(chosen, limit, highest))


def _run_end(buffer: PartitionBuffer, limit: int, highest: float) -> int:
    """One past the last row before the first with a timestamp above `highest`."""
    head: Any = buffer.head()
    end = min(len(head), buffer.at + limit)
    if highest == math.inf:
        return end
    timestamps = head.timestamps
    for row in range(buffer.at + 1, end):
        if timestamps[row] > highest:
            return row
    return end


def milliseconds(moment: int | datetime) -> int:
    """The event time that an extractor gave."""
    return round(moment.timestamp() * 1000) if isinstance(moment, datetime) else int(moment)
