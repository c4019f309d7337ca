"""What is done where the broker no longer has the records that come next: retention was faster, or the topic is new.

Kafka's own clients go on with the earliest that there are, and nobody hears of it. Here that must be asked for.

Records that the group has passed are not lost: another worker has read them, and they were deleted. Who still asks for
them was cut off from its group, and is about to hear of it.
"""

import logging
from collections import Counter
from collections.abc import Mapping

from streamz_actors.clock import Clock
from streamz_actors.errors import OffsetOutOfRange
from streamz_actors.transport.abc import Admin, Consumer, RawBatch
from streamz_actors.types import TopicPartition
from streamz_actors.worker.assigned import AssignedTasks

logger = logging.getLogger("streamz_actors.worker")
PAUSE = 0.1
"""Seconds until a worker that was cut off from its group asks its brokers again."""


class LostRecords:
    """`policy` is the setting `on_offset_out_of_range`."""

    def __init__(self, tasks: AssignedTasks, admin: Admin, clock: Clock, policy: str) -> None:
        self._tasks, self._admin, self._clock, self._policy = tasks, admin, clock, policy
        self.skipped: Counter[TopicPartition] = Counter()
        """How many records there were no more of, by source partition."""

    async def poll(self, consumer: Consumer, patience: float) -> list[RawBatch]:
        """As the consumer polls. Raises OffsetOutOfRange where the policy is to fail."""
        try:
            return await consumer.poll(patience)
        except OffsetOutOfRange as error:
            if not error.positions:
                raise
            await self._go_on(consumer, error)
            return []

    async def _go_on(self, consumer: Consumer, error: OffsetOutOfRange) -> None:
        wanted = await self._unread(consumer, error.positions)
        if not wanted:
            await self._clock.sleep(PAUSE)
            return
        begins = await self._admin.beginning_offsets(wanted)
        ends = await self._admin.end_offsets(wanted)
        if self._policy == "fail":
            said = "; ".join(explained(place, at, begins[place], ends[place]) for place, at in wanted.items())
            raise OffsetOutOfRange(
                f"{said}. To go on without them set on_offset_out_of_range to earliest or latest", wanted
            ) from error
        chosen = begins if self._policy == "earliest" else ends
        there = {place: chosen[place] for place in wanted.keys() & consumer.assignment()}
        for place, at in there.items():
            logger.warning("%s; going on at offset %d", explained(place, wanted[place], begins[place], ends[place]), at)
            self.skipped[place] += max(0, at - wanted[place])
            consumer.seek(place, at)
        self._tasks.skip(there)

    async def _unread(
        self, consumer: Consumer, positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Without those that the group has passed."""
        committed = await self._admin.committed(consumer.member.group, positions)
        return {place: at for place, at in positions.items() if (committed[place] or 0) <= at}


def explained(place: TopicPartition, wanted: int, begin: int, end: int) -> str:
    where = f"topic {place.topic!r}, partition {place.partition}"
    if wanted < begin:
        return f"{where}: {begin - wanted} records are gone that were not read, offset {wanted} to {begin - 1}"
    return f"{where}: the next record is at offset {wanted}, but the log ends at {end}: was the topic made anew?"
