"""Copies of tables on other workers: kept warm, taken over without a restore, given back, asked while nobody owns."""

from pathlib import Path
from typing import Any

import pytest

from streamz_actors.running import Running
from tests.scenarios.group import Flow
from tests.scenarios.support import Site, turns


def copies(running: Running) -> dict[str, int | None]:
    return dict(running.worker.assigned.standbys.lags())


async def hear(flow: Flow, seconds: float = 1.0) -> None:
    """Time goes on, so that copies hear of ends and commits."""
    end = flow.site.clock.monotonic() + seconds
    while flow.site.clock.advance_to_next(end):
        await turns(20)
    await turns(50)


async def commit(flow: Flow) -> None:
    for running in flow.workers:
        await running.worker.commit()


async def warm(flow: Flow) -> None:
    """Everything is committed, and the copies have it."""
    await flow.settle()
    await commit(flow)
    await hear(flow, 3.0)
    await flow.settle()


@pytest.fixture(params=["memory://", "rocksdb://"])
def flow(request: pytest.FixtureRequest, tmp_path: Path) -> Flow:
    return Flow(Site(request.param, tmp_path))


async def join(flow: Flow, name: str, **options: Any) -> Running:
    return await flow.join(name, **{"standby_replicas": 1, **options})


async def test_each_task_has_a_copy_on_the_other_worker_and_it_holds_what_is_committed(flow: Flow) -> None:
    first, second = await join(flow, "first"), await join(flow, "second")
    flow.send(5)
    await warm(flow)
    for one, other in ((first, second), (second, first)):
        assert copies(one).keys() == other.worker.tasks.keys()
        assert set(copies(one).values()) == {0}
    for name, copy in first.worker.assigned.standbys.tasks.items():
        own = second.worker.tasks[name].own["counts"].logged.store
        assert dict(copy.shelf.stores["counts"].scan()) == dict(own.scan())
    await flow.end()
