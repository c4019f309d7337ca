"""Commits under at-least-once: which tasks can be committed, and what follows a commit that failed."""

import logging
from collections.abc import Mapping

from streamz_actors.errors import BrokerUnavailable, CommitError, StreamzError
from streamz_actors.tasks.commit import commit
from streamz_actors.tasks.task import Task
from streamz_actors.types import TopicPartition
from streamz_actors.worker.committing import MOST_WRITTEN, Committing, Parts

logger = logging.getLogger("streamz_actors.worker")


class AtLeastOnce(Committing):
    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._late: set[str] = set()
        """Tasks that could not be committed when a commit was due: in the middle of a step, or held up by what stands
        behind their state.
        """

    async def open(self) -> None:
        """There is nothing to open."""

    async def fence(self) -> None:
        """Whoever has lost its tasks can send, and can't commit."""

    def moved(self) -> None:
        """The loop looks by itself."""

    @property
    def due(self) -> bool:
        if self.under_way:
            return False
        # Not one that is being restored under the name of one that was dropped: no commit takes it in.
        running = self.parts.assigned.running() if self._late else ()
        ready = any(task.name in self._late and task.committable_now for task in running)
        return ready or not self.left or self._written(besides=self._late) > MOST_WRITTEN

    def awaits(self, task: Task) -> bool:
        if task.name not in self._late:
            return False
        if not task.committable_now:
            task.pass_on()
        return True

    async def commit(self, *, waits: bool = False) -> None:
        """Where no broker answers, tasks go on, and the next commit takes what this one has not brought to its end; a
        record that is refused ends the worker.

        A task with something left behind its state is committed as soon as nothing is, if this `waits`: until then it
        stands still. Else it is left as it is.
        """
        parts = self.parts
        async with self.lock:
            self.begin()
            self.unanswered = False
            if self.over:
                return
            tasks = [task for task in parts.assigned.running() if self._stands(task, waits=waits)]
            try:
                before = parts.assigned.committed
                ledger = parts.assigned.ledger
                moved = await commit(tasks, parts.collector, before, self._commit_offsets, ledger, parts.watch)
            except CommitError as error:
                self._lost(error)
                return
            except BrokerUnavailable as error:
                self.unanswered = True
                logger.warning("not committed, it is tried again: %s", error)
                return
            except StreamzError as error:
                for task in tasks:
                    task.broken = True
                parts.failed(error)
                return
            parts.assigned.committed = moved
            self.commits += 1
            parts.purge.after(tasks, moved)

    async def pause(self) -> None:
        """Another commit does no harm."""

    async def hand_over(self) -> None:
        await self.commit()

    def _stands(self, task: Task, *, waits: bool) -> bool:
        """Whether a task can be committed. One with a step under way begins no further one, and is due when it ends."""
        if task.name in self._late:
            self._late.remove(task.name)
            self.parts.wake()
        try:
            if task.follow():
                task.barrier.release()
                return True
        except StreamzError as error:
            self.parts.failed(error)
        if not task.settled or ((waits or task.barrier.held) and not task.committable_now):
            self._late.add(task.name)
            task.barrier.hold()
        return False

    async def _commit_offsets(
        self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]
    ) -> None:
        assert self.parts.members.consumer is not None
        await self.parts.members.consumer.commit(offsets, notes)

    def _lost(self, error: CommitError) -> None:
        """The commit is unknown or refused: tasks begin anew from what is committed, if they are still ours."""
        logger.warning("the commit was refused (%s): what was not committed comes again", error)
        self.parts.assigned.drop_all()
        self._late.clear()
        self.parts.members.pending = self.parts.members.assigned is not None
        self.parts.wake()
