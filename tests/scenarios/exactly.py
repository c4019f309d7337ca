"""What the scenarios of exactly-once share: applications whose effects can be counted, and a broker that fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from streamz_actors import AgentStream, App
from streamz_actors.errors import CommitError
from streamz_actors.running import Running
from streamz_actors.transport.abc import GroupMember, TransactionalProducer
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.producer import MemoryTransactionalProducer
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition, partition_of
from tests.scenarios.group import expire
from tests.scenarios.support import Site, until

EXACT = {"processing_guarantee": "exactly_once"}


def counted(**options: Any) -> App:
    """An agent counts each key in a table and passes the count on; beside it, a count behind a repartition topic."""
    app = App("exact", processing_guarantee="exactly_once", **options)
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    counts = app.table("counts", key_type=str, value_type=int, default=int)
    app.stream(topic).group_by(lambda key, value: f"all-{value % 3}").count("again")

    @app.agent(topic, sinks=[out])
    async def count(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, _ in stream.items():  # noqa: PERF102  # no dict
            counts[key] += 1
            yield counts[key]

    return app


def visible(broker: MemoryBroker, topic: str, *, committed: bool = True) -> list[tuple[str, bytes]]:
    """What a reader of committed records finds in a topic: keys and values, partition by partition."""
    rows: list[tuple[str, bytes]] = []
    for log in broker.topic(topic).logs:
        raw = log.read(log.begin, 1_000_000, committed)
        if raw is not None:
            rows += [((key or b"").decode(), value or b"") for key, value in zip(raw.keys, raw.values, strict=True)]
    return rows


def tables(*workers: Running, names: tuple[str, ...] = ("counts", "again")) -> tuple[dict[str, int], ...]:
    found: list[dict[str, int]] = []
    for name in names:
        found.append({})
        for running in workers:
            for state in running.worker.states(name).values():
                found[-1].update(state.items())
    return tuple(found)


def check(site: Site, keys: list[str], *workers: Running) -> None:
    """Every effect of every record once: the tables, and each count passed on once, in order."""
    counts, again = tables(*workers)
    assert counts == Counter(keys)
    assert again == Counter(f"all-{number % 3}" for number in range(len(keys)))
    passed: dict[str, list[int]] = {}
    for key, value in visible(site.broker, "out"):
        passed.setdefault(key, []).append(int(value))
    assert passed == {key: list(range(1, count + 1)) for key, count in Counter(keys).items()}


def feed(site: Site, keys: list[str], first: int = 0) -> None:
    """Numbered records, as a plain producer sends them."""
    for number, key in enumerate(keys, first):
        place = TopicPartition("in", partition_of(key.encode(), 2))
        site.broker.append(place, [key.encode()], [b"%d" % number], [0], None)


async def finish(site: Site, *workers: Running) -> None:
    """Lets everything be done and committed, through the repartition topic too."""
    for _ in range(3):
        await site.settle(*workers)
        for running in workers:
            await running.worker.commit()
    await site.settle(*workers)


async def begin_after_death(site: Site, app: App, **options: Any) -> "tuple[Running, asyncio.Task[None]]":
    """A worker that gets its tasks when the group has given up who had them."""
    running = site.worker(app, **options)
    life = asyncio.create_task(running.run())
    await until(lambda: running.worker.members.consumer is not None)
    await expire(site)
    return running, life


class Failing:
    """Says what becomes of each commit: None, or a function that is called instead of it with the real one."""

    def __init__(self) -> None:
        self.commits = self.starts = 0
        self.outcomes: dict[int, str] = {}
        """By the number of a commit, from 1: "aborted" if it fails before it takes effect, "committed" after."""
        self.refused_starts = 0
        self.at: Callable[[int], None] = lambda number: None
        """Called before each commit."""


class FailingProducer(MemoryTransactionalProducer):
    def __init__(self, broker: MemoryBroker, transactional_id: str, timeout: float, failing: Failing) -> None:
        super().__init__(broker, transactional_id, timeout)
        self._failing = failing

    async def start(self) -> None:
        self._failing.starts += 1
        if self._failing.refused_starts and self._failing.starts > 1:
            self._failing.refused_starts -= 1
            raise CommitError("the coordinator is not available")
        await super().start()

    async def commit(self, offsets: Mapping[TopicPartition, int], member: GroupMember) -> None:
        failing = self._failing
        failing.commits += 1
        failing.at(failing.commits)
        outcome = failing.outcomes.get(failing.commits)
        if outcome == "aborted":
            raise CommitError("no answer in time, and it did not arrive")
        await super().commit(offsets, member)
        if outcome == "committed":
            raise CommitError("no answer in time, but it did arrive")


class FailingTransport(MemoryTransport):
    def __init__(self, broker: MemoryBroker, failing: Failing) -> None:
        super().__init__(broker)
        self._failing = failing

    def transactional_producer(
        self, client_id: str, transactional_id: str, *, timeout: float = 60.0
    ) -> TransactionalProducer:
        return FailingProducer(self.broker, transactional_id, timeout, self._failing)
