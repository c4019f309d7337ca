"""What consumer and reader share: a position in each of several logs, bounded reading, and waiting for more.

Appends tell the fetcher which logs have something, so that a poll costs what it returns, not what is assigned.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping

from streamz_actors.clock import Clock, Timer
from streamz_actors.errors import OffsetOutOfRange, UsageError
from streamz_actors.transport.abc import RawBatch
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.log import PartitionLog
from streamz_actors.types import TopicPartition

BATCH_RECORDS = 2_000
POLL_RECORDS = 10_000
UNSETTLED = -1
"""The position of a partition from which nothing can be read before `seek` says where to start."""

Reset = Callable[[PartitionLog, OffsetOutOfRange], int]
"""Where to go on when a position is not in the log; may raise the error instead."""


class Cursor:
    """A position in one log. It stands in its fetcher's line while there may be something to read."""

    __slots__ = ("_line", "_wake", "log", "paused", "position")

    def __init__(self, log: PartitionLog, position: int, line: "dict[Cursor, None]", wake: Callable[[], None]) -> None:
        self.log = log
        self.position = position
        self.paused = False
        self._line = line
        self._wake = wake

    def stand_in_line(self) -> None:
        self._line[self] = None
        self._wake()


class Fetcher:
    def __init__(self, broker: MemoryBroker, reset: Reset, committed: bool = False) -> None:
        """`committed`: whether only records of committed transactions are read."""
        self._broker = broker
        self._reset = reset
        self._committed = committed
        self._cursors: dict[TopicPartition, Cursor] = {}
        self._line: dict[Cursor, None] = {}
        self._woken = asyncio.Event()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Replaces everything; nothing is paused. Raises TransportError for a partition that does not exist."""
        logs = {partition: self._broker.log(partition) for partition in positions}
        for cursor in self._cursors.values():
            cursor.log.unwatch(cursor.stand_in_line)
        self._line.clear()
        self._cursors = {tp: Cursor(log, positions[tp], self._line, self.wake) for tp, log in logs.items()}
        for cursor in self._cursors.values():
            cursor.log.watch(cursor.stand_in_line)
            cursor.stand_in_line()

    def close(self) -> None:
        """Lets go of the logs and ends a wait."""
        self.assign({})
        self.wake()

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            if cursor := self._cursors.get(partition):
                cursor.paused = True

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            if cursor := self._cursors.get(partition):
                cursor.paused = False
                cursor.stand_in_line()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        cursor = self._cursor(partition)
        cursor.position = offset
        cursor.stand_in_line()

    def position(self, partition: TopicPartition) -> int:
        return self._cursor(partition).position

    def lag(self, partition: TopicPartition) -> int | None:
        cursor = self._cursor(partition)
        if cursor.position == UNSETTLED:
            return None
        end = cursor.log.stable_end if self._committed else cursor.log.end
        return max(0, end - cursor.position)

    def collect(self) -> list[RawBatch]:
        """At most POLL_RECORDS of what can be read now, one batch a partition; what is left goes first next time."""
        batches: list[RawBatch] = []
        room = POLL_RECORDS
        for cursor in tuple(self._line):
            if room == 0:
                break
            if cursor.paused or cursor.log.closed or cursor.position == UNSETTLED:
                del self._line[cursor]
                continue
            try:
                batch = self._read(cursor, min(room, BATCH_RECORDS))
            except OffsetOutOfRange:
                if batches:  # it comes with the next call, when nothing else would be lost
                    break
                raise
            del self._line[cursor]
            if batch is None:
                continue
            cursor.position = batch.next_offset
            self._line[cursor] = None
            room -= len(batch)
            batches.append(batch)
        return batches

    def wake(self) -> None:
        """Ends the present `wait`, or the next one if `rest` is not called before it."""
        self._woken.set()

    def rest(self) -> None:
        self._woken.clear()

    async def wait(self) -> None:
        await self._woken.wait()

    def _read(self, cursor: Cursor, limit: int) -> RawBatch | None:
        try:
            return cursor.log.read(cursor.position, limit, self._committed)
        except OffsetOutOfRange as error:
            cursor.position = self._reset(cursor.log, error)
        return cursor.log.read(cursor.position, limit, self._committed)

    def _cursor(self, partition: TopicPartition) -> Cursor:
        cursor = self._cursors.get(partition)
        if cursor is None:
            raise UsageError(f"{partition} is not assigned here")
        return cursor


class Alarm:
    """Wakes somebody once after so many seconds, unless it is cancelled. `rang` stays true afterwards."""

    def __init__(self, clock: Clock, seconds: float, wake: Callable[[], None]) -> None:
        self.rang = seconds <= 0
        self._wake = wake
        self._timer: Timer | None = None if self.rang else clock.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self.rang = True
        self._wake()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
