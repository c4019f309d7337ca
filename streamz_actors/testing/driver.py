"""`TestDriver`: an application in one event loop, with a broker in memory and a clock that only the test moves.

It runs the real worker with all partitions; what is the test's is time, and when to look.
"""

import asyncio
import itertools
from pathlib import Path
from typing import Any

from streamz_actors.app import App
from streamz_actors.clock import ManualClock
from streamz_actors.config import override
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.topics import HeadersLike, Topic, header_tuple
from streamz_actors.errors import TableUnknown, UsageError
from streamz_actors.running import Running
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.select import make_backend
from streamz_actors.tasks.failures import Failure
from streamz_actors.testing.views import Record, TableView, Tail
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import RecordMetadata, TopicPartition

FOREVER = 1e9
"""Seconds: longer than any test's clock runs."""

QUIET = 6
"""Turns of the loop in a row without anything to do, after which nothing is on its way any more."""

ENDING = 20
"""Turns of the loop between two moves of the clock while the application ends."""

PATIENT = 200
"""Turns of the loop after which the driver waits in real time: a handler waits for something outside."""


class TestDriver:
    """Use as `async with TestDriver(app) as driver:`. The wall clock starts at 0 ms.

    `store` is "memory://", or "rocksdb://" with a `data_dir`. A failure of the application is raised by the call that
    caused it.
    """

    __test__ = False

    def __init__(self, app: App, *, store: str = "memory://", data_dir: Path | None = None, **overrides: Any) -> None:
        self._app, self._store, self._data_dir = app, store, data_dir or Path(".streamz")
        self._overrides = {"web_enabled": False, "commit_interval": FOREVER, "cache_max_bytes": 0, **overrides}
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock, check_interval=None)
        self._tail = Tail(self.broker, committed=True)
        self._exact = False
        self._running: Running | None = None
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "TestDriver":
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts the application; after `stop`, starts it again on the same broker."""
        settings = override(self._app.settings, self._overrides)
        self._exact = settings.exactly_once
        self._running = Running(
            self._app.spec(settings),
            MemoryTransport(self.broker),
            self._backend(settings.app_id),
            self.clock,
            self._app.link,
            name="driver",
            pages=self._app.pages,
            patience=FOREVER,
            ticking=False,
        )
        self._work = asyncio.create_task(self._running.run(), name="TestDriver")
        await self.settle()

    def _backend(self, app_id: str) -> Backend:
        return make_backend(self._store, self._data_dir, app_id)

    async def stop(self) -> None:
        """Stops the application as a worker stops: what is in hand is finished and committed.

        Time goes on only while something does not end by itself.
        """
        if self._work is None or self._running is None:
            return
        work, self._work = self._work, None
        self._running.stop()
        for passes in itertools.count(1):
            if work.done():
                break
            await asyncio.sleep(0 if passes < PATIENT else 0.001)
            if passes % ENDING == 0:
                self.clock.advance_to_next(self.clock.monotonic() + 0.1)
        await work

    @property
    def running(self) -> Running:
        if self._running is None:
            raise UsageError("the driver is not started: use `async with TestDriver(app) as driver:`")
        return self._running

    # -- acting

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
        """Sends a record and returns when it is processed to its end: every actor waits for its inbox or a timer.

        `timestamp` is in ms; it defaults to the driver's clock.
        """
        declared = topic if isinstance(topic, Topic) else self._topic(topic)
        name = declared.name if declared is not None else str(topic)
        raw_key = declared.key_schema.encode(key) if declared is not None else key
        raw_value = declared.value_schema.encode(value) if declared is not None else value
        return await self.send_raw(
            name, key=raw_key, value=raw_value, timestamp=timestamp, headers=headers, partition=partition
        )

    async def send_raw(
        self,
        topic: str,
        *,
        key: bytes | None = None,
        value: bytes | None = None,
        timestamp: int | None = None,
        headers: HeadersLike = None,
        partition: int | None = None,
    ) -> RecordMetadata:
        """As `send`, for bytes: to see what becomes of a record that cannot be decoded."""
        stamp = self.clock.now() if timestamp is None else timestamp
        future = self.running.collector.send(topic, key, value, stamp, header_tuple(headers), partition)
        metadata = await future
        await self._finish()
        return metadata

    async def advance(self, seconds: float) -> None:
        """Moves the wall clock: timers fire in order, each with what comes of it; operators are told at the end."""
        end = self.clock.monotonic() + seconds
        while self.clock.advance_to_next(end):
            await self.settle()
        self.running.worker.tick()
        await self._finish()

    async def _finish(self) -> None:
        """Under exactly-once a task gets what another has sent when that is committed: so to the end."""
        await self.settle()
        worker, commits = self.running.worker, -1
        while worker.commits != commits:
            commits = worker.commits
            await worker.commit()
            await self.settle()
            if not self._exact:
                return

    async def settle(self) -> None:
        """Returns when nothing moves any more without time or new records. Raises what made the application fail."""
        quiet = passes = 0
        seen = -1
        while quiet < QUIET or not self._still():
            await asyncio.sleep(0 if passes < PATIENT else 0.001)
            self._raise_failure()
            passes += 1
            worker = self.running.worker
            quiet = quiet % QUIET + 1 if worker.parked and worker.turns == seen else 0
            seen = worker.turns

    def _raise_failure(self) -> None:
        if self._work is not None and self._work.done() and not self._work.cancelled():
            work, self._work = self._work, None
            work.result()
            raise UsageError("the application has stopped by itself")

    def _still(self) -> bool:
        running = self.running
        worker = running.worker
        return (
            worker.ready.is_set()
            and worker.idle
            and all(self._end(place) <= position for place, position in worker.reading().items())
        )

    def _end(self, place: TopicPartition) -> int:
        return self.broker.log(place).stable_end

    # -- looking

    def read(self, topic: str | Topic[Any, Any]) -> list[Record]:
        """The records of a topic that came since the last read of it, partition by partition."""
        name = topic.name if isinstance(topic, Topic) else topic
        self.running.collector.partitions(name)  # says so if it is not one of the application's
        return self._tail.read(name, self._topic(name))

    def _topic(self, name: str) -> Topic[Any, Any] | None:
        return next((topic for topic in self._app.topics if name in topic.names), None)

    def table(self, name: str) -> "TableView":
        """The state of a table, all partitions of it."""
        worker = self.running.worker
        if name in worker.globals.states:
            return TableView({0: worker.globals.states[name]})
        states = worker.states(name)
        if not states:
            raise TableUnknown(f"there is no table {name!r} that a task of this application keeps")
        return TableView(states)

    @property
    def failures(self) -> list[Failure]:
        """The records that were given up, by whatever policy, and why."""
        return list(self.running.worker.failures)

    @property
    def late(self) -> list[Late]:
        """The records that an operator dropped because they came too late, each with the window that had closed."""
        return list(self.running.worker.late)

    @property
    def dead_letters(self) -> list[Failure]:
        """The records that went to dead letters, and why."""
        return [failure for failure in self.failures if failure.dead_letter is not None]
