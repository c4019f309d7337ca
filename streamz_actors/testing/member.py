"""A simulated worker as a member of its group: while it is paused or dead it says nothing, so that it is expired."""

from collections.abc import Collection, Mapping

from streamz_actors.errors import CommitError
from streamz_actors.testing.wire import Wire, shown, split_batches
from streamz_actors.transport.abc import Assignor, GroupSettings, Listener, RawBatch
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.consumer import MemoryConsumer
from streamz_actors.types import TopicPartition


class SimulatedConsumer(MemoryConsumer):
    """Stands still with its `wire`: nothing is polled, given up or joined meanwhile."""

    def __init__(
        self, broker: MemoryBroker, settings: GroupSettings, assignor: Assignor, listener: Listener, wire: Wire
    ) -> None:
        super().__init__(broker, settings, assignor, listener)
        self._wire = wire
        self._commits, self._asks = wire.line(), wire.line()
        self._sought: set[TopicPartition] = set()
        """Partitions that were sought while records were on their way: what comes of them is from before."""

    def fall_silent(self) -> None:
        """No heartbeat from now on, until its polls go on."""
        if self._member is not None:
            self._group.leave_poll(self._member)

    async def poll(self, timeout: float) -> list[RawBatch]:
        await self._wire.passing()
        batches = await super().poll(timeout)
        for place, offset in split_batches(self._wire, batches).items():
            self.seek(place, offset)
        self._sought.clear()
        if batches:
            await self._wire.way()
        await self._wire.passing()
        return [batch for batch in batches if TopicPartition(batch.topic, batch.partition) not in self._sought]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._sought.add(partition)
        super().seek(partition, offset)

    async def _wait(self) -> None:
        await super()._wait()
        await self._go_on()

    async def _revoke(self) -> None:
        await super()._revoke()
        await self._go_on()

    async def _go_on(self) -> None:
        await self._wire.passing()
        if self._member is not None:
            self._group.enter_poll(self._member)

    async def commit(
        self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str] | None = None
    ) -> None:
        if foreign := sorted(offsets.keys() - self.assignment()):
            raise CommitError(f"{', '.join(map(str, foreign))}: not assigned to this consumer any more")
        place = self._place

        async def effect() -> None:
            for _ in range(1 + self._wire.chance(self._wire.faults.repeated)):
                self._group.check(place)
                self._group.offsets.commit(offsets, notes or {})

        await self._commits.put(f"commit {shown(offsets)}", effect, CommitError, commits=True)

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        ask = super().committed
        return await self._asks.put(f"ask for {_names(partitions)}", lambda: ask(partitions))

    async def notes(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, str]:
        ask = super().notes
        return await self._asks.put(f"ask for notes of {_names(partitions)}", lambda: ask(partitions))

    async def rejoin(self) -> None:
        await self._wire.passing()
        await super().rejoin()

    async def stop(self) -> None:
        """A dead one does not leave its group."""
        if not self._wire.dead:
            await super().stop()
            return
        self._running = False
        self._fetcher.close()
        self._group.offsets.unwatch(self._fetcher.wake)
        self.fall_silent()


def _names(partitions: Collection[TopicPartition]) -> str:
    return ", ".join(map(str, sorted(partitions)))
