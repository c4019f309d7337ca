"""Partitions of one sub-topology that go through event time together: `max_time_drift`."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from streamz_actors import AgentStream, App, Tumbling, Windowed
from streamz_actors.running import Running
from streamz_actors.testing import TestDriver
from streamz_actors.transport.abc import TopicSpec
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended, turns, until

PARTITIONS = 3
HOUR = 3_600_000
DRIFT = 600.0
HISTORY = {0: [number * 20_000 for number in range(6_000)], 1: [number * 2_000_000 for number in range(60)]}
"""A day and a half at two densities: a step of equal length is half a day of the one, and all of the other."""


def fill(site: Site, history: Mapping[int, Sequence[int]] = HISTORY) -> None:
    """Puts records with these timestamps (ms) into the partitions of "in"; a value says partition and timestamp."""
    site.broker.create_topic(TopicSpec("in", PARTITIONS, None, {}))
    for partition, timestamps in history.items():
        values: list[bytes | None] = [f'"{partition}:{timestamp}"'.encode() for timestamp in timestamps]
        keys: list[bytes | None] = [b"k"] * len(values)
        site.broker.append(TopicPartition("in", partition), keys, values, list(timestamps), None)


def regrouped(hours: dict[Windowed[str], int], drift: float | None = DRIFT) -> App:
    """Counts by the hour, behind a repartition topic."""
    app = App("drift", max_time_drift=drift, topic_partitions=PARTITIONS)
    source = app.stream(app.topic("in", key_type=str, value_type=str))
    grouped = source.group_by(lambda _, value: "all", key_type=str)
    counted = grouped.windowed_by(Tumbling(3_600, grace=1_200)).count(name="hours")
    counted.to_stream().foreach(hours.__setitem__)
    return app


def by_hour(history: Mapping[int, Sequence[int]] = HISTORY) -> dict[Windowed[str], int]:
    starts = Counter(timestamp // HOUR * HOUR for timestamps in history.values() for timestamp in timestamps)
    return {Windowed("all", start, start + HOUR): count for start, count in starts.items()}


class Watched:
    """The records of "in" in the order in which one worker's tasks took them."""

    def __init__(self, history: Mapping[int, Sequence[int]]) -> None:
        self.left = {partition: list(timestamps) for partition, timestamps in history.items() if timestamps}
        self.furthest = 0
        """By how much a record was ahead of the sibling that was furthest behind, in ms."""

    def take(self, value: str) -> str:
        partition, timestamp = map(int, value.split(":"))
        for other, timestamps in self.left.items():
            if other != partition:
                self.furthest = max(self.furthest, timestamp - timestamps[0])
        assert self.left[partition].pop(0) == timestamp
        if not self.left[partition]:
            del self.left[partition]
        return value

    async def take_slowly(self, value: str) -> str:
        await asyncio.sleep(0)
        return self.take(value)

    def app(self, *, slow: bool = False, **settings: Any) -> App:
        app = App("drift", **settings)
        source = app.stream(app.topic("in", key_type=str, value_type=str))
        if slow:
            source.map_values(self.take_slowly, value_type=str)
        else:
            source.map_values(self.take, value_type=str)
        return app


async def whole(site: Site, app: App, **options: Any) -> Running:
    """Runs a worker until all is done."""
    running, life = await site.begin(app, **options)
    await site.settle(running)
    await ended(running, life, site.clock)
    return running


async def test_history_of_different_densities_is_late_behind_a_repartition_topic_by_default() -> None:
    site = Site()
    fill(site)
    running = await whole(site, regrouped({}, None))
    assert running.worker.late_records.total() > 0


@pytest.mark.parametrize("buffered", [1, 100, 20_000])
async def test_with_a_drift_below_the_grace_nothing_is_late(buffered: int) -> None:
    site = Site()
    fill(site)
    hours: dict[Windowed[str], int] = {}
    running = await whole(site, regrouped(hours), max_buffered_records=buffered)
    assert running.worker.late_records.total() == 0
    assert hours == by_hour()


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("drift", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("seed", range(3))
async def test_no_record_is_further_ahead_of_a_sibling_than_allowed(seed: int, drift: float, slow: bool) -> None:
    chance = random.Random(seed)
    history = {
        partition: sorted(chance.randrange(2_000) for _ in range(chance.randrange(300)))
        for partition in range(PARTITIONS)
    }
    site = Site()
    fill(site, history)
    watched = Watched(history)
    await whole(site, watched.app(max_time_drift=drift, slow=slow))
    assert watched.left == {}
    assert watched.furthest <= drift * 1_000


@pytest.mark.parametrize("seed", range(5))
async def test_records_in_no_order_keep_nobody_waiting_for_ever(seed: int) -> None:
    chance = random.Random(seed)
    history = {partition: [chance.randrange(10**6) for _ in range(200)] for partition in range(PARTITIONS)}
    site = Site()
    fill(site, history)
    watched = Watched(history)
    app = watched.app(max_time_drift=chance.choice([0, 1, 100]))
    await whole(site, app, max_buffered_records=chance.choice([1, 50]))
    assert watched.left == {}


async def test_a_partition_that_has_nothing_more_holds_nobody_up() -> None:
    site = Site()
    fill(site, {1: [0, 10**9, 10**12]})
    watched = Watched({1: [0, 10**9, 10**12]})
    await whole(site, watched.app(max_time_drift=0))
    assert watched.left == {}


async def test_a_partition_whose_records_are_on_their_way_is_waited_for() -> None:
    site = Site()
    fill(site, {})
    watched = Watched({0: [1_000, 9_000], 1: [2_000]})
    running, life = await site.begin(watched.app(max_time_drift=1))
    await site.settle(running)
    consumer = running.worker.assigned.consumer
    assert consumer is not None
    consumer.pause([TopicPartition("in", 1)])
    fill(site, {0: [1_000, 9_000], 1: [2_000]})
    await until(lambda: running.worker.tasks["in-0"].buffer.count)
    await turns()
    assert watched.left == {0: [1_000, 9_000], 1: [2_000]}
    assert not running.worker.idle
    consumer.resume([TopicPartition("in", 1)])
    await site.settle(running)
    assert watched.left == {}
    await ended(running, life, site.clock)


async def test_an_actor_that_is_full_holds_the_others_up_as_long_as_it_works() -> None:
    site = Site()
    history = {partition: list(range(0, 60_000, 10)) for partition in (0, 1)}
    fill(site, history)
    app = App("drift", max_time_drift=1)
    seen: dict[str, list[int]] = defaultdict(list)
    works = asyncio.Event()

    @app.agent(app.topic("in", key_type=str, value_type=str))
    async def look(stream: AgentStream[str, str]) -> None:
        async for value in stream:
            partition, timestamp = value.split(":")
            seen[partition].append(int(timestamp))
            if partition == "0":
                await works.wait()

    running, life = await site.begin(app)
    await turns(500)
    at = running.worker.tasks["in-0"].buffer.head_time()
    assert seen["0"] == [0]
    assert at - 1_000 <= seen["1"][-1] <= at + 1_000 < 60_000
    assert not running.worker.idle
    works.set()
    await until(lambda: len(seen["0"]) == len(seen["1"]) == 6_000)
    await site.settle(running)
    await ended(running, life, site.clock)
    assert seen == {str(partition): timestamps for partition, timestamps in history.items()}


async def test_a_worker_that_ends_in_the_middle_leaves_nothing_late_to_the_next() -> None:
    site = Site()
    fill(site)
    hours: dict[Windowed[str], int] = {}
    late = 0
    running, life = await site.begin(regrouped(hours))
    for share in (4, 2):
        await until(lambda share=share: sum(hours.values()) > 6_000 // share)  # type: ignore[misc]
        await ended(running, life, site.clock)
        late += running.worker.late_records.total()
        running, life = await site.begin(regrouped(hours))
    await site.settle(running)
    await ended(running, life, site.clock)
    assert late + running.worker.late_records.total() == 0
    assert hours == by_hour()


async def test_workers_that_share_the_partitions_do_not_wait_for_each_other() -> None:
    site = Site()
    fill(site, {0: [0, 10], 1: [10**9], 2: [10**6]})
    watched = Watched({0: [0, 10], 1: [10**9], 2: [10**6]})
    first, life = await site.begin(watched.app(max_time_drift=0), name="first")
    other = asyncio.create_task((second := site.worker(watched.app(max_time_drift=0), name="second")).run())
    await until(lambda: second.worker.members.assigned)
    await site.settle(first, second)
    assert watched.left == {}
    fill(site, more := {0: [20, 10**9 + 1], 1: [10**9 + 2], 2: [10**7]})
    watched.left = {partition: list(timestamps) for partition, timestamps in more.items()}
    await ended(second, other, site.clock)
    await site.settle(first)
    assert watched.left == {}
    await ended(first, life, site.clock)


async def test_a_test_driver_settles_where_a_partition_waits_for_a_sibling_that_waits_for_time() -> None:
    app = App("drift", max_time_drift=1, max_task_idle=60)
    seen: list[str] = []
    left, right = (app.topic(name, key_type=str, value_type=str, partitions=2) for name in ("left", "right"))
    app.stream(left).merge(app.stream(right)).foreach(lambda _, value: seen.append(value))
    async with TestDriver(app) as driver:

        def put(topic: str, partition: int, timestamp: int) -> None:
            value = f'"{topic}{partition}"'.encode()
            driver.broker.append(TopicPartition(topic, partition), [b"k"], [value], [timestamp], None)

        put("left", 0, 0)
        put("left", 1, 5_000)
        put("right", 1, 5_000)
        await driver.settle()
        assert seen == []
        await driver.advance(60)
        assert seen == ["left0", "left1"], "the right one of 1 may have to wait for a left one"
        await driver.advance(60)
        assert seen == ["left0", "left1", "right1"]
