"""The copies of other workers' tasks that this one keeps: one reader follows all their changelogs, for ever.

A turn: hear now and then where the changelogs end and what the group has committed → read → write what is final → ask
for a rebalance if a copy that is wanted for a move has come near the head.

Restores of the worker's own tasks go first: while there are any, nothing is read here. And nobody depends on this work:
if the broker cannot be asked, it goes on later.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from streamz_actors.assignment.plan import ready
from streamz_actors.clock import Clock
from streamz_actors.errors import OffsetOutOfRange, TransportError
from streamz_actors.tasks.restore import PAUSE
from streamz_actors.tasks.standby import StandbyTask
from streamz_actors.transport.abc import Consumer, RawBatch, Reader, Transport
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.worker")

HEAR: Final = 1.0
"""Seconds between two questions to the broker about ends and commits."""
ASK: Final = 60.0
"""Seconds after which a rebalance that moved nothing is asked for once more."""


class Gone(Exception):
    """The copy that was being written is a task's now."""


class Standbys:
    """`consumer` is the worker's, in its group. `busy` says whether tasks of the worker are being restored, `paced`
    whether others are to be left room; `rejoin` makes the group rebalance.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        consumer: Callable[[], Consumer | None],
        busy: Callable[[], bool],
        paced: Callable[[], bool],
        rejoin: Callable[[], Awaitable[None]],
        *,
        committed_only: bool,
        patience: float,
    ) -> None:
        self._transport, self._clock, self._consumer = transport, clock, consumer
        self._busy, self._paced, self._rejoin = busy, paced, rejoin
        self._committed_only, self._patience = committed_only, patience
        self.tasks: dict[str, StandbyTask] = {}
        self.warmups: frozenset[str] = frozenset()
        """Of the copies that are wanted here, those for a move."""
        self._asked: set[str] = set()
        self._ask_again = 0.0
        self._copy_of: dict[TopicPartition, StandbyTask] = {}
        self._reader: Reader | None = None
        self._reading: dict[TopicPartition, int] = {}
        """What the reader was given."""
        self._polling: asyncio.Task[list[RawBatch]] | None = None
        self._due = 0.0
        """When ends and commits are to be asked for."""
        self._changed = False
        self._wakeup = asyncio.Event()

    # -- what it keeps

    def add(self, task: StandbyTask) -> None:
        self.tasks[task.name] = task
        self._copy_of |= dict.fromkeys(task.copies, task)
        self._due = 0.0
        self._changed = True
        self._wakeup.set()

    def take(self, name: str) -> StandbyTask | None:
        """Gives a copy away, at once: nothing is written to its shelf any more. None if there is none."""
        task = self.tasks.pop(name, None)
        if task is not None:
            task.gone = True
            for place in task.copies:
                del self._copy_of[place]
            self._changed = True
            self._wakeup.set()
        return task

    def warm(self, names: Collection[str]) -> None:
        """Which copies are wanted for a move."""
        self.warmups = frozenset(names)
        self._asked &= self.warmups

    def wake(self) -> None:
        """Restores have ended, maybe."""
        self._wakeup.set()

    def lags(self) -> Mapping[str, int | None]:
        """By task: the records that its copy here is behind; None while that is not known."""
        return {name: task.lag for name, task in self.tasks.items()}

    # -- its life

    async def follow(self) -> None:
        """Follows all changelogs until it is cancelled."""
        try:
            while True:
                await self._turn()
        finally:
            await self._stop_reading()

    async def _stop_reading(self) -> None:
        polling, self._polling = self._polling, None
        if polling is not None:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
        reader, self._reader = self._reader, None
        self._reading, self._changed = {}, True
        if reader is not None:
            await reader.stop()

    async def _turn(self) -> None:
        self._wakeup.clear()
        if not self.tasks:
            await self._stop_reading()
            await self._wakeup.wait()
            return
        try:
            await self._take_polled()
            if not self._left:
                await self._hear()
            await self._assign()
            await self._ask()
        except OffsetOutOfRange as error:
            logger.warning("%s; copies are made anew", error)
            for task in self.tasks.values():
                task.begun = False
            self._reading = {}  # not there again, before it is known where it goes on
            self._due = 0.0
        except TransportError as error:
            logger.warning("copies of tables are not followed for a moment: %s", error)
            await self._clock.sleep(HEAR)
        await self._wait()

    async def _hear(self) -> None:
        """Where everything ends and what is committed; where what is new begins."""
        self._due = self._clock.monotonic() + HEAR
        tasks = list(self.tasks.values())
        committed, notes = await self._committed(sorted({place for task in tasks for place in task.sources}))
        admin = self._transport.admin
        ends = await admin.end_offsets([place for task in tasks for place in task.copies])
        new = [task for task in tasks if not task.begun]
        begins = await admin.beginning_offsets([place for task in new for place in task.copies]) if new else {}
        for task in tasks:
            if task.gone:
                continue
            if task in new:
                task.begin(begins, ends)
                self._changed = True
            task.hear(ends, committed, notes)
            self._changed |= task.rested() or task.reads().keys() != task.copies.keys() & self._reading.keys()
            await self._write(task)

    async def _committed(
        self, places: Sequence[TopicPartition]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, str]]:
        """What the group has committed, and what is noted with it. Raises TransportError."""
        consumer = self._consumer()
        if consumer is None or not places:
            return {}, {}
        committed = {place: at for place, at in (await consumer.committed(places)).items() if at is not None}
        return committed, await consumer.notes(places)

    async def _assign(self) -> None:
        """Says anew what is read, from where. What was read before that and not been taken in is read again."""
        if not self._changed:
            return
        if self._reader is None:
            reader = self._transport.reader(read_committed=self._committed_only)
            await reader.start()
            self._reader = reader
        self._changed = False
        if self._polling is not None and self._polling.done():
            self._polling.exception()  # what it is will come again
            self._polling = None
        tasks = [task for task in self.tasks.values() if task.begun]
        self._reading = {place: at for task in tasks for place, at in task.reads().items()}
        self._reader.assign(self._reading)

    async def _take_polled(self) -> None:
        polling = self._polling
        if polling is None or not polling.done():
            return
        self._polling = None
        touched: list[StandbyTask] = []
        for raw in polling.result():
            place = TopicPartition(raw.topic, raw.partition)
            task = self._copy_of.get(place)
            if task is not None and task.begun and place in self._reading:
                task.copies[place].take(raw)
                touched.append(task)
        for task in dict.fromkeys(touched):
            await self._write(task)

    async def _write(self, task: StandbyTask) -> None:
        async def pause() -> None:
            await asyncio.sleep(PAUSE if self._paced() else 0)
            if task.gone:
                raise Gone

        if task.gone:  # while another one was written
            return
        try:
            await task.write(pause)
        except Gone:
            return

    async def _ask(self) -> None:
        """A rebalance, once for each copy that has become ready to be moved to; again only after a while."""
        now = self._clock.monotonic()
        if now >= self._ask_again:
            self._asked.clear()
        near = {name for name in self.warmups & self.tasks.keys() if ready([self.tasks[name].lag])}
        if near <= self._asked:
            return
        self._asked |= near
        self._ask_again = now + ASK
        logger.info("the group rebalances, for these copies are ready: %s", ", ".join(sorted(near)))
        await self._rejoin()

    @property
    def _left(self) -> float:
        """Seconds until then, to a microsecond."""
        return max(0.0, round(self._due - self._clock.monotonic(), 6))

    async def _wait(self) -> None:
        """For records, for the next question, or for a change of what is kept."""
        if self._polling is None and self._reading and self._reader is not None and not self._busy():
            self._polling = asyncio.create_task(self._reader.poll(self._patience), name="standbys' poll")
        timer = self._clock.call_later(self._left, self._wakeup.set)
        woken = asyncio.ensure_future(self._wakeup.wait())
        try:
            waited = {woken} if self._polling is None else {woken, self._polling}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            woken.cancel()
