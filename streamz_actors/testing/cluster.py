"""`TestCluster`: several workers of an application, killed, paused and cut short, with all that follows, by a seed.

They are real workers in one event loop, with one broker in memory and one clock, which moves only when nothing is left
to do at its time. What could differ from run to run (which request takes how long, fails, arrives twice, what a crash
leaves on a disk) is drawn from the seed, so that the same calls give the same run, request for request.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from streamz_actors.agents.channel import Channel
from streamz_actors.app import App
from streamz_actors.clock import ManualClock
from streamz_actors.dataflow.topics import HeadersLike, Topic, header_tuple
from streamz_actors.errors import TableUnknown, UsageError
from streamz_actors.tasks.failures import Failure
from streamz_actors.testing.process import Process, Site, State
from streamz_actors.testing.views import Record, TableView, Tail
from streamz_actors.testing.wire import Faults
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.types import RecordMetadata, TopicPartition, partition_of

TURNS = 50
"""Turns of the loop in which everything happens that can happen at a time, where the loop does not tell."""
ENDLESS = 20_000
"""Turns of the loop, and timers, at one time after which something goes round in it."""
RESTART = 1.0
"""Seconds after which a worker that the broker has made fail is started again."""
USUAL = Faults()
SEGMENT = 20
"""Records that are never cleaned, the newest of each partition: those of the segment that is appended to."""
PATIENT = 200
"""Moves of the clock while something is worked on, after which it is waited for in real time: it is outside."""


class TestCluster:
    """Use as `async with TestCluster(make_app, workers=3, seed=7) as cluster:`. The wall clock starts at 0 ms.

    `app` is an application, which all workers share; or a function that makes one, called for each life of a worker, as
    each process imports its modules anew: then nothing in its module's variables outlives or is shared. Settings may
    follow. Workers have numbers, from 0 on; they keep them when they are started again.

    An error of the application's is raised by the call during which it came; a worker that fails because of the broker
    is started again after a second, as a supervisor would do it.
    """

    __test__ = False

    def __init__(
        self,
        app: App | Callable[[], App],
        *,
        workers: int = 3,
        seed: int = 0,
        faults: Faults = USUAL,
        **settings: Any,
    ) -> None:
        self._app = app if isinstance(app, App) else app()
        make_app = (lambda: self._app) if isinstance(app, App) else app
        if isinstance(app, App) and any(isinstance(agent.source, Channel) for agent in app.agents):
            raise UsageError("a channel belongs to one worker: give a function that makes the application")
        self.seed, self._faults = seed, faults
        self._random = Random(f"{seed}/cluster")
        self.clock = ManualClock()
        self.broker = MemoryBroker(
            self.clock,
            cluster_id=f"cluster-{seed}",
            check_interval=None,
            marker_delay=self._random.choice((0.0, faults.delay, 20 * faults.delay)),
        )
        self.trace: list[str] = []
        """What happened, in order: requests as they take effect or fail, and what was done to workers."""
        overrides = {"web_enabled": False, "cache_max_bytes": 0, **settings}
        self._site = Site(make_app, self.broker, self.clock, seed, overrides, self._note)
        self.workers = [Process(self._site, number) for number in range(workers)]
        self._tail = Tail(self.broker, committed=True)
        self._restarts: dict[int, float] = {}
        self._moves = 0  # of the clock, since time last went on
        self._keyless = 0

    async def __aenter__(self) -> "TestCluster":
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Starts all workers; returns when each has its tasks, restored."""
        for process in self.workers:
            process.start(self._faults)
        await self.settle()

    async def close(self) -> None:
        """Ends all workers as a kill does."""
        for process in self.workers:
            await process.close()

    def _note(self, what: str) -> None:
        self.trace.append(f"{self.clock.monotonic():.6f} {what}")

    # -- what is done to workers

    async def kill(self, number: int, *, keep_state: bool = True) -> None:
        """As `kill -9`. Its group misses it after `session_timeout`; its disk outlives it with `keep_state`."""
        self._alive(number).kill(keep_state=keep_state)
        await self.turn()

    async def stop(self, number: int) -> None:
        """As SIGTERM; returns when it has ended, with time going on."""
        process = self._standing(number)
        process.stop()
        await self._until(lambda: f"worker {number} stops" if process.alive else "")

    async def restart(self, number: int) -> None:
        """Starts a worker that has ended again, with its disk."""
        process = self._process(number)
        if process.alive:
            raise UsageError(f"worker {number} is {process.state.value}: stop or kill it first")
        self._restarts.pop(number, None)
        process.start(self._faults)
        await self.turn()

    async def add(self) -> int:
        """Starts one more worker; its number."""
        process = Process(self._site, len(self.workers))
        self.workers.append(process)
        process.start(self._faults)
        await self.turn()
        return process.number

    async def pause(self, number: int) -> None:
        """As SIGSTOP: nothing of it reaches the broker, it hears nothing. After `session_timeout` it is a zombie."""
        self._standing(number).pause()
        await self.turn()

    async def resume(self, number: int) -> None:
        process = self._process(number)
        if not process.paused:
            raise UsageError(f"worker {number} is not paused")
        process.resume()
        await self.turn()

    def crash_at(self, number: int, step: str | None = None, *, count: int = 1) -> None:
        """Has a worker die as by `kill` at a step of a commit: at the `count`th from now on that has this name, if any.

        The names are those that `streamz_actors.tasks.commit` tells its watcher.
        """
        left = count

        def dies(reached: str) -> bool:
            nonlocal left
            left -= step is None or step == reached
            return left == 0

        self._alive(number).crashing = dies

    def compact(self) -> None:
        """Cleans all logs as their topics are set, as Kafka does now and then: all but the newest records of each."""
        self._note("logs are cleaned")
        for topic in self.broker.topics.values():
            for log in topic.logs if topic.settings.compacts else ():
                log.compact(self.clock.now(), log.end - SEGMENT)

    def heal(self) -> None:
        """From now on the network only delays, and no worker dies that was told to in a commit."""
        self._faults = Faults(delay=self._faults.delay)
        for process in self.workers:
            process.heal(self._faults)

    def _process(self, number: int) -> Process:
        if not 0 <= number < len(self.workers):
            raise UsageError(f"there is no worker {number}, only {len(self.workers)}")
        return self.workers[number]

    def _alive(self, number: int) -> Process:
        process = self._process(number)
        if not process.alive:
            raise UsageError(f"worker {number} has ended: restart it first")
        return process

    def _standing(self, number: int) -> Process:
        process = self._alive(number)
        if not process.standing:
            raise UsageError(f"worker {number} is {process.state.value}")
        return process

    # -- time

    async def turn(self) -> None:
        """Lets everything happen that happens without time."""
        await _quiet()
        for process in self.workers:
            process.collect()
            if process.failure is not None and process.number not in self._restarts:
                self._restarts[process.number] = self.clock.monotonic() + RESTART

    async def advance(self, seconds: float) -> None:
        """Time goes on; at each moment everything happens that is due, before the next."""
        end = self.clock.monotonic() + seconds
        await self.turn()
        while await self._move(end):
            pass

    async def _move(self, end: float) -> bool:
        """To the next moment at which something is due, `end` at the latest; whether there was one."""
        restart = min(self._restarts, key=self._restarts.__getitem__, default=None)
        due = end if restart is None else self._restarts[restart]
        before = self.clock.monotonic()
        moved = self.clock.advance_to_next(min(due, end))
        self._moves = self._moves + 1 if before == self.clock.monotonic() else 0
        if self._moves > ENDLESS:
            raise UsageError(f"time does not go on: at {before:g} s there is always something due at once")
        if not moved and restart is not None and due <= end:
            del self._restarts[restart]
            if not self.workers[restart].alive:
                await self.restart(restart)
            moved = True
        await self.turn()
        return moved

    async def jump(self, seconds: float) -> None:
        """Time has gone by in which nobody had a turn, as on a machine that slept: all that is due comes at once."""
        self._note(f"time jumps by {seconds:g} s")
        end = self.clock.monotonic() + seconds
        while self.clock.advance_to_next(end):
            pass
        await self.turn()

    async def set_clock(self, number: int, seconds: float) -> None:
        """Sets the wall clock of one worker forward or back."""
        self._alive(number).clock.skew += round(seconds * 1000)
        self._note(f"worker-{number}: its clock is set by {seconds:g} s")
        await self.turn()

    async def settle(self, *, limit: float = 600.0) -> None:
        """Lets time go on until everything is processed, committed and shared out. Paused workers are not waited for.

        Raises UsageError after `limit` seconds.
        """
        await self._until(self._restless, limit)

    async def _until(self, waits_for: Callable[[], str], limit: float = 600.0) -> None:
        end = self.clock.monotonic() + limit
        await self.turn()
        moves = 0
        while reason := waits_for():
            moves += 1
            if not await self._move(end):
                raise UsageError(f"after {limit:g} s it has not come to rest: {reason}")
            if moves % PATIENT == 0:
                await asyncio.sleep(0.001)

    def _restless(self) -> str:
        if self._restarts:
            return f"worker {min(self._restarts)} is started again"
        running = [process for process in self.workers if process.state in (State.RUNNING, State.STOPPING)]
        reasons = ((process, process.restless()) for process in running)
        first = next(((process, reason) for process, reason in reasons if reason), None)
        if first is not None:
            return f"{first[0].name}: {first[1]}"
        return self._missing(running) or self._open()

    def _open(self) -> str:
        """A transaction that has not ended: what it wrote is not there yet for those who read what is committed."""
        for topic in self.broker.topics.values():
            for log in topic.logs:
                if log.stable_end < log.end:
                    return f"a transaction is open in {log.partition}"
        return ""

    def _missing(self, running: list[Process]) -> str:
        """A task that nobody has, since the group has not missed yet who had it."""
        if not running:
            return ""
        owned = {name for process in running for name in process.worker.tasks}
        ownerless = [name for name in running[0].all_tasks() if name not in owned]
        return f"nobody has task {ownerless[0]}" if ownerless else ""

    # -- records and tables

    async def send(
        self,
        topic: str | Topic[Any, Any],
        *,
        key: Any = None,
        value: Any = None,
        timestamp: int | None = None,
        headers: HeadersLike = None,
        partition: int | None = None,
    ) -> RecordMetadata:
        """Puts a record into a topic, as somebody outside does. Nothing is waited for.

        `timestamp` is in ms; it defaults to the cluster's clock.
        """
        name = topic.name if isinstance(topic, Topic) else topic
        declared = self._topic(name)
        raw_key = declared.key_schema.encode(key) if declared is not None else key
        raw_value = declared.value_schema.encode(value) if declared is not None else value
        stamp = self.clock.now() if timestamp is None else timestamp
        count = len(self.broker.topic(name).logs)
        if partition is None:
            partition = self._next_partition(count) if raw_key is None else partition_of(raw_key, count)
        place = TopicPartition(name, partition)
        head = header_tuple(headers)
        offset = self.broker.append(place, [raw_key], [raw_value], [stamp], [head] if head else None)
        self._note(f"record for {place} at {offset}")
        return RecordMetadata(name, partition, offset, stamp)

    def _next_partition(self, count: int) -> int:
        self._keyless += 1
        return self._keyless % count

    def read(self, topic: str | Topic[Any, Any]) -> list[Record]:
        """The records of a topic that came since the last read of it, without those of transactions that were aborted
        or are open, partition by partition.
        """
        name = topic.name if isinstance(topic, Topic) else topic
        return self._tail.read(name, self._topic(name))

    def _topic(self, name: str) -> Topic[Any, Any] | None:
        return next((topic for topic in self._app.topics if name in topic.names), None)

    def table(self, name: str) -> TableView:
        """The state of a table, of all workers that run, uncommitted writes included. Raises TableUnknown."""
        running = [process.worker for process in self.workers if process.state is State.RUNNING]
        for worker in running:
            if name in worker.globals.states:
                return TableView({0: worker.globals.states[name]})
        states = {number: state for worker in running for number, state in sorted(worker.states(name).items())}
        if not states:
            raise TableUnknown(f"there is no table {name!r} that a worker of this cluster keeps")
        return TableView(states)

    @property
    def failures(self) -> list[Failure]:
        """The records that were given up by workers that still run, and why."""
        return [failure for process in self.workers if process.alive for failure in process.worker.failures]


async def _quiet() -> None:
    """Returns when everything waits: for time, or for something outside."""
    ready = getattr(asyncio.get_running_loop(), "_ready", None)  # of asyncio's loops; uvloop keeps it to itself
    for turns in range(ENDLESS):
        await asyncio.sleep(0)
        if (turns >= TURNS) if ready is None else not ready:
            return
    raise UsageError("something goes round in the event loop and never waits")
