"""The tasks of one worker: opened, restored, fed, paused and dropped as partitions come and go."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from streamz_actors.clock import Clock
from streamz_actors.concurrency import Background
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import StoreLocked
from streamz_actors.stores.abc import Backend
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.failures import Failures
from streamz_actors.tasks.ledger import Ledger
from streamz_actors.tasks.restore import Restorer
from streamz_actors.tasks.state import open_shelf, states
from streamz_actors.tasks.task import Task, TaskStatus
from streamz_actors.tasks.updates import Room
from streamz_actors.transport.abc import Consumer, RawBatch, Transport
from streamz_actors.types import TopicPartition
from streamz_actors.worker.global_tables import GlobalTables
from streamz_actors.worker.provision import Provision
from streamz_actors.worker.spec import Spec

logger = logging.getLogger("streamz_actors.worker")
LOCKED = 0.1
"""Seconds between two tries at state that another process holds: one of this machine that has just lost the task."""
LONG = 10
"""Tries until somebody is told: a process that does not let go is none that lost the task."""


class AssignedTasks:
    """`ready` is set while every task runs. `wake` is called when a task has something to do."""

    def __init__(
        self,
        spec: Spec,
        transport: Transport,
        backend: Backend,
        clock: Clock,
        collector: RecordCollector,
        failures: Failures,
        global_tables: GlobalTables,
        background: Background,
        wake: Callable[[], None],
        *,
        paced: bool,
    ) -> None:
        """`paced`: a restore leaves the other tasks room."""
        self._spec, self._transport, self._backend, self._clock = spec, transport, backend, clock
        self._collector, self._failures, self._globals = collector, failures, global_tables
        cache = spec.settings.cache_max_bytes
        self._room = Room(cache) if cache else None
        self._background, self._wake = background, wake
        self.consumer: Consumer | None = None
        self.ledger = Ledger()
        self.restorer = Restorer(
            transport, clock, self._restored, self._begins, self.ledger, lambda: paced and bool(self.running())
        )
        self.ready = asyncio.Event()
        self.by_name: dict[str, Task] = {}
        self.committed: dict[TopicPartition, int] = {}
        self._notes: dict[TopicPartition, str] = {}
        """What was kept beside the positions at which tasks were taken over."""
        self._task_of: dict[TopicPartition, Task] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self.begun: dict[TopicPartition, int] = {}
        """Where each partition began when its task was opened."""
        self._restoring: asyncio.Task[None] | None = None
        self.leaving: list[Task] = []
        """Not this worker's any more, and not closed yet."""
        self._exchanging: asyncio.Task[None] | None = None
        self._provision: Provision | None = None

    def running(self) -> list[Task]:
        return [task for task in self.by_name.values() if task.status is TaskStatus.RUNNING]

    # -- an assignment is carried out

    async def fit(
        self,
        assigned: frozenset[TopicPartition],
        provision: Provision,
        superseded: Callable[[], bool],
        discard: Callable[[], None],
    ) -> None:
        """Lets go of the tasks that left, lets those that stay go on, takes in those that came.

        Stores are closed and opened beside the loop, one by one, for each takes some 10 to 50 ms. `superseded` says
        whether the next rebalance has begun; `discard` takes in what was polled already, so that nothing from before a
        seek reaches a new task.
        """
        consumer = self.consumer
        assert consumer is not None
        self._provision = provision
        wanted = {sub.task_name(partition): (sub, partition) for sub, partition in _whole(provision, assigned)}
        self.drop([task for task in self.by_name.values() if not _is(task, *wanted.get(task.name, (None, -1)))])
        assigned &= consumer.assignment()
        self._paused = set(assigned)
        consumer.pause(self._paused)
        if not superseded():
            for task in self.by_name.values():
                task.resume()
        new = [self._make(*wanted[name]) for name in wanted.keys() - self.by_name.keys()]
        if new:
            await self._take_over(sorted(new, key=lambda task: task.name), consumer, discard)
        self._restore()
        self._exchange()

    def _make(self, sub: SubTopology, partition: int) -> Task:
        return Task(
            sub,
            partition,
            clock=self._clock,
            collector=self._collector,
            failures=self._failures,
            wake=self._wake,
            lag=self._lag,
            room=self._room,
            max_idle=self._spec.settings.max_task_idle,
        )

    def _lag(self, place: TopicPartition) -> int | None:
        return self.consumer.lag(place) if self.consumer is not None else None

    async def _take_over(self, new: Sequence[Task], consumer: Consumer, discard: Callable[[], None]) -> None:
        """Begins with new tasks where the group has committed. Those without state are opened at once."""
        positions = await self._begin_at([place for task in new for place in task.partitions], consumer)
        self._notes |= await consumer.notes([place for task in new if task.sub.stores for place in task.partitions])
        self.begun |= positions
        discard()
        for place in consumer.assignment() & positions.keys():
            consumer.seek(place, positions[place])
        for task in new:
            self.by_name[task.name] = task
            self._task_of |= dict.fromkeys(task.partitions, task)
            if not task.sub.stores:
                task.open(None, {}, self._globals.states)

    async def _begin_at(self, places: Sequence[TopicPartition], consumer: Consumer) -> dict[TopicPartition, int]:
        """Where new tasks begin: where they are committed, else where the setting says."""
        known = {place: at for place, at in (await consumer.committed(places)).items() if at is not None}
        self.committed |= known
        fresh = [place for place in places if place not in known]
        if not fresh:
            return known
        admin = self._transport.admin
        earliest = self._spec.settings.auto_offset_reset == "earliest"
        return known | await (admin.beginning_offsets(fresh) if earliest else admin.end_offsets(fresh))

    def _exchange(self) -> None:
        """Sees to it that what left is closed and what came is opened."""
        if self._exchanging is None or self._exchanging.done():
            self._exchanging = self._background.start(self._close_and_open(), "exchange of tasks")

    async def _close_and_open(self) -> None:
        """Ends when nothing is left to close or to open. State that another process still holds is tried again."""
        for tries in itertools.count(1):
            await self._close_leaving()
            errors = await self._open_waiting()
            if not errors and not self.leaving:
                return
            for error in errors if tries == LONG else ():
                logger.warning("%s; waiting for it", error)
            await self._clock.sleep(LOCKED)

    async def _close_leaving(self) -> None:
        while self.leaving:
            await self.leaving[0].close()
            del self.leaving[0]
            await asyncio.sleep(0)

    async def _open_waiting(self) -> list[StoreLocked]:
        """Opens what waits for it and has it restored; gives what keeps the others closed."""
        waiting = [task for task in self.by_name.values() if task.status is TaskStatus.CREATED]
        errors = []
        for task in waiting:
            if self.by_name.get(task.name) is task and (error := self._try_to_open(task)) is not None:
                errors.append(error)
            await asyncio.sleep(0)
        if len(errors) < len(waiting):
            self._restore()
        return errors

    def _try_to_open(self, task: Task) -> StoreLocked | None:
        """What keeps it closed, if anything does."""
        provision = self._provision
        assert provision is not None
        try:
            shelf = open_shelf(self._backend, task.name, task.sub, provision.cluster_id, provision.topics)
        except StoreLocked as error:
            return error
        task.open(shelf, states(shelf, task.sub, task.partition), self._globals.states)
        return None

    def _restore(self) -> None:
        """Restores beside the loop what is not up to date; a restore that is under way begins again with all of it."""
        self._end_restore()
        tasks = [task for task in self.by_name.values() if task.status is TaskStatus.RESTORING]
        self._check_ready()
        if tasks:
            self._restoring = self._background.start(self.restorer.run(tasks, self.committed, self._notes), "restore")

    def _end_restore(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
            self._restoring = None
            self.restorer.progress = None

    def _begins(self, task: Task, positions: Mapping[TopicPartition, int]) -> None:
        """The state of a task covers more than is committed: it begins there, and its next commit says so."""
        assert self.consumer is not None
        task.positions |= positions
        self.begun |= positions
        self._positions |= positions
        for place in self.consumer.assignment() & positions.keys():
            self.consumer.seek(place, positions[place])

    def _restored(self, task: Task) -> None:
        task.restored()
        assert self.consumer is not None
        self.consumer.resume(task.partitions)
        self._paused -= task.partitions
        self._check_ready()

    def _check_ready(self) -> None:
        if all(task.status is TaskStatus.RUNNING for task in self.by_name.values()):
            self.ready.set()
        else:
            self.ready.clear()

    def drop(self, tasks: Iterable[Task]) -> None:
        """Tasks leave; what they have not committed comes again, here or elsewhere. They are closed beside the loop."""
        for task in list(tasks):
            if task.status is TaskStatus.RESTORING:
                self._end_restore()  # `_restore` begins again with those that stay
            task.freeze()
            del self.by_name[task.name]
            for place in task.partitions:
                self._task_of.pop(place, None)
                self._positions.pop(place, None)
                self.committed.pop(place, None)
                self._notes.pop(place, None)
            self.leaving.append(task)
        self._exchange()

    def drop_all(self) -> None:
        """Of all that is here nothing is kept; `fit` takes in anew what still is this worker's."""
        self.drop(self.by_name.values())

    async def close(self) -> None:
        """Closes all tasks, those as well that were about to be."""
        self.leaving.extend(self.by_name.values())
        self.by_name.clear()
        await self._close_leaving()

    # -- records come in

    def take(self, batches: Iterable[RawBatch]) -> None:
        """Hands batches to their tasks; one whose partition has no task here is dropped."""
        for raw in batches:
            place = TopicPartition(raw.topic, raw.partition)
            task = self._task_of.get(place)
            if task is None:
                continue
            task.add(raw)
            self._positions[place] = raw.next_offset
            if task.unfinished >= self._spec.settings.max_buffered_records:
                self._pause(task)

    def _pause(self, task: Task) -> None:
        """But for partitions that what is here may be waiting for."""
        assert self.consumer is not None
        full = task.partitions - task.buffer.awaited()
        self.consumer.pause(full)
        self._paused |= full

    def resume(self) -> None:
        """Lets records come again for tasks that have worked off half of what they may hold."""
        if not self._paused or self.consumer is None:
            return
        limit = self._spec.settings.max_buffered_records // 2
        for task in self.running():
            if not task.partitions & self._paused:
                continue
            places = task.partitions if task.unfinished <= limit else task.buffer.awaited()
            self.consumer.resume(places & self._paused)
            self._paused -= places

    def fetched(self) -> dict[TopicPartition, int]:
        """Where the consumer must go on for tasks that are kept over a rebalance."""
        return {place: self._positions.get(place, self.begun[place]) for place in self._task_of}

    def reading(self) -> dict[TopicPartition, int]:
        """The position after what each partition has brought in."""
        return {place: self._positions.get(place, self.committed.get(place, 0)) for place in self._task_of}

    # -- what they hold

    def held(self) -> dict[str, tuple[int, ...]]:
        """The partitions of the tasks here, by sub-topology."""
        held: dict[str, tuple[int, ...]] = {}
        for task in self.by_name.values():
            held[task.sub.name] = (*held.get(task.sub.name, ()), task.partition)
        return held

    def states(self, table: str) -> Mapping[int, Any]:
        """The table's partitions that are here and readable."""
        return {task.partition: task.own[table] for task in self.running() if table in task.own}


def _sources(sub: SubTopology, partition: int) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(topic, partition) for topic, count in sub.topics.items() if partition < count)


def _whole(provision: Provision, assigned: frozenset[TopicPartition]) -> Iterator[tuple[SubTopology, int]]:
    """The tasks that are assigned with all that they read; a part would give other results, and twice."""
    for sub in provision.subs:
        for partition in range(sub.partitions):
            needed = _sources(sub, partition)
            if needed <= assigned:
                yield sub, partition
            elif needed & assigned:
                logger.warning(
                    "%s-%d is left alone: of what it reads, %s is assigned elsewhere, by a leader of another release",
                    sub.name,
                    partition,
                    ", ".join(map(str, sorted(needed - assigned))),
                )


def _is(task: Task, sub: SubTopology | None, partition: int) -> bool:
    """Whether a task still is what its sub-topology makes of this partition."""
    return sub is not None and task.sub.nodes == sub.nodes and task.partitions == _sources(sub, partition)
