"""Restoring tables: from nothing, from a position, from a log that has moved on, from what cannot be trusted."""

import asyncio
import logging
from pathlib import Path

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.running import Running
from streamz_actors.transport.abc import TopicSpec
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended, turns, until

LOG = TopicPartition("restores-counts-changelog", 0)


def counting() -> App:
    app = App("restores", store="rocksdb://")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    counts = app.table("counts", key_type=str, value_type=int, default=int)
    more = [app.table(f"more{number}", key_type=str, value_type=int, default=int) for number in range(3)]

    @app.agent(topic)
    async def count(stream: AgentStream[str, int]) -> None:
        async for key, _ in stream.items():  # noqa: PERF102  # no dict
            for table in (counts, *more):
                table[key] += 1

    return app


async def fed(site: Site, app: App, records: int) -> Running:
    running, life = await site.begin(app)
    for number in range(records):
        running.collector.send("in", f"k{number % 4}".encode(), b"1", 0)
    await site.settle(running)
    await ended(running, life, site.clock)
    return running


async def counted(site: Site, app: App, table: str = "counts") -> dict[str, int]:
    running, life = await site.begin(app)
    await site.settle(running)
    found = dict(running.worker.states(table)[0].items())
    await ended(running, life, site.clock)
    return found


def site_of(tmp_path: Path) -> Site:
    return Site("rocksdb://", tmp_path / "state")


TRUTH = {"k0": 3, "k1": 3, "k2": 2, "k3": 2}


async def test_all_tables_come_back_from_nothing_with_progress_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, app = site_of(tmp_path), counting()
    await fed(site, app, 10)
    site.data_dir = tmp_path / "elsewhere"
    caplog.set_level(logging.INFO, "streamz_actors")
    for table in ("counts", "more0", "more2"):
        assert await counted(site, app, table) == TRUTH
    assert "restoring 4 tables: 0 of 16 records" in caplog.text
    assert caplog.text.count("restored: 16 of 16 records") == 1


async def test_a_directory_left_behind_needs_no_restore(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site, app = site_of(tmp_path), counting()
    await fed(site, app, 10)
    caplog.set_level(logging.INFO, "streamz_actors")
    assert await counted(site, app) == TRUTH
    assert "restor" not in caplog.text


async def test_what_is_missing_is_read_on_from_where_the_directory_ends(tmp_path: Path) -> None:
    site, app = site_of(tmp_path), counting()
    await fed(site, app, 10)
    site.broker.log(LOG).append([b"k0", b"k1"], [b"100", None], [1, 1], None, 0)
    assert await counted(site, app) == {**{key: TRUTH[key] for key in ("k2", "k3")}, "k0": 100}


@pytest.mark.parametrize("other", ["cluster", "topic"])
async def test_state_of_another_cluster_or_topic_is_not_trusted(
    other: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, app = site_of(tmp_path), counting()
    await fed(site, app, 10)
    if other == "cluster":
        site.broker = MemoryBroker(site.clock, check_interval=None)
    else:
        site.broker.delete_topic(LOG.topic)
    assert await counted(site, app) == {}
    assert "emptied, to be rebuilt from its changelog" in caplog.text


async def test_a_directory_that_cannot_be_read_is_rebuilt_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, app = site_of(tmp_path), counting()
    await fed(site, app, 10)
    manifests = list((tmp_path / "state").rglob("MANIFEST-*")) + list((tmp_path / "state").rglob("CURRENT"))
    assert manifests
    for manifest in manifests:
        manifest.write_bytes(b"garbage")
    assert await counted(site, app) == TRUTH
    assert "rebuilt from its changelogs" in caplog.text


async def test_a_log_that_begins_behind_the_directory_rebuilds_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, app = site_of(tmp_path), counting()
    site.broker.create_topic(TopicSpec(LOG.topic, 1, None, {"cleanup.policy": "compact,delete"}))
    await fed(site, app, 10)
    log = site.broker.log(LOG)
    log.append([b"k0", b"k9"], [b"100", b"9"], [1, 1], None, 0)
    log.delete_before(log.end - 1)
    assert await counted(site, app) == {"k9": 9}
    assert "it is rebuilt" in caplog.text


async def test_timers_and_readiness_wait_for_nobody_while_a_restore_is_under_way(tmp_path: Path) -> None:
    site, app = site_of(tmp_path), counting()
    await fed(site, app, 10)
    site.data_dir = tmp_path / "elsewhere"
    running = site.worker(app)
    life = asyncio.create_task(running.run())
    await until(lambda: running.worker.tasks)
    assert not running.worker.ready.is_set()
    assert running.worker.states("counts") == {}
    await until(running.worker.ready.is_set)
    assert running.worker.assigned.restorer.progress is None
    await ended(running, life, site.clock)


async def test_a_worker_stopped_in_the_middle_of_a_restore_ends_and_the_next_one_finishes_it(tmp_path: Path) -> None:
    site, app = site_of(tmp_path), counting()
    await fed(site, app, 10)
    site.data_dir = tmp_path / "elsewhere"
    running = site.worker(app)
    life = asyncio.create_task(running.run())
    await until(lambda: running.worker.assigned.restorer.progress)
    await ended(running, life, site.clock)
    await turns(5)
    assert await counted(site, app) == TRUTH


async def test_global_tables_are_read_to_their_end_before_anything_else_and_then_followed() -> None:
    site = Site()
    app = App("global")
    names = app.topic("names", key_type=str, value_type=str, partitions=2, compacting=True)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=str, partitions=1)
    app.stream(topic).join(app.global_table(names), lambda number, name: f"{number}{name}", key=lambda k, v: k).to(out)
    running, life = await site.begin(app)
    await names.send(key="a", value="x")
    await ended(running, life, site.clock)
    site.broker.log(TopicPartition("in", 0)).append([b"a"], [b"1"], [0], None, 0)
    running, life = await site.begin(app)
    await site.settle(running)
    await names.send(key="a", value="y")
    await turns(20)
    await topic.send(key="a", value=2)
    await site.settle(running)
    await ended(running, life, site.clock)
    raw = site.broker.log(TopicPartition("out", 0)).read(0, 10)
    assert raw is not None
    assert raw.values == [b'"1x"', b'"2y"']
