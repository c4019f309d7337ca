"""What scenarios share: waiting by turns of the loop, and workers that crash where they are told to."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from streamz_actors import App
from streamz_actors.clock import Clock, ManualClock
from streamz_actors.config import override
from streamz_actors.errors import ProduceError
from streamz_actors.running import Running
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.select import make_backend
from streamz_actors.tasks.commit import Watcher, unwatched
from streamz_actors.testing import TestDriver
from streamz_actors.transport.abc import Delivery, Producer, Transport
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.producer import MemoryProducer
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import Headers, TopicPartition
from streamz_actors.worker.worker import Worker

TURNS = 3_000
"""Turns of the loop after which something that was to happen has not."""


async def until(done: Callable[[], object]) -> None:
    """Gives the loop turns until `done()` holds; fails after very many."""
    for _ in range(TURNS):
        if done():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


async def turns(count: int = 100) -> None:
    """Gives the loop turns: enough for everything that can happen by itself."""
    for _ in range(count):
        await asyncio.sleep(0)


class Crash(Exception):
    """The process dies here."""


def crash_at(dying: str, number: int = 1) -> Watcher:
    """A watcher under which the worker dies when the step `dying` of a commit is reached for the `number`th time."""
    seen = 0

    def watch(step: str) -> None:
        nonlocal seen
        seen += step == dying
        if step == dying and seen == number:
            raise Crash(step)

    return watch


class Site:
    """A broker and a clock that outlive the workers on them."""

    def __init__(self, store: str = "memory://", data_dir: Path = Path(".streamz")) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock, check_interval=None)
        self.store, self.data_dir = store, data_dir

    def worker(
        self,
        app: App,
        *,
        name: str = "worker",
        watch: Watcher = unwatched,
        transport: Transport | None = None,
        clock: Clock | None = None,
        backend: Backend | None = None,
        bounded: bool = False,
        **overrides: Any,
    ) -> Running:
        settings = override(app.settings, {"web_enabled": False, "commit_interval": 1e9, **overrides})
        return Running(
            app.spec(settings),
            transport or MemoryTransport(self.broker),
            backend or make_backend(self.store, self.data_dir, settings.app_id),
            clock or self.clock,
            app.link,
            name=name,
            watch=watch,
            patience=1e9,
            ticking=False,
            bounded=bounded,
        )

    async def begin(self, app: App, **options: Any) -> "tuple[Running, asyncio.Task[None]]":
        """A worker that is ready, and its life."""
        running = self.worker(app, **options)
        life = asyncio.create_task(running.run())
        await until(lambda: running.worker.ready.is_set() or life.done())
        return running, life

    async def settle(self, *workers: Running) -> None:
        """Returns when all have done all that there is, or one has failed: who awaits its life sees that."""

        def done(worker: Worker) -> bool:
            return (
                worker.ready.is_set()
                and worker.idle
                and not worker.members.rebalancing
                and all(self.broker.log(place).stable_end <= position for place, position in worker.reading().items())
            )

        def still() -> bool:
            return any(running.worker.failure is not None for running in workers) or all(
                done(running.worker) for running in workers
            )

        for _ in range(3):
            await until(still)
            await turns(20)

    def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        place = TopicPartition(topic, partition)
        return self.broker.committed(group, [place])[place]


async def ended(running: Running, work: "asyncio.Task[None]", clock: ManualClock) -> None:
    """Stops a worker and waits for its end, with time going on."""
    running.stop()
    while not work.done():
        await turns(20)
        clock.advance_to_next(clock.monotonic() + 0.1)
    await work


def committed(driver: TestDriver, app: App, topic: str, partition: int = 0) -> int | None:
    """What the application's group has committed."""
    place = TopicPartition(topic, partition)
    return driver.broker.committed(app.id, [place])[place]


def values(driver: TestDriver, topic: str) -> list[Any]:
    return [record.value for record in driver.read(topic)]


class FaultyProducer(MemoryProducer):
    """Refuses what its transport says; while its transport holds records back, nothing is delivered."""

    def __init__(self, transport: "FaultyTransport") -> None:
        super().__init__(transport.broker)
        self._transport = transport

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        if topic in self._transport.refused:
            future.add_done_callback(lambda done: done.exception())
            future.set_exception(ProduceError(f"topic {topic!r} refuses records"))
            return future
        delivery = super().send(topic, partition, keys, values, timestamps, headers).result()
        if not self._transport.holding:
            future.set_result(delivery)
        else:
            self._transport.on_release.append(lambda: future.set_result(delivery))
        return future


class FaultyTransport(MemoryTransport):
    """Of a broker that does not always do as it is told."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.refused: set[str] = set()
        self.holding = False
        self.on_release: list[Callable[[], None]] = []

    def release(self) -> None:
        """Acknowledges what was held back."""
        self.holding = False
        for deliver in self.on_release:
            deliver()
        self.on_release.clear()

    def producer(self, client_id: str) -> Producer:
        return FaultyProducer(self)
