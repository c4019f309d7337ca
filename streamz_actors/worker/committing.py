"""When a worker commits, which of its tasks can be, and what follows a commit that failed.

A commit runs beside the loop: what is written and sent after it has taken its part belongs to the next one. So tasks go
on while the broker acknowledges; only one that a commit has to wait for stands still.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

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
        """Tasks that were in the middle of a step when a commit was due."""

    def begin(self) -> None:
        """The first interval begins now."""
        self._due = self._clock.monotonic() + self._interval

    @property
    def left(self) -> float:
        """Seconds until the next commit; one that is under way says by itself when it has ended."""
        return self._interval if self.under_way else max(0.0, self._due - self._clock.monotonic())

    @property
    def under_way(self) -> bool:
        return self._under_way is not None

    @property
    def due(self) -> bool:
        if self.under_way:
            return False
        ended = any(name in self._late and task.settled for name, task in self._assigned.by_name.items())
        return ended or not self.left or self._written > MOST_WRITTEN

    @property
    def choked(self) -> bool:
        """Whether so much has been written during a commit that it must end first."""
        return self.under_way and self._written > 2 * MOST_WRITTEN

    @property
    def _written(self) -> int:
        return sum(task.dirty for task in self._assigned.by_name.values())

    def start(self) -> None:
        """Commits beside the loop, which is woken when it has ended and is then to `collect` it."""
        self._under_way = asyncio.create_task(self.commit(), name="commit")
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
        """Whether a task is to begin no further step, so that it can be committed."""
        return task.name in self._late

    async def commit(self) -> None:
        """Commits all tasks that run. A failure ends the worker; what was not committed comes again."""
        async with self.lock:
            self.begin()
            tasks = [task for task in self._assigned.running() if self._stands(task)]
            try:
                before = self._assigned.committed
                moved = await commit(tasks, self._collector, before, self._commit_offsets, self._watch)
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

    def _stands(self, task: Task) -> bool:
        """Whether a task can be committed. One with a step under way begins no further one, and is due when it ends."""
        if task.name in self._late:
            self._late.remove(task.name)
            self._wake()
        try:
            if task.follow():
                return True
        except StreamzError as error:
            self._failed(error)
        if not task.settled:
            self._late.add(task.name)
        return False

    async def _commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        assert self._members.consumer is not None
        await self._members.consumer.commit(offsets)

    def _lost(self, error: CommitError) -> None:
        """The commit is unknown or refused: tasks begin anew from what is committed, if they are still ours."""
        logger.warning("the commit was refused (%s): what was not committed comes again", error)
        self._assigned.drop_all()
        self._members.pending = self._members.assigned is not None
        self._wake()
