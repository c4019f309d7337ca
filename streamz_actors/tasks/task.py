"""A task: one sub-topology at one partition. Steps runs of records through its operators; knows what may be committed.

CREATED ──open──▶ RESTORING ──restored──▶ RUNNING ──close──▶ CLOSED
                      └────────────────close─────────────────▶
"""

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from streamz_actors.clock import Clock
from streamz_actors.concurrency import at_once
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.building import built
from streamz_actors.dataflow.context import Collector, sending
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.node import Leg, Node, Operator, SourceNode
from streamz_actors.dataflow.policies import Final
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import HandlerError, StreamzError
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.barrier import Barrier
from streamz_actors.tasks.buffer import Buffer, Idle, Lag, Run, none_behind
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.failures import Failures
from streamz_actors.tasks.legs import Legs
from streamz_actors.tasks.outlet import Outlet
from streamz_actors.tasks.source import opening
from streamz_actors.tasks.updates import Room, Updates
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import TopicPartition

RUN = 2_000
"""Records in one run at the most: it bounds how long a step holds the loop."""

FEW = 200
"""Records stepped together at the least, if so many are there: a turn of the loop costs as much as some runs of a
record or two, which are what inputs give that take turns.
"""


class TaskStatus(enum.Enum):
    CREATED = "created"
    RESTORING = "restoring"
    RUNNING = "running"
    CLOSED = "closed"


class Task:
    """The running unit, and the place its operators see."""

    def __init__(
        self,
        sub: SubTopology,
        partition: int,
        *,
        clock: Clock,
        collector: RecordCollector,
        failures: Failures,
        wake: Callable[[], None],
        lag: Lag = none_behind,
        room: Room | None = None,
        max_idle: float = 0.0,
        exact: float | None = None,
    ) -> None:
        """`room`: for updates of tables that wait for the next commit. `max_idle`: `Idle.limit`, `exact`: `Barrier`."""
        self.sub, self.partition, self.clock, self._exact = sub, partition, clock, exact
        self.outlet = Outlet(collector, keeps=collector.transactional)
        self.collector: Collector = self.outlet
        self.name = sub.task_name(partition)
        self.status = TaskStatus.CREATED
        self.states: dict[str, Any] = {}
        self.own: dict[str, State] = {}
        """Its own tables; `states` has the global ones as well."""
        self.failure: BaseException | None = None
        self.broken = False
        """A step has ended in the middle of a run: what it wrote must not be committed."""
        self.positions: dict[TopicPartition, int] = {}
        """By source partition: the position after the last record stepped."""
        self._stream_time = -1
        """The highest timestamp stepped, in ms; kept only for operators that schedule by it."""
        self.records: dict[str, int] = dict.fromkeys(sub.topics, 0)
        """Records stepped, by topic."""
        self._failures, self._wake = (failures := failures.through(self.outlet)), wake
        self.on_error = failures.on_error
        self._operators: dict[Node, Operator] = {}
        self.legs = Legs({})
        self._givers: list[tuple[Node, Leg]] = []
        """Of the legs, those that give rows to others."""
        self.barrier = Barrier(sub, {}, clock.monotonic)
        """The legs that a commit waits for."""
        self.agents: dict[str, Leg] = {}
        self._timed: list[Node] = []
        self._ticked: list[Node] = []
        """Of those, and of others, all that are told when the wall clock moves."""
        self._changes: deque[tuple[str, Batch]] = deque()
        self._room = room
        self._updates: dict[Node, Updates] = {}
        self._step: asyncio.Task[None] | None = None
        self._frozen: asyncio.Event | None = None
        """Set when it goes on; None while nothing holds it up."""
        sources = {name: node for node in sub.nodes if isinstance(node, SourceNode) for name in node.topic.names}
        self._sources = sources
        self.asynchronous = any(node.asynchronous for node in sub.nodes)
        partitions = [TopicPartition(name, partition) for name, count in sub.topics.items() if partition < count]
        opens = opening(sub, failures, clock.now)
        self.buffer = Buffer(partitions, lambda _, raw: opens(raw), lag, Idle(max_idle, clock.monotonic))

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """The source partitions it reads."""
        return frozenset(self.buffer.partitions)

    # -- life

    def open(self, states: Mapping[str, State], globals_: Mapping[str, State]) -> None:
        """Builds its operators on its state, whose stores stay its owner's. It runs once `restored` is called."""
        self.own = dict(states)
        self.states = {**states, **globals_}
        legs: dict[Node, Leg] = {}
        for node in self.sub.nodes:
            if isinstance(node, SourceNode):
                continue
            operator = self._operators[node] = built(node, self, self.sub)
            if isinstance(operator, Leg):
                legs[node] = operator
                if node.agent:
                    self.agents[node.name] = operator
                if not operator.silent:
                    self._givers.append((node, operator))
            if node.timed:
                self._timed.append(node)
            if node.timed or node.ticked:
                self._ticked.append(node)
            if node.updates and self._room is not None and not operator.silent:
                self._updates[node] = Updates(self._room)
        self.legs = Legs(legs)
        self.barrier = Barrier(self.sub, legs, self.clock.monotonic, self._exact)
        self.status = TaskStatus.RESTORING

    def restored(self) -> None:
        self.status = TaskStatus.RUNNING
        self._wake()

    async def close(self) -> None:
        """Cancels what runs, drops what is not committed. Then nothing of it uses the stores any more."""
        self.status = TaskStatus.CLOSED
        if self._step is not None:
            self._step.cancel()
            await asyncio.gather(self._step, return_exceptions=True)
        await self.legs.stop()
        self.outlet.close()
        self.buffer.clear()
        for updates in self._updates.values():
            updates.drop()
        for state in self.own.values():
            state.logged.drop()

    # -- stepping

    def drain(self) -> None:
        """No event is given to an actor from now on; those in hand go on to their end."""
        self.legs.drain()

    def freeze(self) -> None:
        """Nothing is processed and nothing leaves until `resume`; what is in the middle of something waits there.

        Only what a handler sends by itself, not by yielding, is not kept back.
        """
        self._frozen = asyncio.Event()
        self.legs.freeze()
        self.outlet.freeze()

    def resume(self) -> None:
        """Goes on after `drain` and `freeze` exactly where it stood."""
        frozen, self._frozen = self._frozen, None
        if frozen is not None:
            frozen.set()
        self.outlet.resume()
        self.legs.resume()
        self._wake()

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    @property
    def spoilt(self) -> bool:
        """Whether a step has ended in the middle of a run: nothing of the task may be committed any more."""
        return self.broken and self._step is None

    @property
    def drained(self) -> bool:
        """Whether no actor has an event in hand any longer, and nothing that came of one waits."""
        return self._step is None and not self._gives and self.legs.drained()

    def add(self, raw: RawBatch) -> None:
        self.buffer.add(raw)

    @property
    def unfinished(self) -> int:
        """Records that have arrived and are not done."""
        return self.buffer.count + self.legs.pending()

    def step(self) -> bool:
        """Processes a run, or several short ones, if there are any and room for them; whether anything was done.

        Raises HandlerError or DecodeError. What an asynchronous topology raises comes through `failure`.
        """
        if self.status is not TaskStatus.RUNNING or self._step is not None or self._frozen is not None:
            return False
        changed = bool(self._changes) or self._gives
        if changed:
            self._begin(self._follow())
            if self._step is not None:
                return True
        run = self._next_run()
        if run is not None:
            self._begin(self._runs(run))
        return changed or run is not None

    @property
    def _takes(self) -> int:
        """How many records may be stepped now."""
        return self.barrier.room(RUN) if self.legs.room() else 0

    def _next_run(self) -> Run | None:
        takes = self._takes
        run = self.buffer.next_run(takes) if takes else None
        if run is not None:
            self.barrier.stepped += len(run.batch)
        return run

    def follow(self) -> bool:
        """Lets changes of tables reach who follows them; whether it now stands between two steps with none left, and
        nothing is left behind its state.

        Only then may it be committed. Raises as `step`. What legs give goes on as well, if no function on the way can
        suspend; else it is not waited for, since more would have come meanwhile: it holds the offsets back.
        """
        if self._step is None and self._frozen is None and not self.broken:
            waited = self.barrier.legs if self.asynchronous else self.legs.all
            for leg in waited:
                leg.flush()
            if self._changes or self.holds or any(leg.gives for leg in waited):
                self._begin(self._follow(updates=True))
        return self.committable_now and not self.broken and self._frozen is None

    @property
    def holds(self) -> bool:
        """Whether updates of tables wait for a commit."""
        return any(map(len, self._updates.values()))

    @property
    def _gives(self) -> bool:
        """Whether a leg has rows for its children."""
        return any(leg.gives for _, leg in self._givers)

    def pass_on(self) -> None:
        """Lets everything go on that does not begin with a record: changes of tables, and what legs give. Raises as
        `step`.
        """
        waiting = self._changes or self._gives
        if waiting and self._step is None and self._frozen is None and not self.broken:
            self._begin(self._follow())

    def flush(self) -> None:
        """Hands on what finished events have yielded."""
        self.legs.flush()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a step to its end at once if no user function in it can suspend; else beside the loop."""
        outside = sending.set(self.collector)
        try:
            if not self.asynchronous:
                at_once(work, f"task {self.name} suspended in a synchronous step")
                return
            self._step = asyncio.create_task(work, name=f"step {self.name}")
            self._step.add_done_callback(self._stepped)
        finally:
            sending.reset(outside)

    def _stepped(self, step: "asyncio.Task[None]") -> None:
        self._step = None
        if not step.cancelled() and (error := step.exception()) is not None:
            self.failed(error)
        self._wake()

    async def _runs(self, run: Run | None) -> None:
        """One run after the other, until they are enough or something else comes first."""
        taken = 0
        while run is not None:
            await self._through(run)
            taken += len(run.batch)
            if taken >= FEW or self._changes or self._gives or self._frozen is not None:
                return
            run = self._next_run()

    async def _through(self, run: Run) -> None:
        source = self._sources[run.partition.topic]
        batch = run.batch
        self.broken = True
        if len(batch):
            if self._timed:
                for row in batch.rows():
                    self._stream_time = max(self._stream_time, row.timestamps[0])
                    await self._forward(source, row)
                    await self._advance(self._timed)
            else:
                await self._forward(source, batch)
            self.records[run.partition.topic] += len(batch)
        self.positions[run.partition] = run.position
        self.broken = False
        if run.poison is not None:
            raise run.poison.error

    async def _follow(self, *, updates: bool = False) -> None:
        """Changes of tables that handlers made flow to those who follow them, what legs give to their children; with
        `updates` those that waited for the commit as well.
        """
        self.broken = True
        while self._changes:
            table, batch = self._changes.popleft()
            for node in self.sub.followers.get(table, ()):
                await self._forward(node, batch)
        for node, leg in self._givers:
            for batch in leg.take():
                await self._forward(node, batch)
                await self._advance(self._timed)
        for node, waiting in self._updates.items() if updates else ():  # parents first, as nodes are declared
            for batch in waiting.take():
                await self._forward(node, batch)
        self.broken = False

    async def _forward(self, node: Node, batch: Batch) -> None:
        children = self.sub.children[node]
        if len(batch) > 1 and node in self.sub.in_order:
            for row in batch.rows():
                for child in children:
                    await self._process(child, row)
            return
        for child in children:
            await self._process(child, batch)

    async def _process(self, node: Node, batch: Batch) -> None:
        if self._frozen is not None:
            await self._frozen.wait()
        out = await self._operators[node].process(batch)
        if out is None or not len(out):
            return
        updates = self._updates.get(node)
        if updates is None:
            await self._forward(node, out)
            return
        updates.add(out)
        if self._room is not None and self._room.full:
            for each in updates.take():
                await self._forward(node, each)

    async def _advance(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            out = self._operators[node].advance(self.clock.now(), self._stream_time)
            if out is not None and len(out):
                await self._forward(node, out)

    @property
    def timed(self) -> bool:
        """Whether an operator of it is to be told of the wall clock."""
        return bool(self._ticked)

    def tick(self) -> None:
        """The wall clock has moved."""
        standing = self._step is not None or self._frozen is not None or self.barrier.held
        if self._ticked and self.status is TaskStatus.RUNNING and not standing:
            self._begin(self._advance(self._ticked))

    # -- what may be committed

    def committable(self) -> dict[TopicPartition, int]:
        """By source partition: the position below which every record is done."""
        offsets = dict(self.positions)
        self.legs.lower(offsets)
        return offsets

    @property
    def stepping(self) -> bool:
        """Whether a step is under way beside the loop."""
        return self._step is not None

    @property
    def settled(self) -> bool:
        """Whether no change of a table waits to be followed."""
        return not self._changes and self._step is None

    @property
    def committable_now(self) -> bool:
        """Whether a commit would find it between two steps, with nothing left behind its state."""
        return self.settled and self.barrier.clear

    @property
    def stands(self) -> bool:
        """Whether a transaction may end now: nothing has come of anything that `committable` leaves out."""
        return self.committable_now and (bool(self.barrier.legs) or self.legs.stands())

    @property
    def worked_off(self) -> bool:
        """Whether everything that was stepped is done, or waits for a timer of the framework."""
        return self._step is None and not self._gives and self.legs.idle()

    @property
    def idle(self) -> bool:
        """Whether nothing moves until something arrives, a sibling goes on or a timer of the framework fires."""
        buffer = self.buffer
        waits = not buffer.count or buffer.idles is not None or buffer.held or self.barrier.held or not self._takes
        return self.settled and self.worked_off and waits

    @property
    def dirty(self) -> int:
        """Keys written since the last commit."""
        return sum(state.logged.dirty for state in self.own.values())

    # -- the place its operators see

    def give_up(self, what: str, policy: Final, batch: Batch, index: int, error: BaseException, attempts: int) -> None:
        self._failures.settle(what, policy, batch, index, error, attempts)

    def late(self, record: Late) -> None:
        self._failures.late(record)

    def changed(self, table: str, batch: Batch) -> None:
        self._changes.append((table, batch))
        self._wake()

    def failed(self, error: BaseException) -> None:
        if self.failure is None and self.status is not TaskStatus.CLOSED:
            nowhere = TopicPartition(self.name, -1)
            ours = isinstance(error, StreamzError)
            self.failure = error if ours else HandlerError(f"task {self.name}", nowhere, -1, error)
        self._wake()

    def wake(self) -> None:
        self._wake()
