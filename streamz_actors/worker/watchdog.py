"""Looks whether things move: brokers are heard of, handlers and commits come to an end, partitions get on.

Nothing is measured on the records' way: every now and then it is looked at where everything stands, and what stands
where it stood for too long is stuck. It is no failure, and may go on by itself; readiness says so meanwhile.
"""

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from streamz_actors.clock import Clock
from streamz_actors.tasks.task import Task
from streamz_actors.types import TopicPartition
from streamz_actors.worker.assigned import AssignedTasks
from streamz_actors.worker.committing import Committing
from streamz_actors.worker.members import Membership

logger = logging.getLogger("streamz_actors.worker")

LOOKS: Final = 4
"""How often it is looked in the time after which something is stuck."""

BROKERS, HANDLER, COMMIT, PARTITION = "brokers", "handler", "commit", "partition"
KINDS: Final = (BROKERS, HANDLER, COMMIT, PARTITION)


@dataclass(frozen=True, slots=True)
class Stuck:
    """`kind` is one of KINDS; `name` stays the same as long as it is stuck."""

    kind: str
    name: Hashable
    text: str


@dataclass(slots=True)
class Since:
    """Where things were seen, and since when they stand there."""

    seen: dict[Hashable, tuple[Hashable, float]] = field(default_factory=dict)

    def standing(self, marks: Mapping[Hashable, Hashable], now: float) -> dict[Hashable, float]:
        """For how long each has stood at its mark. What is not among `marks` is forgotten."""
        fresh = {name: (mark, now) for name, mark in marks.items()}
        self.seen = {
            name: known if (known := self.seen.get(name, new))[0] == new[0] else new for name, new in fresh.items()
        }
        return {name: now - since for name, (_, since) in self.seen.items()}


class Watchdog:
    """`patience`: seconds without progress after which something is stuck."""

    def __init__(
        self, tasks: AssignedTasks, members: Membership, committing: Committing, clock: Clock, patience: float
    ) -> None:
        self._tasks, self._members, self._committing = tasks, members, committing
        self._clock, self._patience = clock, patience
        self._handlers, self._partitions = Since(), Since()
        self.stuck: tuple[Stuck, ...] = ()

    async def watch(self) -> None:
        """Looks for as long as the worker runs."""
        while True:
            await self._clock.sleep(self._patience / LOOKS)
            self.look()

    def look(self) -> None:
        """Looks now. What is newly stuck is logged, and what goes on again."""
        before = {each.name: each for each in self.stuck}
        self.stuck = tuple(self._found())
        names = {each.name for each in self.stuck}
        for each in self.stuck:
            if each.name not in before:
                logger.warning("%s", each.text)
        for name, each in before.items():
            if name not in names:
                logger.info("it goes on: %s", each.text.partition(":")[0])

    def _found(self) -> Iterator[Stuck]:
        now = self._clock.monotonic()
        tasks = [] if self._members.rebalancing else [task for task in self._tasks.running() if not task.frozen]
        silence = self._silence(now)
        if silence is not None:
            yield silence
        stuck = list(self._stuck_handlers(tasks, now))
        yield from stuck
        if silence is None and not stuck and self._committing.held_up >= self._patience:
            yield self._held_up()
        busy = {each.name[0] for each in stuck if isinstance(each.name, tuple)}
        waiting = self._partitions.standing(_partition_marks(tasks, self._lag), now)
        if silence is None:
            yield from self._stuck_partitions([task for task in tasks if task.name not in busy], waiting)

    def _silence(self, now: float) -> Stuck | None:
        consumer = self._members.consumer
        seconds = 0.0 if consumer is None else now - consumer.heard_at
        if seconds < self._patience:
            return None
        return Stuck(BROKERS, BROKERS, f"no broker has answered: for {seconds:.0f} s nothing was heard of any")

    def _held_up(self) -> Stuck:
        text = f"commits are held up: none has ended for {self._committing.held_up:.0f} s{self._committing.awaited}"
        return Stuck(COMMIT, COMMIT, text)

    def _stuck_handlers(self, tasks: list[Task], now: float) -> Iterator[Stuck]:
        hands: dict[Hashable, Hashable] = {
            (task.name, agent, place, offset): None
            for task in tasks
            for agent, leg in task.agents.items()
            for place, offset in leg.in_hand()
        }
        for name, seconds in self._handlers.standing(hands, now).items():
            if seconds >= self._patience and isinstance(name, tuple):
                _, agent, (topic, partition), offset = name
                where = f"topic {topic!r}, partition {partition}, offset {offset}"
                yield Stuck(HANDLER, name, f"agent {agent!r} is stuck: it works on {where} for {seconds:.0f} s")

    def _stuck_partitions(self, tasks: list[Task], waiting: Mapping[Hashable, float]) -> Iterator[Stuck]:
        for task in tasks:
            for place in sorted(task.partitions):
                seconds = waiting.get(place, 0.0)
                if seconds >= self._patience:
                    behind = (self._lag(place) or 0) + task.unfinished
                    where = f"topic {place.topic!r}, partition {place.partition}"
                    text = f"{where} is stuck: no progress for {seconds:.0f} s, about {behind} records wait"
                    yield Stuck(PARTITION, place, text)

    def _lag(self, place: TopicPartition) -> int | None:
        consumer = self._members.consumer
        return None if consumer is None else consumer.lag(place)


def _partition_marks(tasks: list[Task], lag: Callable[[TopicPartition], int | None]) -> dict[Hashable, Hashable]:
    """How far the partitions are in which there is something to do. A task that waits for others is not stuck."""
    marks: dict[Hashable, Hashable] = {}
    for task in tasks:
        if task.buffer.held:
            continue
        waits, given = task.unfinished or task.stepping, task.unfinished - task.buffer.count
        done = tuple(sorted(task.committable().items())), sum(task.records.values()), given
        marks |= {place: done for place in task.partitions if waits or lag(place)}
    return marks
