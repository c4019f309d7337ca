"""Why a table cannot be read here: a reason for each state that a worker can be in."""

from dataclasses import dataclass

import pytest

from streamz_actors import App
from streamz_actors.assignment.wire import Host, Ownership
from streamz_actors.errors import NotReady, StreamzError, TableUnknown
from streamz_actors.query.anywhere import Queries
from streamz_actors.tasks.restore import Progress
from streamz_actors.types import TopicPartition
from streamz_actors.worker.provision import provision
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.worker import Worker


@dataclass
class Asked:
    worker: Worker
    queries: Queries

    async def refusal(self, table: str = "totals") -> NotReady:
        with pytest.raises(NotReady) as caught:
            await self.queries.get(table, "alice")
        return caught.value


@pytest.fixture
async def asked() -> Asked:
    """A worker that has looked at its broker and has joined no group yet."""
    app = App("shop", web_enabled=False, topic_partitions=2)
    orders = app.topic("orders", key_type=str, value_type=float)
    totals = app.table("totals", key_type=str, value_type=float)
    app.table("idle", key_type=str, value_type=float, partitions=7)
    app.global_table(app.topic("rates", key_type=str, value_type=float))

    @app.agent(orders, tables=[totals])
    async def add(stream):  # type: ignore[no-untyped-def]
        async for event in stream.events():
            totals[event.key] = event.value

    running = app.worker()
    worker = running.worker
    worker.provision = await provision(worker.transport.admin, worker.spec)
    worker.status = WorkerStatus.RUNNING
    return Asked(worker, running.queries)


async def test_an_unknown_table_is_answered_with_those_there_are(asked: Asked) -> None:
    with pytest.raises(TableUnknown, match="no table 'nope'; tables: idle, rates, totals"):
        await asked.queries.get("nope", "alice")


async def test_a_worker_that_starts_says_so(asked: Asked) -> None:
    asked.worker.status = WorkerStatus.STARTING
    asked.worker.provision = None
    assert "the worker is starting" in str(await asked.refusal())


async def test_a_worker_that_has_failed_says_so(asked: Asked) -> None:
    asked.worker.fail(StreamzError("no"))
    assert "the worker has failed" in str(await asked.refusal())


async def test_a_worker_without_partitions_that_was_told_nothing_says_so(asked: Asked) -> None:
    asked.worker.members.assigned = frozenset()
    assert str(await asked.refusal()).endswith("the worker has no partitions")


async def test_a_partition_that_nobody_has_or_nobody_can_be_asked_for_is_not_ready(asked: Asked) -> None:
    members = asked.worker.members
    members.assigned = frozenset()
    members.ownership = Ownership("other", (Host("other", ""),), {"orders": (-1, -1)})
    assert "no worker has partition" in str(await asked.refusal())
    members.ownership = Ownership("other", (Host("other", ""),), {"orders": (0, 0)})
    assert "at worker other, which serves no HTTP" in str(await asked.refusal())


async def test_before_an_assignment_the_worker_waits(asked: Asked) -> None:
    assert "waits for its partitions" in str(await asked.refusal())


async def test_a_restore_tells_its_progress_and_when_to_come_again(asked: Asked) -> None:
    asked.worker.members.assigned = frozenset({TopicPartition("orders", 0)})
    assert "on their way" in str(await asked.refusal())
    now = asked.worker.clock.monotonic()
    progress = asked.worker.assigned.restorer.progress = Progress(now - 10, total=1_000, done=250)
    refusal = await asked.refusal()
    assert "250 of 1,000 records" in str(refusal)
    assert 25 <= refusal.retry_after <= 60
    progress.done = 0
    assert (await asked.refusal()).retry_after == 1.0


async def test_a_listing_needs_all_partitions(asked: Asked) -> None:
    with pytest.raises(NotReady):
        await asked.queries.entries("totals")


async def test_a_global_table_waits_for_its_load(asked: Asked) -> None:
    assert "'rates' cannot be read here" in str(await asked.refusal("rates"))


async def test_a_table_that_nothing_uses_is_empty(asked: Asked) -> None:
    assert await asked.queries.get("idle", "alice") is None
    assert await asked.queries.entries("idle") == ([], None)
    assert asked.queries.local.table("idle").partitions == 0
