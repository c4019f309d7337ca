"""Workers that share one folder, as the processes of a machine do: whose state lies where, and what a restart finds."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streamz_actors.running import Running
from tests.scenarios.group import KEYS, PARTITIONS, Flow, expire
from tests.scenarios.support import Site, turns, until
from tests.unit.web.client import client


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    return Flow(Site("rocksdb://", tmp_path))


def places(flow: Flow) -> list[str]:
    return sorted(path.parent.name for path in flow.site.data_dir.glob("*/*/CURRENT"))


FIRST = [f"in-{number}" for number in range(PARTITIONS)]


async def hear(flow: Flow) -> None:
    """Time goes on until all has been taken over from others on this machine, and then some, for the copies."""
    clock = flow.site.clock
    for seconds in (5.0, 3.0):
        await turns(200)
        end = clock.monotonic() + seconds
        while clock.advance_to_next(end):
            await turns(20)
    await flow.settle()


async def warm(flow: Flow) -> None:
    await turns(200)
    for running in flow.workers:
        await running.worker.commit()
    await hear(flow)
    for running in flow.workers:
        await running.worker.commit()
    await hear(flow)


async def join(flow: Flow, name: str, **options: Any) -> Running:
    return await flow.join(name, **{"standby_replicas": 1, **options})


async def test_without_copies_a_task_that_moves_takes_its_place_with_it(flow: Flow) -> None:
    await flow.join("first")
    flow.send(3)
    await warm(flow)
    second = await flow.join("second")
    await hear(flow)
    assert len(second.worker.tasks) == PARTITIONS // 2
    await flow.leave(second)
    await flow.settle()
    flow.check_exact()
    assert places(flow) == FIRST
    await flow.end()


async def test_each_copy_has_a_place_of_its_own(flow: Flow) -> None:
    await join(flow, "first")
    flow.send(3)
    await warm(flow)
    assert places(flow) == FIRST
    await join(flow, "second")
    await warm(flow)
    assert places(flow) == sorted([*FIRST, *(f"{name}@1" for name in FIRST)])
    flow.check_exact()
    await flow.end()


async def test_workers_that_come_back_take_up_what_they_left(flow: Flow, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("first", "second"):
        await join(flow, name)
    flow.send(5)
    await warm(flow)
    await flow.end()
    before = places(flow)
    caplog.clear()
    caplog.set_level("INFO", "streamz_actors")
    for name in ("first", "second"):
        await join(flow, name)
    await warm(flow)
    assert "restored: " not in caplog.text
    assert places(flow) == before
    assert flow.shares() == [PARTITIONS // 2] * 2
    flow.check_exact()
    await flow.end()


async def test_what_nobody_owns_is_answered_by_its_copy(flow: Flow) -> None:
    first = await join(flow, "first", web_enabled=True, web_port=0)
    second = await join(flow, "second")
    flow.send(4)
    await warm(flow)
    assert first.web is not None
    lost = next(iter(second.worker.tasks.values()))
    (key, *_) = [key.decode() for key, _ in lost.own["counts"].logged.store.scan()]
    had = set(second.worker.tasks)
    await flow.kill(second)
    async with client(first.web.url) as asking:
        assert (await asking.get(f"/v1/tables/counts/{key}")).status == 503
        answer = (await asking.get(f"/v1/tables/counts/{key}?stale=true")).json
        assert (answer["value"], answer["stale"], answer["worker"]) == (4, True, "first")
        cluster = (await asking.get("/v1/cluster")).json
        assert {copy["task"]: copy["lag"] for copy in cluster["copies"]} == dict.fromkeys(had, 0)
        (mine,) = [one for one in cluster["workers"] if one["name"] == "first"]
        assert set(mine["standbys"]) == had
        (sub,) = cluster["subtopologies"]
        assert all(owner not in keepers for owner, keepers in zip(sub["owners"], sub["standbys"], strict=True))
        metrics = (await asking.get("/metrics")).text
        assert f"streamz_standbys {len(had)}" in metrics
        assert f'streamz_standby_lag_records{{task="{lost.name}"}} 0' in metrics
        assert (await asking.get("/readyz")).status == 200
    flow.send(1)
    await turns(50)
    await expire(flow.site)
    await flow.settle()
    await until(lambda: len(first.worker.tasks) == PARTITIONS)
    await flow.end()


async def test_under_exactly_once_copies_hold_what_is_committed_and_take_over(flow: Flow) -> None:
    settings = {"processing_guarantee": "exactly_once"}
    first, second = await join(flow, "first", **settings), await join(flow, "second", **settings)
    flow.send(5)
    await warm(flow)
    assert set(first.worker.assigned.standbys.lags().values()) == {0}
    for name, copy in first.worker.assigned.standbys.tasks.items():
        own = second.worker.tasks[name].own["counts"].logged.store
        assert dict(copy.shelf.stores["counts"].scan()) == dict(own.scan())
    await flow.kill(second)
    flow.send(1)
    await turns(50)
    await expire(flow.site)
    await flow.settle()
    await first.worker.commit()
    assert flow.counts() == Counter(dict.fromkeys(KEYS, flow.sent))
    await flow.end()
