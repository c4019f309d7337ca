"""What scenarios share: waiting by turns of the loop, and workers that crash where they are told to."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamz_actors import App
from streamz_actors.clock import Clock, ManualClock
from streamz_actors.config import override
from streamz_actors.running import Running
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.select import make_backend
from streamz_actors.tasks.commit import Watcher, unwatched
from streamz_actors.testing import TestDriver
from streamz_actors.transport.abc import Transport
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition

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
        )

    def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        place = TopicPartition(topic, partition)
        return self.broker.committed(group, [place])[place]


@contextmanager
def started(running: Running) -> Iterator["asyncio.Task[None]"]:
    """The worker's life as a task; what is left of it at the end is cancelled by the test's loop."""
    work = asyncio.create_task(running.run())
    try:
        yield work
    finally:
        if not work.done():
            running.stop()


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
