"""The tasks of one worker: opened, restored, fed, paused and dropped as partitions come and go."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from streamz_actors.assignment.model import UNKNOWN_LAG
from streamz_actors.assignment.plan import ACCEPTABLE_LAG
from streamz_actors.assignment.wire import Ownership
from streamz_actors.clock import Clock
from streamz_actors.concurrency import Background
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.stores.abc import Backend, Shelf
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.failures import Failures
from streamz_actors.tasks.ledger import Ledger
from streamz_actors.tasks.restore import Restorer
from streamz_actors.tasks.shelves import Shelves
from streamz_actors.tasks.state import states
from streamz_actors.tasks.task import Task, TaskStatus
from streamz_actors.tasks.updates import Room
from streamz_actors.transport.abc import Consumer, RawBatch, Transport
from streamz_actors.types import TopicPartition
from streamz_actors.worker.duties import duties
from streamz_actors.worker.exchange import Exchange
from streamz_actors.worker.global_tables import GlobalTables
from streamz_actors.worker.leftovers import Leftovers
from streamz_actors.worker.provision import Provision
from streamz_actors.worker.spec import Spec
from streamz_actors.worker.standbys import Standbys

logger = logging.getLogger("streamz_actors.worker")


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
        rejoin: Callable[[], Awaitable[None]],
        *,
        name: str,
        patience: float,
        paced: bool,
    ) -> None:
        """`name` is the worker's, `rejoin` makes its group rebalance. `patience`: seconds that a poll waits for what
        copies follow; `paced`: a restore leaves the other tasks room.
        """
        self._spec, self._transport, self._clock, self._name = spec, transport, clock, name
        self._collector, self._failures, self._globals = collector, failures, global_tables
        cache = spec.settings.cache_max_bytes
        self._room = Room(cache) if cache else None
        self._background, self._wake = background, wake
        self.consumer: Consumer | None = None

        def busy() -> bool:
            return paced and bool(self.running())

        self.ledger = Ledger()
        self.restorer = Restorer(transport, clock, self._restored, self._begins, self.ledger, busy)
        self.ready = asyncio.Event()
        self.by_name: dict[str, Task] = {}
        self.committed: dict[TopicPartition, int] = {}
        self._notes: dict[TopicPartition, str] = {}
        """What was kept beside the positions at which tasks were taken over."""
        self._task_of: dict[TopicPartition, Task] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._found: dict[str, int] = {}
        """By task: how many records behind the copy was that it has taken over here."""
        self._dropped: dict[TopicPartition, int] = {}
        """What `undone` said of tasks that were dropped and are not taken in anew yet."""
        self.begun: dict[TopicPartition, int] = {}
        """Where each partition began when its task was opened."""
        self._restoring: asyncio.Task[None] | None = None
        only = spec.settings.processing_guarantee != "at_least_once"
        self.standbys = Standbys(
            transport,
            clock,
            lambda: self.consumer,
            self._waits,
            busy,
            rejoin,
            committed_only=only,
            patience=patience,
        )
        shelves = Shelves(backend)
        self._exchange = Exchange(
            shelves, self.standbys, self.by_name, clock, background, self._opened, self._restore, committed_only=only
        )
        self.leftovers = Leftovers(backend, transport.admin, clock, shelves)
        self._watching = False

    @property
    def leaving(self) -> list[Task]:
        """Not this worker's any more, and not closed yet."""
        return self._exchange.leaving

    def running(self) -> list[Task]:
        return [task for task in self.by_name.values() if task.status is TaskStatus.RUNNING]

    # -- an assignment is carried out

    async def fit(
        self,
        assigned: frozenset[TopicPartition],
        provision: Provision,
        told: Ownership | None,
        superseded: Callable[[], bool],
        discard: Callable[[], None],
    ) -> None:
        """Lets go of the tasks that left, lets those that stay go on, takes in those that came; keeps the copies that
        it is `told` to keep.

        Stores are closed and opened beside the loop. `superseded` says whether the next rebalance has begun; `discard`
        takes in what was polled already, so that nothing from before a seek reaches a new task.
        """
        consumer = self.consumer
        assert consumer is not None
        wanted = {sub.task_name(partition): (sub, partition) for sub, partition in _whole(provision, assigned)}
        self.drop([task for task in self.by_name.values() if not _is(task, *wanted.get(task.name, (None, -1)))])
        assigned &= consumer.assignment()
        self._paused = set(assigned)
        consumer.pause(self._paused)
        if not superseded():
            for task in self.by_name.values():
                task.resume()
        came = wanted.keys() - self.by_name.keys()
        self._found |= {name: lag for name, lag in self.standbys.lags().items() if name in came and lag is not None}
        new = [self._make(*wanted[name]) for name in came]
        if new:
            await self._take_over(sorted(new, key=lambda task: task.name), consumer, discard)
        self._dropped.clear()
        self._restore()
        self._exchange.begin(provision, duties(told, self._name, provision))
        self.leftovers.provision = provision
        if not self._watching:
            self._watching = True
            self._background.start(self.standbys.follow(), "copies of tables")
            if not self._transport.embedded:  # what that broker's applications leave is of no use to anybody
                self._background.start(self.leftovers.watch(), "state that is left over")

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
            exact=self._spec.settings.commit_wait,
        )

    def _lag(self, place: TopicPartition) -> int | None:
        return self.consumer.lag(place) if self.consumer is not None else None

    async def _take_over(self, new: Sequence[Task], consumer: Consumer, discard: Callable[[], None]) -> None:
        """Begins with new tasks where the group has committed. Those without state are opened at once."""
        places = [place for task in new for place in task.partitions]
        noted = [place for task in new if task.sub.stores for place in task.partitions]
        positions = await self._begin_at(places, consumer)
        # A commit that had no answer may arrive now: notes are those of these positions if they still are the same.
        while noted:
            notes = await consumer.notes(noted)
            before, positions = positions, await self._begin_at(places, consumer)
            if positions == before:
                self._notes = {place: note for place, note in self._notes.items() if place not in noted} | notes
                break
        self.begun |= positions
        discard()
        for place in consumer.assignment() & positions.keys():
            consumer.seek(place, positions[place])
        for task in new:
            self.by_name[task.name] = task
            self._task_of |= dict.fromkeys(task.partitions, task)
            if not task.sub.stores:
                task.open({}, self._globals.states)

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

    def _opened(self, task: Task, shelf: Shelf) -> None:
        task.open(states(shelf, task.sub, task.partition), self._globals.states)

    def _restore(self) -> None:
        """Restores beside the loop what is not up to date; a restore that is under way begins again with all of it."""
        self._end_restore()
        tasks = [task for task in self.by_name.values() if task.status is TaskStatus.RESTORING]
        self._check_ready()
        if tasks:
            restore = self.restorer.run(tasks, self.committed, self._notes, self.begun)
            self._restoring = self._background.start(restore, "restore")

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
        self.standbys.wake()

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
            self._found.pop(task.name, None)
            for place in task.partitions:
                self._task_of.pop(place, None)
                self._positions.pop(place, None)
                self.committed.pop(place, None)
                self._notes.pop(place, None)
            self.leaving.append(task)
        self._exchange.go_on()

    def drop_all(self) -> None:
        """Of all that is here nothing is kept; `fit` takes in anew what still is this worker's."""
        self._dropped = self.undone()
        self.drop(self.by_name.values())

    def undone(self) -> dict[TopicPartition, int]:
        """By partition: about how many records have been begun here that are not committed."""
        begun = self._dropped.copy()
        for task in self.running():
            for place, position in task.positions.items():
                known = max(self.committed.get(place, 0), self.begun.get(place, 0))
                if position > known:
                    begun[place] = position - known
        return begun

    async def close(self) -> None:
        """Closes all tasks, those as well that were about to be."""
        self.leaving.extend(self.by_name.values())
        self.by_name.clear()
        await self._exchange.close()

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

    def skip(self, positions: Mapping[TopicPartition, int]) -> None:
        """Partitions go on there, for what comes before is lost."""
        for place, at in positions.items():
            if (task := self._task_of.get(place)) is None:
                continue
            self._positions[place] = at
            if not task.buffer.count:
                task.positions[place] = at

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

    def copies(self) -> dict[str, dict[int, int]]:
        """The state at hand that is not up to date, by sub-topology: how many records each task's is behind.

        Copies for others, what is left over from before, and the tasks that are being restored.
        """
        lags = {(task.sub.name, task.partition): self._behind(task) for task in self._unready() if task.sub.stores}
        for copy in self.standbys.tasks.values():
            lags.setdefault((copy.sub.name, copy.partition), UNKNOWN_LAG if copy.lag is None else copy.lag)
        copies: dict[str, dict[int, int]] = {}
        for (sub, partition), lag in {**self.leftovers.lags(), **lags}.items():
            copies.setdefault(sub, {})[partition] = lag
        return copies

    def _unready(self) -> list[Task]:
        return [task for task in self.by_name.values() if task.status is not TaskStatus.RUNNING]

    def _waits(self) -> bool:
        """Whether a task is being restored, or about to be."""
        return bool(self._unready())

    def _behind(self, task: Task) -> int:
        """What is still to be restored of a task. Of one that had no copy here nothing counts as begun before half of
        all is there: until then another worker might as well begin with it.
        """
        copy, progress = self.standbys.tasks.get(task.name), self.restorer.progress
        if copy is not None and copy.lag is not None:
            return copy.lag
        if task.status is TaskStatus.CREATED or progress is None or 2 * progress.done < progress.total:
            return self._found.get(task.name, UNKNOWN_LAG)
        logs = [spec.changelog.name for spec in task.sub.stores if spec.changelog is not None]
        return sum(progress.tables.get(str(TopicPartition(log, task.partition)), 0) for log in logs)

    def small(self) -> dict[str, tuple[int, ...]]:
        """The tasks with so little in their changelogs that they may move to where no copy of it is."""
        small: dict[str, tuple[int, ...]] = {}
        for task in self.running():
            if task.own and sum(state.logged.store.offset or 0 for state in task.own.values()) <= ACCEPTABLE_LAG:
                small[task.sub.name] = (*small.get(task.sub.name, ()), task.partition)
        return small

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
