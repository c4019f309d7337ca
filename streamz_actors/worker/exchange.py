"""State changes hands: of tasks that left, that came, and of copies; stores are closed and opened beside the loop.

    a task that came    takes over the copy that is here, as it is; else its place is opened
    a task that left    ends; its stores stay open if a copy of it is to be kept here, else they are closed
    a copy that came    is opened after the tasks

One by one, for opening or closing one takes some 10 to 50 ms.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from typing import Final

from streamz_actors.clock import Clock
from streamz_actors.concurrency import Background
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import StoreLocked
from streamz_actors.stores.abc import Shelf
from streamz_actors.tasks.shelves import Shelves
from streamz_actors.tasks.standby import StandbyTask
from streamz_actors.tasks.task import Task, TaskStatus
from streamz_actors.worker.duties import Duties
from streamz_actors.worker.provision import Provision
from streamz_actors.worker.standbys import Standbys

logger = logging.getLogger("streamz_actors.worker")

LOCKED: Final = 0.1
"""Seconds between two tries at state that another process holds: one of this machine that has just lost the task."""
LONG: Final = 10
"""Tries until somebody is told: a process that does not let go is none that lost the task."""
HELD: Final = 5.0
"""Seconds after which it is not waited for any more, and the state is made anew in a place of its own."""


class Exchange:
    """`tasks` are the worker's, by name; `opened` is called with each that has got its stores, then `restore`."""

    def __init__(
        self,
        shelves: Shelves,
        standbys: Standbys,
        tasks: Mapping[str, Task],
        clock: Clock,
        background: Background,
        opened: Callable[[Task, Shelf], None],
        restore: Callable[[], None],
        *,
        committed_only: bool,
    ) -> None:
        self._shelves, self._standbys, self._tasks = shelves, standbys, tasks
        self._clock, self._background, self._opened, self._restore = clock, background, opened, restore
        self._committed_only = committed_only
        self.leaving: list[Task] = []
        """Not this worker's any more, and not closed yet."""
        self._provision: Provision | None = None
        self._duties = Duties()
        self._refused: dict[str, float] = {}
        """Since when the state of a task could not be opened."""
        self._under_way: asyncio.Task[None] | None = None
        self._more = False
        """Something has changed since the round under way began."""

    def begin(self, provision: Provision, duties: Duties) -> None:
        """Sees to it that what left is closed and what came is opened, copies as well."""
        self._provision, self._duties = provision, duties
        for name in self._standbys.tasks.keys() - duties.copies.keys() - self._tasks.keys():
            self._standbys.take(name)
        self._standbys.warm(duties.warmups)
        self.go_on()

    def go_on(self) -> None:
        """To be called when tasks have been added, or to `leaving`."""
        self._more = True
        if self._under_way is None or self._under_way.done():
            self._under_way = self._background.start(self._exchange(), "exchange of tasks")

    async def close(self) -> None:
        """Closes everything that is open, those as well that were about to be."""
        await self._end_leaving()
        for name in list(self._standbys.tasks):
            self._standbys.take(name)
        self._shelves.close(self._shelves.names)

    # -- how

    async def _exchange(self) -> None:
        """Ends when nothing is left to close or to open. State that another process still holds is tried again."""
        for tries in itertools.count(1):
            self._more = False
            self._promote()
            await self._end_leaving()
            await self._close_unwanted()
            errors = [*await self._open_tasks(), *await self._open_copies()]
            if not errors and not self._more:
                return
            for error in errors if tries == LONG else ():
                logger.warning("%s; waiting for it", error)
            if not self._more:
                await self._clock.sleep(LOCKED)

    def _promote(self) -> None:
        """Tasks whose copies are here get them at once: nothing needs to be opened."""
        here = [task for task in self._waiting() if task.name in self._standbys.tasks]
        for task in here:
            self._try_to_open(task)
        if here:
            self._restore()

    async def _end_leaving(self) -> None:
        while self.leaving:
            task = self.leaving[0]
            await task.close()
            if not self._wanted(task.name):
                self._shelves.close([task.name])
            del self.leaving[0]
            await asyncio.sleep(0)

    async def _close_unwanted(self) -> None:
        for name in self._shelves.names:
            if not self._wanted(name) and not self._ending(name):
                self._shelves.close([name])
                await asyncio.sleep(0)

    def _wanted(self, name: str) -> bool:
        return name in self._tasks or name in self._duties.copies

    def _ending(self, name: str) -> bool:
        """Whether a task that had these stores has not ended yet."""
        return any(task.name == name for task in self.leaving)

    def _waiting(self) -> list[Task]:
        tasks = self._tasks.values()
        return [task for task in tasks if task.status is TaskStatus.CREATED and not self._ending(task.name)]

    async def _open_tasks(self) -> list[StoreLocked]:
        """Gives what keeps some closed."""
        waiting = self._waiting()
        errors = []
        for task in waiting:
            if self._tasks.get(task.name) is task and (error := self._try_to_open(task)) is not None:
                errors.append(error)
            await asyncio.sleep(0)
        if len(errors) < len(waiting):
            self._restore()
        return errors

    def _try_to_open(self, task: Task) -> StoreLocked | None:
        self._standbys.take(task.name)
        shelf = self._try(task.sub, task.partition)
        if isinstance(shelf, StoreLocked):
            return shelf
        self._opened(task, shelf)
        return None

    async def _open_copies(self) -> list[StoreLocked]:
        """Those that tasks here do not stand in the way of."""
        errors = []
        for name, (sub, partition) in self._duties.copies.items():
            if name in self._standbys.tasks or name in self._tasks or self._ending(name) or self._more:
                continue
            shelf = self._try(sub, partition)
            if isinstance(shelf, StoreLocked):
                errors.append(shelf)
            else:
                self._standbys.add(StandbyTask(sub, partition, shelf, committed_only=self._committed_only))
            await asyncio.sleep(0)
        return errors

    def _try(self, sub: SubTopology, partition: int) -> Shelf | StoreLocked:
        """The stores of a task; or what keeps them closed."""
        provision, now = self._provision, self._clock.monotonic()
        assert provision is not None
        name = sub.task_name(partition)
        since = self._refused.setdefault(name, now)
        others = self._duties.neighbours(sub.name, partition) if now - since < HELD else None
        try:
            shelf = self._shelves.open(sub, partition, provision.cluster_id, provision.topics, others)
        except StoreLocked as error:
            return error
        del self._refused[name]
        return shelf
