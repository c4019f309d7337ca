"""One worker of a `TestCluster`, as a process that is started, killed, paused and started again on its disk."""

import asyncio
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from streamz_actors.app import App
from streamz_actors.clock import ManualClock
from streamz_actors.config import override
from streamz_actors.errors import HandlerError, StreamzError, TransportError
from streamz_actors.running import Running
from streamz_actors.testing.clients import SimulatedTransport
from streamz_actors.testing.disk import Disk
from streamz_actors.testing.wire import Faults, Wire
from streamz_actors.testing.worker_clock import WorkerClock
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.worker.spec import Call, Spec
from streamz_actors.worker.status import WorkerStatus

PATIENCE = 1.0
"""Seconds that a poll waits for records."""
TICK = 0.2
"""Seconds between two moments at which operators that schedule by the wall clock are told of it."""


class State(enum.Enum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    GONE = "gone"
    """Stopped, killed, or failed."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all workers of a cluster share. `note` writes into its trace."""

    make_app: Callable[[], App]
    broker: MemoryBroker
    clock: ManualClock
    seed: int
    settings: Mapping[str, Any]
    note: Callable[[str], None]


class Process:
    """`number` is its index in the cluster; its name is the same in each of its lives."""

    def __init__(self, site: Site, number: int) -> None:
        self._site, self.number, self.name = site, number, f"worker-{number}"
        self.disk = Disk()
        self.lives = 0
        self._wires: list[Wire] = []
        self._lives: list[asyncio.Task[None]] = []
        self.state = State.GONE
        self.failure: TransportError | None = None
        """What its last life ended with, if that was an affair of the broker's."""
        self.crashing: Callable[[str], bool] = _never
        """Asked at each step of a commit whether it dies there."""

    # -- its lives

    def start(self, faults: Faults) -> None:
        """On the disk that its last life has left."""
        site = self._site
        self.lives += 1
        self.state, self.failure, self.crashing = State.RUNNING, None, _never
        self.random = Random(f"{site.seed}/{self.name}/{self.lives}")
        self.clock = WorkerClock(site.clock)
        self.wire = Wire(site.clock, faults, self.random, self._note)
        self._wires.append(self.wire)
        self.transport = SimulatedTransport(site.broker, self.wire)
        app = site.make_app()
        overrides = dict(site.settings)
        if overrides.get("group_instance_id"):
            overrides["group_instance_id"] += f"-{self.number}"
        self.running = Running(
            self._guarded(app.spec(override(app.settings, overrides))),
            self.transport,
            self.disk.mount(),
            self.clock,
            app.link,
            name=self.name,
            watch=self._watch,
            patience=PATIENCE,
            ticking=False,
        )
        self.worker = self.running.worker
        self._note("starts")
        self.life = asyncio.create_task(self.running.run(), name=self.name)
        self._lives.append(self.life)
        if any(node.timed or node.ticked for node in self.worker.spec.topology.nodes):
            self.clock.call_later(TICK, self._tick)

    def _guarded(self, spec: Spec) -> Spec:
        """What a process does at its end, one that is killed does not."""
        wire = self.wire

        def unless_dead(function: Call) -> Call:
            return lambda: None if wire.dead else function()

        return replace(spec, on_shutdown=tuple(map(unless_dead, spec.on_shutdown)))

    def _tick(self) -> None:
        try:
            self.worker.tick()
        except StreamzError as error:
            self.worker.fail(error)
        self.clock.call_later(TICK, self._tick)

    def _watch(self, step: str) -> None:
        if self.crashing(step):
            self._note(f"dies at step {step!r} of a commit")
            self.kill()
        if self.wire.dead:
            raise asyncio.CancelledError

    def _note(self, what: str) -> None:
        self._site.note(f"{self.name}: {what}")

    # -- what is done to it

    def kill(self, *, keep_state: bool = True) -> None:
        """As `kill -9`: it says nothing more, the group is not told, nothing of it reaches its disk."""
        self._note("is killed" if keep_state else "is killed, its disk is lost")
        self.wire.cut()
        self.clock.die()
        for consumer in self.transport.consumers:
            consumer.fall_silent()
        self.disk.crash(self.random)
        if not keep_state:
            self.disk = Disk()
        if self.worker.status is WorkerStatus.RUNNING:
            self.worker.status = WorkerStatus.DRAINING  # or it would bring its work to an end first
        self.life.cancel()
        self.state = State.GONE

    def stop(self) -> None:
        """As SIGTERM: what is in hand is finished and committed, as time goes on."""
        self._note("stops")
        self.state = State.STOPPING
        self.running.stop()

    def pause(self) -> None:
        """As SIGSTOP: it asks nothing and hears nothing; when its session is over, others have its tasks."""
        self._note("is paused")
        self.state = State.PAUSED
        self.wire.hold()
        self.clock.hold()
        for consumer in self.transport.consumers:
            consumer.fall_silent()

    def resume(self) -> None:
        self._note("goes on")
        self.state = State.RUNNING
        self.clock.release()
        self.wire.release()

    def heal(self, faults: Faults) -> None:
        self.wire.faults, self.crashing = faults, _never

    def collect(self) -> None:
        """Takes note of an end. Raises what made it fail, unless that is an affair of the broker's."""
        if self.state is State.GONE or not self.life.done():
            return
        stopped, self.state = self.state is State.STOPPING, State.GONE
        error = self.life.exception()
        self._note("has ended" if error is None else f"fails: {type(error).__name__}: {error}")
        if error is not None:
            self.wire.cut()
        cause = error.cause if isinstance(error, HandlerError) else error
        if isinstance(cause, TransportError):
            self.failure = None if stopped else cause
        elif error is not None:
            raise error

    async def close(self) -> None:
        """Ends whatever is left of it and of its lives before."""
        if self.alive:
            self.kill()
        await asyncio.gather(*self._lives, return_exceptions=True)
        for wire in self._wires:
            await wire.close()

    # -- how it is seen

    @property
    def alive(self) -> bool:
        return self.state is not State.GONE

    @property
    def standing(self) -> bool:
        """Whether it runs and was not told to stop."""
        return self.state is State.RUNNING

    @property
    def ending(self) -> bool:
        return self.state is State.STOPPING

    @property
    def paused(self) -> bool:
        return self.state is State.PAUSED

    def all_tasks(self) -> list[str]:
        """The names of all tasks of the application, as far as this worker has provisioned it."""
        provision = self.worker.provision
        subs = provision.subs if provision is not None else ()
        return [sub.task_name(partition) for sub in subs for partition in range(sub.partitions)]

    def restless(self) -> str:
        """What it still has to do; "" for nothing."""
        worker = self.worker
        if worker.members.rebalancing or worker.members.pending:
            return "a rebalance is under way"
        if not worker.ready.is_set():
            return "tables are restored"
        if not worker.idle:
            return "records are worked on"
        if not self.wire.idle:
            return "requests are under way"
        for place, position in sorted(worker.reading().items()):
            if position < self._site.broker.log(place).end:
                return f"{place} is read, from {position}"
        for task in worker.tasks.values():
            if task.dirty or task.committable().items() - worker.committed.items():
                return f"task {task.name} is not committed"
        return ""


def _never(step: str) -> bool:
    return False
