"""`cache_max_bytes`: between two commits only the last update of a key goes on; a table itself is always the newest."""

from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.running import Running
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended


def counting() -> App:
    app = App("cached")
    orders = app.topic("orders", key_type=str, value_type=int, partitions=1)
    counts = app.topic("counts", key_type=str, value_type=int, partitions=1)
    totals = app.topic("totals", key_type=str, value_type=int, partitions=1)
    counted = app.stream(orders).group_by_key().count(name="counted")
    counted.to_stream().to(counts)
    (
        counted.to_stream()
        .group_by(lambda _, count: "all", name="all", key_type=str)
        .reduce(lambda total, count: total + count, name="total")
        .to_stream()
        .to(totals)
    )
    return app


async def send(site: Site, running: Running, *keys: str) -> None:
    for key in keys:
        running.collector.send("orders", key.encode(), b"1", 0)
    await site.settle(running)


def written(site: Site, topic: str) -> list[tuple[Any, Any]]:
    raw = site.broker.log(TopicPartition(topic, 0)).read(0, 1_000)
    return [] if raw is None else list(zip(raw.keys, raw.values, strict=True))


async def test_what_waits_goes_on_with_the_commit() -> None:
    site = Site()
    running, life = await site.begin(counting(), cache_max_bytes=1_000_000)
    await send(site, running, "a", "b", "a", "a")
    assert written(site, "counts") == []
    (table,) = running.worker.states("counted").values()
    assert dict(table.items()) == {"a": 3, "b": 1}
    await running.worker.commit()
    assert written(site, "counts") == [(b"b", b"1"), (b"a", b"3")]
    assert site.committed("cached", "orders") == 4
    await site.settle(running)
    assert written(site, "totals") == []
    await running.worker.commit()
    assert written(site, "totals") == [(b"all", b"4")]
    await ended(running, life, site.clock)


async def test_what_takes_more_than_its_room_goes_on_at_once() -> None:
    site = Site()
    running, life = await site.begin(counting(), cache_max_bytes=1)
    await send(site, running, "a")
    await send(site, running, "a")
    assert written(site, "counts") == [(b"a", b"1"), (b"a", b"2")]
    await ended(running, life, site.clock)


async def test_the_end_brings_what_waited_and_the_next_worker_goes_on_from_there() -> None:
    site = Site()
    for _ in range(2):
        running, life = await site.begin(counting(), cache_max_bytes=1_000_000)
        await send(site, running, "a", "a")
        await ended(running, life, site.clock)
    assert written(site, "counts") == [(b"a", b"2"), (b"a", b"4")]


@pytest.mark.parametrize("bounded", [False, True])
async def test_without_it_each_update_goes_on(bounded: bool) -> None:
    site = Site()
    app = counting()
    settings = app.worker(bounded=bounded, cache_max_bytes=1_000 if bounded else 0).worker.spec.settings
    running, life = await site.begin(app, cache_max_bytes=settings.cache_max_bytes)
    for _ in range(3):
        await send(site, running, "a")
    assert [value for _, value in written(site, "counts")] == [b"1", b"2", b"3"]
    await ended(running, life, site.clock)
