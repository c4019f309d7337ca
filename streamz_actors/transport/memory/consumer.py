"""A member of a consumer group on the embedded broker. Nothing of it runs but its polls."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace

from streamz_actors.errors import CommitError, OffsetOutOfRange, TransportError
from streamz_actors.transport.abc import Assignor, Consumer, GroupMember, GroupSettings, Listener, RawBatch
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.fetch import UNSETTLED, Alarm, Fetcher
from streamz_actors.transport.memory.group import Member
from streamz_actors.transport.memory.log import PartitionLog
from streamz_actors.types import TopicPartition


class MemoryConsumer(Consumer):
    """Rebalances happen inside `poll`: a group waits for a member that does not call it, up to its session timeout.

    A poll that is cancelled cancels the listener's `on_revoked` with it; the next poll calls that again.
    """

    def __init__(self, broker: MemoryBroker, settings: GroupSettings, assignor: Assignor, listener: Listener) -> None:
        self._broker = broker
        self._settings = settings
        self._assignor = assignor
        self._listener = listener
        self._group = broker.group(settings.group)
        self._fetcher = Fetcher(broker, self._out_of_range, settings.read_committed)
        self._topics: frozenset[str] = frozenset()
        self._member: Member | None = None
        self._place = GroupMember(settings.group, -1, "", settings.group_instance_id)
        self._assigned: frozenset[TopicPartition] | None = None  # None: between two assignments
        self._unsettled: set[TopicPartition] = set()  # where to start depends on how a transaction ends
        self._running = False

    async def start(self, topics: Collection[str]) -> None:
        self._topics = frozenset(topics)
        self._group.offsets.watch(self._fetcher.wake)
        self._running = True

    async def poll(self, timeout: float) -> list[RawBatch]:
        if not self._running:
            raise TransportError(f"group {self._settings.group!r}: poll of a consumer that is not running")
        await asyncio.sleep(0)  # polls that always find something must not keep the loop to themselves
        if self._member is not None:
            self._group.enter_poll(self._member)
        alarm = Alarm(self._broker.clock, timeout, self._fetcher.wake)
        try:
            return await self._poll(alarm)
        finally:
            alarm.cancel()
            if self._member is not None:
                self._group.leave_poll(self._member)

    async def _poll(self, alarm: Alarm) -> list[RawBatch]:
        while self._running:
            self._fetcher.rest()
            await self._take_part()
            self._settle()
            batches = self._fetcher.collect() if self._assigned is not None else []
            if batches or alarm.rang:
                return batches
            await self._wait()
        return []

    async def _wait(self) -> None:
        """Until something changed, or another member may have to be expired."""
        seconds = self._group.next_expiry(self._member) if self._member is not None else None
        check = Alarm(self._broker.clock, seconds, self._fetcher.wake) if seconds is not None else None
        try:
            await self._fetcher.wait()
        finally:
            if check is not None:
                check.cancel()

    async def _take_part(self) -> None:
        """Does what the group asks of this member at this moment."""
        if self._member is not None:
            self._group.expire_others(self._member)
        if self._left_behind():
            await self._revoke()
        if not self._running:  # stopped while the listener worked
            return
        member = self._join()
        share = self._group.take(member)
        if share is None:
            return
        self._assigned = frozenset(share.partitions)
        self._place = replace(self._place, generation=member.generation, member_id=member.id)
        self._assignor.on_assigned(share, member.generation, member.id, self._group.leads(member))
        self._unsettled = {partition for partition in share.partitions if not self._settled(partition)}
        settled = self._assigned - self._unsettled
        self._fetcher.assign({tp: self._start(tp) if tp in settled else UNSETTLED for tp in share.partitions})
        self._listener.on_assigned(self._assigned)

    def _left_behind(self) -> bool:
        """Whether what is assigned is no longer this member's to keep."""
        member = self._member
        return member is None or not self._group.knows(member) or self._group.awaits(member)

    async def _revoke(self) -> None:
        if self._assigned is None:
            return
        await self._listener.on_revoked(self._assigned)
        self._assigned = None
        self._unsettled.clear()
        self._fetcher.assign({})

    def _join(self) -> Member:
        member = self._member
        if member is not None and member.fenced:
            raise TransportError(
                f"group {self._settings.group!r}: another consumer came with this one's "
                f"group_instance_id {self._settings.group_instance_id!r}; give each its own"
            )
        if member is None or not self._group.knows(member):
            member = self._group.admit(self._settings, self._topics, self._assignor, self._fetcher.wake)
            self._member = member
            self._group.expire_others(member)
        if self._group.awaits(member):
            self._group.join(member)
        return member

    def _settled(self, partition: TopicPartition) -> bool:
        return not self._settings.read_committed or self._group.offsets.stable([partition])

    def _settle(self) -> None:
        """Starts where the transactions that held positions have ended."""
        for partition in [partition for partition in sorted(self._unsettled) if self._settled(partition)]:
            self.seek(partition, self._start(partition))

    def _start(self, partition: TopicPartition) -> int:
        committed = self._group.offsets.committed.get(partition)
        if committed is not None:
            return committed
        nothing = OffsetOutOfRange(f"{partition}: group {self._settings.group!r} has committed no offset of it")
        return self._reset(self._broker.log(partition), nothing)

    def _out_of_range(self, log: PartitionLog, error: OffsetOutOfRange) -> int:
        if self._settings.on_out_of_range == "raise":
            raise error
        return self._reset(log, error)

    def _reset(self, log: PartitionLog, error: OffsetOutOfRange) -> int:
        match self._settings.auto_offset_reset:
            case "earliest":
                return log.begin
            case "latest":
                return log.end
            case _:
                raise error

    async def rejoin(self) -> None:
        if self._running and self._member is not None:
            self._group.rejoin(self._member)

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assigned or frozenset()

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._fetcher.pause(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._fetcher.resume(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._unsettled.discard(partition)
        self._fetcher.seek(partition, offset)

    @property
    def heard_at(self) -> float:
        """Now, always: the broker is here."""
        return self._broker.clock.monotonic()

    def lag(self, partition: TopicPartition) -> int | None:
        return self._fetcher.lag(partition) if self._assigned is not None and partition in self._assigned else None

    async def commit(
        self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str] | None = None
    ) -> None:
        if foreign := sorted(offsets.keys() - self.assignment()):
            raise CommitError(
                f"group {self._settings.group!r}: {', '.join(map(str, foreign))} not assigned to this consumer any more"
            )
        self._group.commit(self._member, offsets, notes or {})

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        if self._settings.read_committed:
            await self._group.offsets.until_stable(partitions)
        return self._broker.committed(self._settings.group, partitions)

    async def notes(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, str]:
        kept = self._group.offsets.notes
        return {partition: kept[partition] for partition in partitions if partition in kept}

    @property
    def member(self) -> GroupMember:
        return self._place

    async def stop(self) -> None:
        if not self._running:
            return
        self._running = False
        self._assigned = None
        self._group.offsets.unwatch(self._fetcher.wake)
        self._fetcher.close()
        if self._member is not None:
            self._group.leave(self._member)
