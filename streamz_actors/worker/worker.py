"""The worker: turns one loop over the tasks of this process.

A turn: take in what has been polled → carry out an assignment → step the tasks → commit if it is due → wait.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from streamz_actors.assignment.assignor import GroupAssignor
from streamz_actors.assignment.wire import Member
from streamz_actors.clock import Clock
from streamz_actors.concurrency import Background
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.policies import Final
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.errors import CommitError, StreamzError, TopologyError, TransportError
from streamz_actors.stores.abc import Backend
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.collector import windowed_topics
from streamz_actors.tasks.commit import Watcher, unwatched
from streamz_actors.tasks.failures import Failure, Failures
from streamz_actors.tasks.task import Task, TaskStatus
from streamz_actors.transport.abc import Consumer, RawBatch, Transport
from streamz_actors.types import TopicPartition
from streamz_actors.worker.alignment import Alignment
from streamz_actors.worker.assigned import AssignedTasks
from streamz_actors.worker.background import Schedules, call, call_at_end
from streamz_actors.worker.channels import ChannelAgents
from streamz_actors.worker.committing import Parts
from streamz_actors.worker.ending import end
from streamz_actors.worker.global_tables import GlobalTables
from streamz_actors.worker.growth import Growth
from streamz_actors.worker.guarantees import Sending
from streamz_actors.worker.lost_records import LostRecords
from streamz_actors.worker.members import Membership, group_settings
from streamz_actors.worker.preparation import prepare
from streamz_actors.worker.provision import Provision, provision
from streamz_actors.worker.purge import Purge
from streamz_actors.worker.questions import Questions
from streamz_actors.worker.reaching import Reaching
from streamz_actors.worker.rebalance import Rebalance
from streamz_actors.worker.spec import Spec
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.watchdog import Watchdog

logger = logging.getLogger("streamz_actors.worker")

TICK = 0.05
"""Seconds between two looks at the wall clock for operators that schedule by it."""
IN_FLIGHT = 50_000
"""Records sent and not acknowledged at which nothing more is stepped."""
BLOCKED = 0.01
"""Seconds until a blocked task is looked at again."""


class Worker:
    """One process's share of an application. `run` is its whole life; `failures` lists what was given up (last 1,000).

    `patience`: seconds that a poll waits for records. `ticking`: whether the loop tells operators that time passes.
    """

    def __init__(
        self,
        spec: Spec,
        transport: Transport,
        backend: Backend,
        clock: Clock,
        *,
        name: str,
        watch: Watcher = unwatched,
        patience: float = 1.0,
        ticking: bool = True,
    ) -> None:
        self.spec, self.transport, self.clock, self.name = spec, transport, clock, name
        self.address = ""
        """Where its web server answers; "" without one."""
        self.status = WorkerStatus.STARTING
        self.failures: list[Failure] = []
        self.undone: CommitError | None = None
        """That not everything in hand could be committed at its end, with what comes again."""
        self.failed_records = 0
        self.late: deque[Late] = deque(maxlen=1_000)
        self.late_records: Counter[str] = Counter()
        """How many came too late, by operator; `late` has the last 1,000."""
        self.dead_letters = 0
        self.polled_at = clock.monotonic()
        self.provision: Provision | None = None
        self.globals = GlobalTables(transport, spec.topology.globals, patience, spec.settings.exactly_once)
        self._backend, self._patience, self._ticking = backend, patience, ticking
        self._counts: dict[str, int] = {}
        self._started_at = clock.now()
        self.reaching = Reaching(clock)
        self._failure: BaseException | None = None
        self._stopping = False
        self._wakeup: asyncio.Event = asyncio.Event()
        self._background = Background(self._fail)
        transactional_id = f"{spec.app_id}-{name}" if spec.settings.exactly_once else ""
        windowed = windowed_topics(spec.topology.topics)
        self.sending = Sending(transport, name, transactional_id, self._counts, windowed, self._fail)
        self.collector, self.outside = self.sending.inside, self.sending.outside
        """What tasks send with, and everybody else."""
        self._failures = Failures(self.outside, spec.dead_letters, self._gave_up, self._came_late, spec.on_error)
        self.assigned = AssignedTasks(
            spec,
            transport,
            backend,
            clock,
            self.collector,
            self._failures,
            self.globals,
            self._background,
            self.wake,
            lambda: self.members.rejoin(),
            name=name, patience=patience, paced=ticking,
        )
        drift = spec.settings.max_time_drift
        self._alignment = None if drift is None else Alignment(drift)
        self.members = Membership(name, self._revoke, self._fetched, self.wake)
        self.members.transactional_id = transactional_id
        purge, interval = Purge(transport.admin, self._background), spec.settings.commit_interval
        self._committing = self.sending.committing(
            Parts(self.assigned, self.members, self.collector, purge, clock, interval, watch, self._fail, self.wake)
        )
        self.watchdog = Watchdog(self.assigned, self.members, self._committing, clock, spec.settings.stuck_after)
        self.lost = LostRecords(self.assigned, transport.admin, clock, spec.settings.on_offset_out_of_range)
        self._rebalance = Rebalance(self.members, self.assigned, clock, self._committing)
        reply_topic = f"{spec.app_id}-replies-{name}"
        self.questions = Questions(
            transport, self.outside, self._background, reply_topic, self._counts, clock, patience,
            exact=spec.settings.exactly_once,
        )
        self._channels = ChannelAgents(spec.agents, self)
        self._schedules = Schedules(spec, clock, self._background, self.members.leads)
        self._consumer: Consumer | None = None
        self._polling: asyncio.Task[list[RawBatch]] | None = None
        self.parked = False
        """Whether the loop waits."""
        self.turns = 0

    @property
    def tasks(self) -> dict[str, Task]:
        """Its tasks by name."""
        return self.assigned.by_name

    @property
    def committed(self) -> dict[TopicPartition, int]:
        """The positions committed by or for its tasks."""
        return self.assigned.committed

    @property
    def ready(self) -> asyncio.Event:
        """Set while every assigned task runs, and in a spare."""
        return self.assigned.ready

    # -- its life

    async def run(self) -> None:
        """Starts, turns until `stop` is called or something fails, and closes. Raises what failed."""
        try:
            await self.start()
            while not self._stopping and self._failure is None:
                await self.turn()
            await self._drain()
        except asyncio.CancelledError:
            await self._drain()
            raise
        except StreamzError as error:
            self._fail(error)
        finally:
            await self.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Asks for the end: what is in hand is finished and committed, as far as that can be, then `run` returns."""
        self._stopping = True
        self.reaching.stop()
        self.wake()

    async def start(self) -> None:
        """Finds a broker, provisions, loads the global tables, joins the group, starts what is beside the loop."""
        first = (self.transport.start, self._prepare, self.sending.start, self._committing.open)
        if not await self.reaching.through(*first):
            return
        assert self.provision is not None
        await self.globals.load(self._counts)
        self._background.start(self.globals.follow(), "global tables")
        for function in self.spec.on_startup:
            await call(function)
        await self._channels.start()
        await self._join(self.provision)
        self.status = WorkerStatus.RUNNING
        self._committing.begin()
        self._schedules.start()

    async def _prepare(self) -> None:
        self.provision = await prepare(self.transport, self.spec, self.clock.now())
        self._counts.update(self.provision.counts)

    async def _join(self, provision: Provision) -> None:
        topics = sorted({topic for sub in provision.subs for topic in sub.topics})
        if not topics:
            self.ready.set()
            return
        self.members.rack = self.spec.settings.rack or ""
        await self.assigned.leftovers.find(provision)
        assignor = GroupAssignor(self._member, self._split, self.members.told, self.spec.settings.standby_replicas)
        self._consumer = self.transport.consumer(group_settings(self.spec, self.name), assignor, self.members)
        self.members.consumer = self.assigned.consumer = self._consumer
        if not await self.reaching.through(partial(self._consumer.start, topics)):
            return
        if not self.transport.embedded:  # that broker tells its groups by itself
            self.beside(Growth(self.transport.admin, self.members, self.clock).watch(provision), "new partitions")

    def _member(self) -> Member:
        here = self.assigned
        return self.members.member(self.address, self._started_at, here.held(), here.copies(), here.small())

    def _split(self, counts: Mapping[str, int]) -> Sequence[SubTopology]:
        """The sub-topologies that these partition counts make; those that there are where they make none."""
        assert self.provision is not None
        try:
            return split(self.spec.topology, counts, self.spec.settings.topic_partitions)
        except TopologyError as error:
            logger.warning("the topics' partitions do not fit together any more: %s", error)
            return self.provision.subs

    async def close(self) -> None:
        """Ends everything without committing. Safe to call twice."""
        if self.status is WorkerStatus.STOPPED:
            return
        self.status = WorkerStatus.STOPPED
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        await self._committing.stop()
        await self._background.stop()
        await self._channels.stop()
        await self.assigned.close()
        if self._consumer is not None:
            await self._consumer.stop()  # before the user's functions: others wait for the work
        await call_at_end(self.spec.on_shutdown, self._fail)
        await self._close_clients()

    async def _close_clients(self) -> None:
        try:
            await self.questions.close()
        except TransportError as error:
            logger.warning("the reply topic was not removed: %s", error)
        await self.globals.close()
        await self.sending.stop()
        self._backend.close()
        await self.transport.stop()

    # -- the loop

    def wake(self) -> None:
        """There is something to do other than what a poll brings."""
        self._wakeup.set()
        self._rebalance.moved.set()
        self._committing.moved()

    def beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Runs something for as long as the worker does; what it raises stops the worker."""
        self._background.start(work, name)

    async def turn(self) -> None:
        """One round of the loop; waits at its end if there is nothing to do."""
        self.turns += 1
        self._wakeup.clear()
        self._committing.collect()
        self._take_in()
        if self.members.pending and not self.members.rebalancing and self._committing.ready:
            await self._reassign()
        busy = await self._step()
        if self._ticking:
            self.tick()
        if self._committing.due and not self.members.rebalancing:
            self._committing.start()
        if self._failure is None and not self._stopping:
            await self._wait(busy)

    def _take_in(self) -> None:
        """Hands what has been polled to the tasks, and polls on."""
        self._take_polled()
        if self._polling is None and self._consumer is not None:
            self._polling = asyncio.create_task(self.lost.poll(self._consumer, self._patience), name="poll")

    def _take_polled(self) -> None:
        polling = self._polling
        if polling is not None and polling.done():
            self._polling = None
            self.polled_at = self.clock.monotonic()
            self.assigned.take(polling.result())

    async def _step(self) -> bool:
        """One run of every task; whether anything was done."""
        if self.collector.outstanding > IN_FLIGHT or self._committing.choked or self.members.rebalancing:
            return False
        busy = False
        if self._alignment is not None:
            self._alignment.align(self.tasks.values())
        for task in self.tasks.values():
            try:
                busy = (not self._committing.awaits(task) and task.step()) or busy
            except StreamzError as error:
                self._fail(error)
            if task.failure is not None:
                self._fail(task.failure)
        self.assigned.resume()
        return busy

    def tick(self) -> None:
        """The wall clock has moved: operators that schedule by it are told."""
        for task in self.tasks.values():
            if task.timed and not self.members.rebalancing:
                task.tick()

    async def _wait(self, busy: bool) -> None:
        if busy:
            await asyncio.sleep(0)
            return
        blocked = [task for task in self.tasks.values() if task.buffer.count and task.status is TaskStatus.RUNNING]
        limit = min([self._committing.left, *(task.buffer.idles or BLOCKED for task in blocked)])
        if self._ticking and any(task.timed for task in self.tasks.values()):
            limit = min(limit, TICK)
        timer = self.clock.call_later(limit, self.wake)
        woken = asyncio.ensure_future(self._wakeup.wait())
        waited = {woken} if self._polling is None else {woken, self._polling}
        self.parked = True
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.parked = False
            timer.cancel()
            woken.cancel()

    async def commit(self) -> None:
        """Commits all tasks that run, now. A failure ends the worker; what was not committed comes again."""
        await self._committing.commit()

    @property
    def commits(self) -> int:
        """How many there have been."""
        return self._committing.commits

    # -- rebalances

    def _fetched(self) -> dict[TopicPartition, int]:
        """Where the consumer must go on for tasks that are kept over a rebalance: behind what has been polled."""
        self._take_polled()
        return self.assigned.fetched()

    async def _revoke(self) -> None:
        """The group does not wait for a worker that ends because it has failed."""
        await (self._rebalance.revoke() if self._failure is None else self._committing.forgo())

    async def _reassign(self) -> None:
        """Makes the tasks fit the newest assignment."""
        assert self.provision is not None
        await self._committing.fence()
        self.provision = await self._rebalance.carry_out(self.provision, self._provide, self._take_polled)
        if self.members.unknown(self.address):
            self.beside(self.members.rejoin(), "announcing the address")

    async def _provide(self) -> Provision:
        """Provisions anew: the application's topics have changed."""
        fresh = await provision(self.transport.admin, self.spec)
        self._counts.update(fresh.counts)
        return fresh

    # -- ending

    async def _drain(self) -> None:
        """Lets the tasks come to rest, and commits."""
        if self.status is not WorkerStatus.RUNNING:
            return
        self.status = WorkerStatus.DRAINING
        self.undone = await end(self.assigned, self._committing, self.clock, self._wakeup, self._fail)

    def _fail(self, error: BaseException) -> None:
        """The first failure ends the worker; later ones are its consequences and are logged."""
        if self._failure is None:
            self._failure = error
        elif error is not self._failure:
            logger.error("a further failure: %s", error)
        self.wake()

    fail = _fail
    """Stops the worker because of an error beside its loop."""

    def give_up(self, what: str, policy: Final, batch: Batch, index: int, error: BaseException, attempts: int) -> None:
        """The last word on a row that failed outside any task."""
        self._failures.settle(what, policy, batch, index, error, attempts)

    @property
    def global_states(self) -> Mapping[str, State]:
        return self.globals.states

    def _gave_up(self, failure: Failure) -> None:
        self.failed_records += 1
        self.dead_letters += failure.dead_letter is not None
        self.failures.append(failure)
        del self.failures[:-1_000]

    def _came_late(self, record: Late) -> None:
        self.late_records[record.operator] += 1
        self.late.append(record)

    # -- how it is seen

    @property
    def failure(self) -> BaseException | None:
        return self._failure

    @property
    def spare(self) -> bool:
        """Whether it has joined its group and has nothing to do."""
        return self.members.assigned is not None and not self.members.assigned

    def states(self, table: str) -> Mapping[int, Any]:
        """The table's partitions that are here and readable; a global table is one."""
        if table in self.globals.states:
            return {0: self.globals.states[table]}
        return self.assigned.states(table)

    def reading(self) -> dict[TopicPartition, int]:
        """Where every reader of this worker stands: what its tasks have taken in, and its global tables."""
        return self.assigned.reading() | self.globals.positions

    @property
    def idle(self) -> bool:
        """Whether nothing moves until something arrives or a timer fires."""
        return (
            self.parked
            and not self.members.pending
            and all(task.status is TaskStatus.RUNNING and task.idle for task in self.tasks.values())
            and self._channels.idle
            and self.sending.idle
            and self._committing.ready
            and not self._committing.under_way
            and not self._wakeup.is_set()
            and (self._polling is None or not self._polling.done())
        )
