"""Two workers that share a table's partitions as a test says, each with a broker of its own that has all records.

So a partition moves by being said to: both have the data, and only who may answer for it, and who is told so, changes.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from streamz_actors import App, Record, Tumbling
from streamz_actors.assignment.wire import Host, Ownership
from streamz_actors.query.wire import Answers, Asks
from streamz_actors.running import Running
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.select import make_backend
from streamz_actors.tasks.task import TaskStatus
from streamz_actors.types import partition_of
from tests.scenarios.support import Site, ended, until
from tests.unit.web.client import Client, client

COUNT = 4
FIRST, SECOND = 0, 1
HALVES = (FIRST, FIRST, SECOND, SECOND)


class Total(Record):
    amount: int


def shop(**settings: Any) -> App:
    app = App("shop", web_enabled=True, web_port=0, topic_partitions=COUNT, **settings)
    orders = app.topic("orders", key_type=str, value_type=int)
    totals = app.table("totals", key_type=str, value_type=Total)
    counts = app.table("counts", key_type=int, value_type=int, default=int, per_partition=True)
    rates = app.topic("rates", key_type=str, value_type=float, compacting=True)
    app.global_table(rates)
    app.stream(orders).group_by_key().windowed_by(Tumbling(1)).count("seconds", retention=3_600)

    @app.agent(orders)
    async def add(stream):  # type: ignore[no-untyped-def]
        async for event in stream.events():
            totals[event.key] = Total(event.value)
            counts[event.value % 3] += 1

    return app


def home(key: str) -> int:
    return partition_of(key.encode(), COUNT)


def keys_of(partition: int, count: int = 3) -> list[str]:
    """Some keys that belong to a partition."""
    return [key for key in (f"k{number:03}" for number in range(200)) if home(key) == partition][:count]


class Side:
    """One of the two: its application, what runs it, and a client of its web server."""

    def __init__(self, backend: Backend, site: Site, running: Running, asking: Client) -> None:
        self._backend, self.site, self.running, self.asking = backend, site, running, asking
        self.worker = running.worker
        self.requests: list[int] = []
        """Of each request from the other: how many questions it brought."""
        answers = running.queries.answers

        async def counted(asks: Asks) -> Answers:
            self.requests.append(len(asks.asks))
            return await answers(asks)

        running.queries.answers = counted  # type: ignore[method-assign]

    @property
    def host(self) -> Host:
        return Host(self.worker.name, self.worker.address)

    async def write(self, key: str, value: int, *, partition: int | None = None, timestamp: int = 1_000) -> None:
        number = home(key) if partition is None else partition
        with self._working():
            self.worker.collector.send("orders", key.encode(), str(value).encode(), timestamp, (), number)
            await self.site.settle(self.running)

    async def commit(self) -> None:
        with self._working():
            await self.worker.commit()

    async def give_up(self, partition: int) -> None:
        """Commits and closes a task: its files, or what stands for them, stay."""
        await self.commit()
        self.worker.assigned.drop([self.worker.tasks[f"orders-{partition}"]])
        await until(lambda: not self.worker.assigned.leaving)

    @contextmanager
    def _working(self) -> Iterator[None]:
        """All of its tasks run, whoever is said to have their partitions."""
        before = {task: task.status for task in self.worker.tasks.values()}
        for task in before:
            task.status = TaskStatus.RUNNING
        yield
        for task, status in before.items():
            task.status = status


    def forget(self, partition: int) -> None:
        """Removes what a task has left."""
        self._backend.destroy(f"orders-{partition}")


class Pair:
    def __init__(self, first: Side, second: Side) -> None:
        self.first, self.second = first, second
        self.sides = (first, second)

    def share(self, owners: tuple[int, ...] = HALVES) -> None:
        """By partition: which side has it (-1: neither). Both are told."""
        for number, side in enumerate(self.sides):
            for partition, owner in enumerate(owners):
                task = side.worker.tasks.get(f"orders-{partition}")
                if task is not None:
                    task.status = TaskStatus.RUNNING if owner == number else TaskStatus.RESTORING
            self.tell(side, owners)

    def tell(self, side: Side, owners: tuple[int, ...]) -> None:
        """One side alone."""
        hosts = tuple(one.host for one in self.sides)
        side.worker.members.ownership = Ownership(hosts[0].worker, hosts, {"orders": owners})

    async def write(self, key: str, value: int, **options: Any) -> None:
        """To both: before `share`, while each runs everything."""
        for side in self.sides:
            await side.write(key, value, **options)


@asynccontextmanager
async def pair(
    *, stores: tuple[str, str] = ("memory://", "memory://"), data_dir: Path = Path(".streamz"), **settings: Any
) -> AsyncIterator[Pair]:
    async with (
        _side("first", stores[0], data_dir / "first", settings) as first,
        _side("second", stores[1], data_dir / "second", settings) as second,
    ):
        yield Pair(first, second)


@asynccontextmanager
async def _side(name: str, store: str, data_dir: Path, settings: Mapping[str, Any]) -> AsyncIterator[Side]:
    app, site = shop(**settings), Site(store, data_dir)
    backend = make_backend(store, data_dir, app.id)
    running, life = await site.begin(app, name=name, web_enabled=True, backend=backend)
    assert running.web is not None
    async with client(running.web.url) as asking:
        yield Side(backend, site, running, asking)
    for task in running.worker.tasks.values():
        task.status = TaskStatus.RUNNING
    await ended(running, life, site.clock)
