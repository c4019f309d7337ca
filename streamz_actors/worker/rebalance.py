"""A rebalance, as the tasks of this worker go through it. Every one of the group's partitions is taken and given anew.

    revoke      1  nothing is polled or stepped any more; actors work off what they have got, as far as they do within
                   WORK: else records behind an unfinished one would come again elsewhere, though they are done
    (awaited)   2  nothing is given to an actor any more; what is in hand ends, as far as it does within GRACE. Where
                   actors stand behind state they work on until then, for the task can't be committed before
                3  all tasks are committed that can be
                4  all tasks are frozen: nothing leaves them, as they may be somebody else's from now on
    carry_out   5  if this worker has lost its place in the group meanwhile: all tasks are dropped
    (the loop)  6  if topics have other partition counts now: provision anew
                7  tasks that went elsewhere are dropped; those that stayed go on where they stood
                8  tasks that came are opened at their committed offsets, and restored beside the loop; one of which
                   there is a copy here takes that over. Copies that are to be kept from now on are opened last

Between 3 and 7 the others may begin with what was ours. What of it is under way here can't reach them: it is dropped
in 7 with the task, and comes again where that is now. An agent whose handler takes longer than GRACE is not waited for:
its event is not committed; if the task stays, the handler has not noticed anything, else it is cancelled.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from streamz_actors.clock import Clock
from streamz_actors.errors import BrokerUnavailable, StreamzError
from streamz_actors.tasks.task import Task
from streamz_actors.worker.assigned import AssignedTasks
from streamz_actors.worker.committing import Committing
from streamz_actors.worker.growth import outdated
from streamz_actors.worker.members import Membership
from streamz_actors.worker.provision import Provision

logger = logging.getLogger("streamz_actors.worker")

WORK: Final = 0.5
"""Seconds for what actors have got: the group waits meanwhile."""
GRACE: Final = 2.0
"""Seconds for that and for what is in hand, well below the time that a group waits for its members (30 s)."""
AGAIN: Final = 1.0
"""Seconds until an assignment is carried out that could not be, for no broker answered."""
LOOK: Final = 0.05
"""Seconds between two looks at what tells nobody that it has come to rest: an actor that waits for a retry."""


class Rebalance:
    def __init__(self, members: Membership, tasks: AssignedTasks, clock: Clock, committing: Committing) -> None:
        self._members, self._tasks, self._clock, self._committing = members, tasks, clock, committing
        self.moved = asyncio.Event()
        """To be set when something in a task has moved."""

    async def revoke(self) -> None:
        """Brings the tasks to rest (steps 1 to 4), in the order given above."""
        await self._committing.pause()
        tasks = self._tasks.running()
        deadline = self._clock.monotonic() + GRACE
        # 1
        going = [task for task in tasks if not task.frozen]
        for task in going:
            task.barrier.hold()
        await self._until(lambda: all(map(_worked_off, going)), going, deadline - GRACE + WORK)
        # 2
        await self._until(lambda: not [task for task in going if not _at_rest(task)], going, deadline)
        for task in tasks:
            task.drain()
        # 3
        await self._committing.hand_over()
        # 4: a task that was restored meanwhile has done nothing yet
        for task in self._tasks.running():
            task.freeze()

    async def _until(self, done: Callable[[], bool], tasks: Sequence[Task], deadline: float) -> None:
        """What actors give on still goes through the operators behind them."""
        while not done() and self._clock.monotonic() < deadline:
            self.moved.clear()
            for task in tasks:
                _pass_on(task)
            if done():
                return
            timer = self._clock.call_later(LOOK, self.moved.set)
            try:
                await self.moved.wait()
            finally:
                timer.cancel()

    async def carry_out(
        self, provision: Provision, provide: Callable[[], Awaitable[Provision]], discard: Callable[[], None]
    ) -> Provision:
        """Makes the tasks fit the newest assignment (steps 5 to 8); gives the provision that holds from now on.

        Raises TopicMismatch where state was made for another partition count. The next rebalance may begin meanwhile:
        then tasks that stay remain frozen, and the next call goes on with them. So it does where no broker answers.
        """
        members = self._members
        assigned = members.assigned or frozenset()
        members.pending = False
        async with self._committing.lock:
            # 5
            if members.lost:
                members.lost = False
                if self._tasks.by_name:
                    logger.warning("this worker had lost its place in the group: what was not committed comes again")
                self._tasks.drop_all()
            try:
                # 6
                if outdated(provision, members.ownership, assigned):
                    provision = await provide()
                # 7, 8
                await self._tasks.fit(assigned, provision, members.ownership, lambda: members.rebalancing, discard)
            except BrokerUnavailable as error:
                logger.warning("the assignment is not carried out yet, it is tried again: %s", error)
                await self._clock.sleep(AGAIN)
                members.try_again()
        return provision


def _worked_off(task: Task) -> bool:
    return task.worked_off and task.barrier.clear


def _at_rest(task: Task) -> bool:
    """Whether nothing is in hand. As soon as nothing is left behind its state, nothing more is given out."""
    if not task.barrier.clear:
        return False
    task.drain()
    return task.drained


def _pass_on(task: Task) -> None:
    try:
        task.pass_on()
    except StreamzError as error:
        task.failed(error)
