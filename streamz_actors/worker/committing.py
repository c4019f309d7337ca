"""When a worker commits, which of its tasks can be, and what follows a commit that failed.

A commit runs beside the loop: what is written and sent after it has taken its part belongs to the next one. So tasks go
on while the broker acknowledges; only one that a commit has to wait for stands still.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from streamz_actors.clock import Clock
from streamz_actors.errors import CommitError, StreamzError, TransportError
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.commit import Watcher, commit
from streamz_actors.tasks.task import Task
from streamz_actors.types import TopicPartition
from streamz_actors.worker.assigned import AssignedTasks
from streamz_actors.worker.members import Membership
from streamz_actors.worker.purge import Purge

logger = logging.getLogger("streamz_actors.worker")

MOST_WRITTEN = 250_000
"""Keys written since the last commit, over all tables, at which the next does not wait for its time.

Twice as many, and nothing more is stepped until the commit under way has ended.
"""


class Committing:
    """`lock` is held during a commit, and by whoever exchanges tasks. `failed` ends the worker."""

    def __init__(
        self,
        assigned: AssignedTasks,
        members: Membership,
        collector: RecordCollector,
        purge: Purge,
        clock: Clock,
        interval: float,
        watch: Watcher,
        failed: Callable[[BaseException], None],
        wake: Callable[[], None],
    ) -> None:
        self._assigned, self._members, self._collector, self._purge = assigned, members, collector, purge
        self._clock, self._interval, self._watch, self._failed, self._wake = clock, interval, watch, failed, wake
        self.lock = asyncio.Lock()
        self.commits = 0
        self._under_way: asyncio.Task[None] | None = None
        self._due = 0.0
        self._late: set[str] = set()
        """Tasks that could not be committed when a commit was due: in the middle of a step, or held up by what stands
        behind their state.
        """

    def begin(self) -> None:
        """The first interval begins now."""
        self._due = self._clock.monotonic() + self._interval

    @property
    def left(self) -> float:
        """Seconds until the next commit, to a microsecond; one that is under way says by itself when it has ended, and
        during a rebalance none begins (the loop must not wait for no time at all).
        """
        if self.under_way or self._members.rebalancing:
            return self._interval
        return max(0.0, round(self._due - self._clock.monotonic(), 6))

    @property
    def under_way(self) -> bool:
        return self._under_way is not None

    @property
    def due(self) -> bool:
        if self.under_way:
            return False
        tasks = self._assigned.by_name
        ready = any(name in tasks and tasks[name].committable_now for name in self._late)
        return ready or not self.left or self._written(besides=self._late) > MOST_WRITTEN

    @property
    def choked(self) -> bool:
        """Whether so much has been written during a commit that it must end first."""
        return self.under_way and self._written() > 2 * MOST_WRITTEN

    def _written(self, besides: Collection[str] = ()) -> int:
        return sum(task.dirty for name, task in self._assigned.by_name.items() if name not in besides)

    def start(self) -> None:
        """Commits beside the loop, which is woken when it has ended and is then to `collect` it."""
        self._under_way = asyncio.create_task(self.commit(waits=True), name="commit")
        self._under_way.add_done_callback(lambda _: self._wake())

    def collect(self) -> None:
        """Takes note of a commit that has ended. Raises what it raised."""
        if self._under_way is not None and self._under_way.done():
            ended, self._under_way = self._under_way, None
            ended.result()

    async def stop(self) -> None:
        """Gives up a commit that is under way."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)
            self._under_way = None

    def awaits(self, task: Task) -> bool:
        """Whether a task is to begin no further step, so that it can be committed. What it has begun goes on.

        Raises as `Task.step`.
        """
        if task.name not in self._late:
            return False
        if not task.committable_now:
            task.pass_on()
        return True

    async def commit(self, *, waits: bool = False) -> None:
        """Commits all tasks that run. A failure ends the worker; what was not committed comes again.

        A task with something left behind its state is committed as soon as nothing is, if this `waits`: until then it
        stands still. Else it is left as it is.
        """
        async with self.lock:
            self.begin()
            tasks = [task for task in self._assigned.running() if self._stands(task, waits=waits)]
            try:
                before = self._assigned.committed
                moved = await commit(
                    tasks, self._collector, before, self._commit_offsets, self._assigned.ledger, self._watch
                )
            except CommitError as error:
                self._lost(error)
                return
            except TransportError as error:
                for task in tasks:
                    task.broken = True
                self._failed(error)
                return
            self._assigned.committed = moved
            self.commits += 1
            self._purge.after(tasks, moved)

    def _stands(self, task: Task, *, waits: bool) -> bool:
        """Whether a task can be committed. One with a step under way begins no further one, and is due when it ends."""
        if task.name in self._late:
            self._late.remove(task.name)
            self._wake()
        try:
            if task.follow():
                task.barrier.release()
                return True
        except StreamzError as error:
            self._failed(error)
        if not task.settled or ((waits or task.barrier.held) and not task.committable_now):
            self._late.add(task.name)
            task.barrier.hold()
        return False

    async def _commit_offsets(
        self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]
    ) -> None:
        assert self._members.consumer is not None
        await self._members.consumer.commit(offsets, notes)

    def _lost(self, error: CommitError) -> None:
        """The commit is unknown or refused: tasks begin anew from what is committed, if they are still ours."""
        logger.warning("the commit was refused (%s): what was not committed comes again", error)
        self._assigned.drop_all()
        self._members.pending = self._members.assigned is not None
        self._wake()
