"""Commits under exactly-once: one transaction for the whole worker, and what follows one that failed.

           a commit is due                    all tasks stand              the broker has it
    open ──────────────────▶ gathering ────────────────────────▶ ending ────────────────────▶ open
     ▲                           │ an event takes too long         │ failed, outcome unknown
     │                           ▼                                 ▼
     │                     the worker fails                   given up: tasks and producer are dropped
     └────────── the same id is started, tasks are taken in anew ──┘

While it gathers, what is in hand ends; tasks without agents and slow calls go on. The producer's start fences what is
left of the transaction, so that the offsets read thereafter say what became of it.
"""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Final

from streamz_actors.errors import CommitError, ProduceError, StreamzError, TransportError
from streamz_actors.tasks.task import Task
from streamz_actors.tasks.transaction import Cut, cut, finish, has_news, holder, settle, standing
from streamz_actors.transport.abc import TransactionalProducer, Transport
from streamz_actors.worker.committing import Committing, Parts

logger = logging.getLogger("streamz_actors.worker")

TRANSACTION: Final = 60.0
"""Seconds after which the broker aborts a transaction."""
PATIENCE: Final = TRANSACTION / 2
"""Seconds that an event may keep a transaction from ending."""
LOOK: Final = 0.05
"""Seconds between two looks at what tells nobody that it has come to rest: an actor that waits for a retry."""
STRETCH: Final = 1.0
"""Seconds that count at the most between two looks: if there were more, the process was suspended, no event is slow."""
FAILURES: Final = 8
"""Transactions that fail one after the other until the worker does, 25 s later: more than a session takes to expire."""
GRACE: Final = 2.0
"""Seconds for a step that is under way when tasks are handed over."""
PAUSE: Final = 0.2
"""Seconds before the second try; twice as long before each further one."""
LONGEST: Final = 10.0
"""Seconds between two tries at the most."""


class ExactlyOnce(Committing):
    """`producer` is the one that the collector sends with."""

    def __init__(self, parts: Parts, producer: TransactionalProducer, transport: Transport) -> None:
        super().__init__(parts)
        self._producer, self._transport = producer, transport
        self._moved = asyncio.Event()
        self._gathering = False
        self._closed = False
        """Nothing is given to actors, so that they come to rest."""
        self._over = False
        """Only the last commit, of `hand_over`, is to be made from now on."""
        self._failed = 0
        """Transactions given up since the last that ended."""
        self._ruined: StreamzError | None = None
        self._restarting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._producer.start()

    @property
    def ready(self) -> bool:
        return self._restarting is None and self._failed < FAILURES

    @property
    def left(self) -> float:
        return super().left if self.ready else self.parts.interval

    @property
    def due(self) -> bool:
        return self.ready and (super().due or (self._ruined is not None and not self.under_way))

    def ruin(self, error: StreamzError) -> None:
        """A send has failed, and the transaction with it."""
        if self._ruined is None:
            self._ruined = error
            self.moved()
            self.parts.wake()

    def moved(self) -> None:
        self._moved.set()

    def awaits(self, task: Task) -> bool:
        if not self._gathering or not (task.barrier.held or task.asynchronous):
            return False
        if not task.committable_now:
            task.pass_on()
        return True

    async def stop(self) -> None:
        await super().stop()
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
            self._restarting = None

    # -- a transaction ends

    async def commit(self, *, waits: bool = False) -> None:
        async with self.lock:
            self.begin()
            await self._commit(hurried=False)

    async def pause(self) -> None:
        self._over = True
        self.moved()
        async with self.lock:
            """What was under way has ended."""

    async def hand_over(self) -> None:
        """What can't be committed is given up with all the rest of the transaction, and comes again."""
        await self.pause()
        try:
            async with self.lock:
                await self._commit(hurried=True)
        finally:
            self._over = False

    async def _commit(self, *, hurried: bool) -> None:
        if not self.ready or self.over:
            return
        try:
            taken = await self._gathered(hurried=hurried)
            if taken is not None:
                await finish(taken, self.parts.collector, self._producer, self.parts.watch)
        except TransportError as error:
            self._give_up(error)
            return
        except StreamzError as error:
            self.parts.failed(error)
            return
        if taken is not None:
            await self._ended(taken)

    def _tasks(self) -> list[Task]:
        """Frozen ones have nothing in this transaction: they were frozen when the last one had ended."""
        return [task for task in self.parts.assigned.running() if not task.frozen]

    async def _ended(self, taken: Cut) -> None:
        parts = self.parts
        parts.collector.release()
        self._failed = 0
        parts.assigned.committed = {**parts.assigned.committed, **taken.moved}
        await settle(taken, parts.watch)
        self.commits += 1
        parts.purge.after(self._tasks(), parts.assigned.committed)

    # -- it comes to its end

    async def _gathered(self, *, hurried: bool) -> Cut | None:
        """Takes what the transaction commits, as soon as all tasks stand. None if there is nothing, or no way to.

        Those as well that are restored meanwhile: what they send is in this transaction, so their offsets must be.
        Raises what ruined it, CommitError for what is `hurried` and does not stand, HandlerError for what takes too
        long.
        """
        parts = self.parts
        self._check()
        tasks = self._tasks()
        if not has_news(tasks, parts.collector, parts.assigned.committed):
            return None
        self._gathering = True
        waited, looked = 0.0, parts.clock.monotonic()
        try:
            while not standing(tasks := self._tasks()):
                self._check()
                if any(task.spoilt or task.failure is not None for task in tasks) or (self._over and not hurried):
                    return None
                before, looked = looked, parts.clock.monotonic()
                waited += min(looked - before, STRETCH)
                if hurried and (waited > GRACE or not any(task.stepping for task in tasks)):
                    raise CommitError("what is in hand does not come to its end in time")
                if waited > PATIENCE:
                    raise holder(tasks, PATIENCE)
                self._bring_to_rest(tasks)
                await self._something_moves()
            return self._cut(tasks)
        finally:
            self._gathering = False
            self._let_go(tasks)

    def _check(self) -> None:
        if self._ruined is not None:
            raise self._ruined

    def _cut(self, tasks: Sequence[Task]) -> Cut:
        parts = self.parts
        assert parts.members.consumer is not None
        assigned = parts.assigned
        places = {place for task in tasks for place in task.partitions}
        known = {place: at for place, at in {**assigned.begun, **assigned.committed}.items() if place in places}
        return cut(tasks, parts.collector, known, assigned.committed, parts.members.consumer.member, parts.watch)

    def _bring_to_rest(self, tasks: Sequence[Task]) -> None:
        """First what must be worked off, for as long as that takes; then nothing more is given to anybody."""
        for task in tasks:
            task.barrier.hold()
        closed, self._closed = self._closed, all(task.barrier.clear for task in tasks)
        for task in tasks:
            if self._closed:
                task.drain()
            elif closed and not self._over:
                task.legs.resume()

    def _let_go(self, tasks: Sequence[Task]) -> None:
        closed, self._closed = self._closed, False
        for task in tasks:
            task.barrier.release()
            if closed and not self._over and not task.frozen:
                task.resume()
        self.parts.wake()

    async def _something_moves(self) -> None:
        self._moved.clear()
        timer = self.parts.clock.call_later(LOOK, self._moved.set)
        try:
            await self._moved.wait()
        finally:
            timer.cancel()

    # -- it is given up

    def _give_up(self, error: TransportError) -> None:
        """Drops everything that is not committed for certain; begins anew, unless this has happened too often."""
        self._ruined = None
        self._failed += 1
        logger.warning("the transaction is given up (%s): what was not committed comes again", error)
        self.parts.assigned.drop_all()
        if isinstance(error, ProduceError) and error.refused:  # it would be so each time it comes again
            self._failed = FAILURES
            self.parts.failed(error)
            return
        if self._failed >= FAILURES:
            self.parts.failed(_too_often(error))
            return
        self._restarting = asyncio.create_task(self._restart(), name="restart of the transactional producer")
        self._restarting.add_done_callback(self._restarted)

    async def _restart(self) -> None:
        pauses = itertools.chain([0.0], (PAUSE * 2**number for number in range(FAILURES)), itertools.repeat(LONGEST))
        for pause in itertools.islice(pauses, self._failed - 1, None):
            if pause:
                await self.parts.clock.sleep(min(pause, LONGEST))
            await self._producer.drop()
            try:
                await self._producer.start()
            except TransportError as error:
                logger.warning("the transactional producer can't be started again yet: %s", error)
                continue
            return

    def _restarted(self, restart: "asyncio.Task[None]") -> None:
        if restart.cancelled():
            return
        self._restarting = None
        error = restart.exception()
        if error is not None:
            self.parts.failed(error)
            return
        self.parts.collector.reset()
        self._ruined = None
        self.parts.members.pending = self.parts.members.assigned is not None
        self.parts.wake()

    async def fence(self) -> None:
        """Sees to it that workers that are gone can end nothing any more: their offsets are what they are from now on.

        One that can't be fenced is left to the broker's time-out, and to the next time.
        """
        ids = self.parts.members.to_fence
        results = await asyncio.gather(*map(self._transport.fence, ids), return_exceptions=True)
        failed = {name: result for name, result in zip(ids, results, strict=True) if result is not None}
        for name, error in failed.items():
            if not isinstance(error, TransportError):
                raise error
            logger.warning("the producer %r of a worker that is gone was not fenced: %s", name, error)
        self.parts.members.fenced([name for name in ids if name not in failed])


def _too_often(error: TransportError) -> CommitError:
    failure = CommitError(
        f"{FAILURES} transactions in a row were given up, the last one because: {error}. A record that is refused is "
        f"so each time it comes again; a producer is fenced again and again if there are two workers of one name"
    )
    failure.__cause__ = error
    return failure
