"""When a worker commits. How depends on the guarantee: `worker/at_least_once`, `worker/exactly_once`.

A commit runs beside the loop: what is written and sent after it has taken its part belongs to the next one. So tasks go
on while the broker acknowledges; only one that a commit has to wait for stands still.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from streamz_actors.clock import Clock
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.commit import Watcher
from streamz_actors.tasks.task import Task
from streamz_actors.worker.assigned import AssignedTasks
from streamz_actors.worker.members import Membership
from streamz_actors.worker.purge import Purge

MOST_WRITTEN: Final = 250_000
"""Keys written since the last commit, over all tables, at which the next does not wait for its time.

Twice as many, and nothing more is stepped until the commit under way has ended.
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a commit has to do with. `failed` ends the worker; `interval` is in seconds."""

    assigned: AssignedTasks
    members: Membership
    collector: RecordCollector
    purge: Purge
    clock: Clock
    interval: float
    watch: Watcher
    failed: Callable[[BaseException], None]
    wake: Callable[[], None]


class Committing(ABC):
    """`lock` is held during a commit, and by whoever exchanges tasks."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.lock = asyncio.Lock()
        self.commits = 0
        self._under_way: asyncio.Task[None] | None = None
        self._due = 0.0
        self._since: float | None = None
        """When the first commit began since the last one that ended well."""
        self.unanswered = False
        """Whether no broker has answered the last one."""
        self.over = False
        """Nothing is committed any more."""

    def begin(self) -> None:
        """An interval begins now."""
        self._due = self.parts.clock.monotonic() + self.parts.interval

    @property
    def left(self) -> float:
        """Seconds until the next commit, to a microsecond; one that is under way says by itself when it has ended, and
        during a rebalance none begins (the loop must not wait for no time at all).
        """
        if self.under_way or self.parts.members.rebalancing:
            return self.parts.interval
        return max(0.0, round(self._due - self.parts.clock.monotonic(), 6))

    @property
    def ready(self) -> bool:
        """Whether tasks may be taken in."""
        return True

    @property
    def under_way(self) -> bool:
        return self._under_way is not None

    @property
    def due(self) -> bool:
        return not self.under_way and (not self.left or self._written() > MOST_WRITTEN)

    @property
    def choked(self) -> bool:
        """Whether so much has been written during a commit that it must end first."""
        return self.under_way and self._written() > 2 * MOST_WRITTEN

    def _written(self, besides: Collection[str] = ()) -> int:
        return sum(task.dirty for name, task in self.parts.assigned.by_name.items() if name not in besides)

    def start(self) -> None:
        """Commits beside the loop, which is woken when it has ended and is then to `collect` it."""
        if self._since is None:
            self._since = self.parts.clock.monotonic()
        self._under_way = asyncio.create_task(self.commit(waits=True), name="commit")
        self._under_way.add_done_callback(lambda _: self.parts.wake())

    def collect(self) -> None:
        """Takes note of a commit that has ended. Raises what it raised."""
        if self._under_way is not None and self._under_way.done():
            ended, self._under_way = self._under_way, None
            self._since = self._since if self.unanswered else None
            ended.result()

    @property
    def held_up(self) -> float:
        """Seconds for which a commit has been under way or tried again."""
        return 0.0 if self._since is None else self.parts.clock.monotonic() - self._since

    @property
    def awaited(self) -> str:
        """What keeps a commit from its end, to go on a sentence with: sends that are not acknowledged; or ""."""
        places = self.parts.collector.waits_for()
        if not places:
            return ""
        (topic, partition), more = places[0], f" and {len(places) - 1} partitions more" if len(places) > 1 else ""
        return f"; not acknowledged is what was sent to topic {topic!r}, partition {partition}{more}"

    async def forgo(self) -> None:
        """Commits nothing any more: others may have the tasks. Returns when what was under way has ended.

        The broker would take it: it looks at who commits and at the generation, not at whose partitions they are.
        """
        self.over = True
        await self.pause()
        async with self.lock:
            """What was under way has ended."""

    async def stop(self) -> None:
        """Gives up a commit that is under way."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)
            self._under_way = None

    @abstractmethod
    async def open(self) -> None:
        """Called before anything is sent. Raises TransportError."""

    @abstractmethod
    async def fence(self) -> None:
        """Called before tasks are taken in: those who had them end nothing any more from now on."""

    @abstractmethod
    def moved(self) -> None:
        """Something in a task has moved."""

    @abstractmethod
    def awaits(self, task: Task) -> bool:
        """Whether a task is to begin no further step, so that it can be committed. What it has begun goes on.

        Raises as `Task.step`.
        """

    @abstractmethod
    async def commit(self, *, waits: bool = False) -> None:
        """Commits all tasks that run, as far as they can be; `waits`: those as well that can't be at once.

        What was not committed when this fails comes again.
        """

    @abstractmethod
    async def pause(self) -> None:
        """From now on only `hand_over` commits. Returns when what was under way has ended."""

    @abstractmethod
    async def hand_over(self) -> None:
        """Commits for the last time before tasks may go elsewhere. They have come to rest, as far as they do."""
