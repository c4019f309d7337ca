"""Agents and slow calls behind an operator that keeps state: a commit waits for them, so that none of what came of a
committed window, count or table write is lost when the worker dies.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import AgentStream, App, Retry, Skip, Stream, Tumbling
from streamz_actors.running import Running
from streamz_actors.testing import TestDriver
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Crash, Site, committed, crash_at, ended, turns, until

IN = TopicPartition("in", 0)
SIZE = 10
"""Of a window, in ms."""
STEPS = ("stopped", "taken", "delivered", "sent", "committed", "applied")


class Work:
    """Records of a few keys, a millisecond apart, and what the last in the line was given. `pause`: turns it takes."""

    def __init__(self, site: Site, pause: int) -> None:
        self.site, self.pause = site, pause
        self.handled: list[list[Any]] = []
        self.sent: list[str] = []

    def send(self, *keys: str) -> None:
        for key in keys:
            at = len(self.sent)
            self.site.broker.append(IN, [key.encode()], [b"%d" % at], [at], None)
            self.sent.append(key)

    def close(self) -> None:
        """Closes all windows: a record long after the others."""
        self.site.broker.append(IN, [b"end"], [b"-1"], [1_000_000], None)

    async def handle(self, value: Any) -> Any:
        for _ in range(self.pause):
            await asyncio.sleep(0)
        self.handled.append(value)
        return value

    def check(self, place: "Callable[[str, int], Any]") -> None:
        """What has come of the records of one place was handled with all of them at least once."""
        highest: dict[Any, int] = defaultdict(int)
        for key, first, count in self.handled:
            highest[place(key, first)] = max(highest[place(key, first)], count)
        truth = Counter(place(key, at) for at, key in enumerate(self.sent))
        assert all(highest[each] >= count for each, count in truth.items())


Declare = Callable[[App, "Stream[str, int]", Work], object]


def agent(app: App, stream: "Stream[Any, Any]", work: Work, **options: Any) -> None:
    @app.agent(stream, name="last", **options)
    async def last(events: AgentStream[Any, int]) -> None:
        async for value in events:
            await work.handle(value)


def lists(app: App, stream: "Stream[Any, Any]", work: Work, size: int = 3, within: float = 5.0) -> None:
    @app.agent(stream, name="last")
    async def last(events: AgentStream[Any, Any]) -> None:
        async for values in events.take(size, within=within):
            for value in values:
                await work.handle(value)


def count_up(key: str, value: int, so_far: list[Any] | None) -> list[Any]:
    """The key, its first value, and how many it has had."""
    return [key, value, 1] if so_far is None else [*so_far[:2], so_far[2] + 1]


def closed(stream: "Stream[str, int]") -> "Stream[Any, Any]":
    grouped = stream.group_by_key().windowed_by(Tumbling(SIZE / 1_000))
    return grouped.aggregate(lambda: None, count_up, "windows", value_type=list[Any], emit="close").to_stream()


def counted(stream: "Stream[str, int]") -> "Stream[Any, Any]":
    grouped = stream.group_by_key()
    return grouped.aggregate(lambda: None, count_up, "counts", value_type=list[Any]).to_stream()


def windows(app: App, stream: "Stream[str, int]", work: Work) -> None:
    agent(app, closed(stream), work)


def windows_in_lists(app: App, stream: "Stream[str, int]", work: Work) -> None:
    lists(app, closed(stream), work)


def windows_behind_calls(app: App, stream: "Stream[str, int]", work: Work) -> None:
    async def same(value: int) -> int:
        await asyncio.sleep(0)
        return value

    agent(app, closed(stream.map_async(same, ordered="partition")), work, concurrency=2)


def counts(app: App, stream: "Stream[str, int]", work: Work) -> None:
    agent(app, counted(stream), work, concurrency=3)


def counts_in_lists(app: App, stream: "Stream[str, int]", work: Work) -> None:
    lists(app, counted(stream), work)


def counts_called(app: App, stream: "Stream[str, int]", work: Work) -> None:
    counted(stream).map_async(work.handle, concurrency=4).to(app.topic("out", key_type=str, value_type=list[Any]))


def counts_awaited(app: App, stream: "Stream[str, int]", work: Work) -> None:
    async def same(value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    calls = counted(stream).map_async(work.handle, concurrency=4).map_values(same)
    calls.to(app.topic("out", key_type=str, value_type=list[Any]))


def first_ones(app: App, stream: "Stream[str, int]", work: Work) -> None:
    """An agent in the middle lets each key through once."""
    seen = app.table("seen", key_type=str, value_type=int)

    async def fresh(events: AgentStream[str, int]) -> AsyncIterator[list[Any]]:
        async for key, value in events.items():
            if key not in seen:
                seen[key] = value
                yield [key, value, 1]

    agent(app, stream.through_agent(fresh), work)


def check_windows(work: Work) -> None:
    work.check(lambda key, at: (key, at - at % SIZE))


def check_counts(work: Work) -> None:
    work.check(lambda key, _: key)


def check_first(work: Work) -> None:
    assert {key for key, *_ in work.handled} >= set(work.sent)


LINES: dict[str, tuple[Declare, Callable[[Work], None]]] = {
    "windows": (windows, check_windows),
    "windows in lists": (windows_in_lists, check_windows),
    "windows behind calls": (windows_behind_calls, check_windows),
    "counts": (counts, check_counts),
    "counts in lists": (counts_in_lists, check_counts),
    "counts called": (counts_called, check_counts),
    "counts awaited": (counts_awaited, check_counts),
    "first ones": (first_ones, check_first),
}


def made(declare: Declare, work: Work) -> App:
    app = App("behind")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    declare(app, app.stream(topic), work)
    return app


async def begin(site: Site, app: App, **options: Any) -> "tuple[Running, asyncio.Task[None]]":
    return await site.begin(app, **{"commit_interval": 1.0, **options})


async def die(running: Running, life: "asyncio.Task[None]") -> None:
    """Nothing is finished or committed any more."""
    await running.worker.close()
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)


async def pass_time(site: Site, seconds: float) -> None:
    """In steps, each with time for what comes of it."""
    end = site.clock.monotonic() + seconds
    while site.clock.advance_to_next(end):
        await turns(10)
    await turns(50)


async def finished(site: Site) -> None:
    """Lets time pass until everything that there is is committed."""
    for _ in range(1_000):
        await pass_time(site, 1.0)
        if site.committed("behind", "in") == site.broker.log(IN).end:
            return
    raise AssertionError("what is there is never committed")


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("seed", range(8))
async def test_whenever_a_worker_dies_nothing_is_lost(line: str, seed: int, tmp_path: Path) -> None:
    declare, check = LINES[line]
    chance = random.Random(f"{line} {seed}")
    site = Site(chance.choice(["memory://", "rocksdb://"]), tmp_path)
    work = Work(site, chance.choice([0, 1, 5, 40]))
    app = made(declare, work)
    running, life = await begin(site, app)
    for _ in range(60):
        match chance.choice("sssstttccd"):
            case "s":
                work.send(*chance.choices("abcdefgh", k=chance.randrange(1, 12)))
            case "t":
                await turns(chance.randrange(1, 60))
            case "c":
                site.clock.advance_to_next(site.clock.monotonic() + chance.choice([0.125, 0.5, 1.0]))
            case "d":
                await die(running, life)
                running, life = await begin(site, app)
    work.close()
    await finished(site)
    await ended(running, life, site.clock)
    check(work)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_between_the_steps_of_a_commit_loses_nothing(line: str, step: str) -> None:
    declare, check = LINES[line]
    site = Site()
    work = Work(site, 7)
    app = made(declare, work)
    _, life = await begin(site, app, watch=crash_at(step, 3))
    while not life.done():
        work.send(*"abcab")
        await pass_time(site, 0.25)
    with pytest.raises(Crash):
        await life
    second, life = await begin(site, app)
    work.close()
    await finished(site)
    if declare is not first_ones:
        check_state(second, work)
    await ended(second, life, site.clock)
    check(work)


def check_state(running: Running, work: Work) -> None:
    if "counts" not in running.worker.assigned.by_name["in-0"].own:
        return
    (state,) = running.worker.states("counts").values()
    held = {key: count for key, (_, _, count) in state.items()}
    assert held == Counter([*work.sent, "end"])


async def test_no_list_keeps_a_commit_waiting_however_much_comes() -> None:
    site = Site()
    work = Work(site, 0)
    app = made(lambda app, stream, work: lists(app, closed(stream), work, 10_000, 3_600.0), work)
    running, life = await begin(site, app)
    behind = []
    for _ in range(20):
        for _ in range(8):
            work.send(*"abc")
            await pass_time(site, 0.125)
        behind.append(len(work.sent) - (site.committed("behind", "in") or 0))
    assert max(behind) <= 60
    await ended(running, life, site.clock)


async def test_a_list_that_no_state_stands_before_is_not_cut_by_a_commit() -> None:
    site = Site()
    work = Work(site, 0)
    app = made(lambda app, stream, work: lists(app, stream, work, 100, 3_600.0), work)
    running, life = await begin(site, app)
    for _ in range(5):
        work.send(*"abc")
        await pass_time(site, 1.0)
    assert work.handled == []
    assert not site.committed("behind", "in")
    await ended(running, life, site.clock)


async def test_only_the_task_with_a_slow_handler_waits_for_it() -> None:
    site, gate = Site(), asyncio.Event()
    app = App("behind")
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    seen: list[str] = []

    @app.agent(app.stream(topic).group_by_key().count("counts").to_stream())
    async def last(events: AgentStream[str, int]) -> None:
        async for key, _ in events.items():  # noqa: PERF102  # no dict
            seen.append(key)
            if key == "slow":
                await gate.wait()

    running, life = await begin(site, app)
    for partition, key in enumerate([b"slow", b"quick"]):
        site.broker.append(TopicPartition("in", partition), [key], [b"1"], [0], None)
    await pass_time(site, 3.0)
    for partition, key in enumerate([b"later", b"quick"]):
        site.broker.append(TopicPartition("in", partition), [key], [b"1"], [0], None)
    await pass_time(site, 3.0)
    assert not site.committed("behind", "in", 0)
    assert site.committed("behind", "in", 1) == 2
    (held,) = (task for task in running.worker.tasks.values() if task.partition == 0)
    assert dict(held.own["counts"].items()) == {"slow": 1}  # nothing is stepped meanwhile
    gate.set()
    await until(lambda: site.committed("behind", "in", 0) == 1)  # at once, not when the next is due
    await pass_time(site, 3.0)
    assert site.committed("behind", "in", 0) == 2
    await ended(running, life, site.clock)
    assert Counter(seen) == {"slow": 1, "later": 1, "quick": 2}


async def test_what_a_stopping_worker_cannot_wait_for_comes_again_with_its_state(caplog: Any) -> None:
    site, gate = Site(), asyncio.Event()
    work = Work(site, 0)
    started: list[str] = []

    def declare(app: App, stream: "Stream[str, int]", work: Work) -> None:
        @app.agent(counted(stream))
        async def last(events: AgentStream[str, Any]) -> None:
            async for key, value in events.items():
                started.append(key)
                await gate.wait()
                work.handled.append(value)

    app = made(declare, work)
    first, life = await begin(site, app)
    work.send(*"aab")
    await turns()
    await ended(first, life, site.clock)
    assert not site.committed("behind", "in")
    assert "not done in time" in caplog.text
    gate.set()
    second, life = await begin(site, app)
    await finished(site)
    await ended(second, life, site.clock)
    assert started[0] == "a"
    assert work.handled == [["a", 0, 1], ["a", 0, 2], ["b", 2, 1]]


async def test_a_pause_before_a_retry_holds_the_commit_up_and_nothing_else() -> None:
    app = App("behind")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    tries: list[str] = []

    @app.agent(app.stream(topic).group_by_key().count("counts").to_stream(), on_error=Retry(3, 2.0, then=Skip()))
    async def last(events: AgentStream[str, int]) -> None:
        async for key, _ in events.items():  # noqa: PERF102  # no dict
            tries.append(key)
            if key == "bad":
                raise ValueError(key)

    async with TestDriver(app, commit_interval=1.0) as driver:
        await driver.send(topic, key="bad", value=1)
        for value in range(3):
            await driver.advance(1.0)
            await driver.send(topic, key="good", value=value)
        assert not committed(driver, app, "in")
        await driver.advance(60.0)
        assert committed(driver, app, "in") == 4
        assert tries == ["bad"] * 4 + ["good"] * 3
        assert dict(driver.table("counts")) == {"bad": 1, "good": 3}


async def test_the_driver_does_not_cut_lists_short() -> None:
    app = App("behind")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    got: list[list[int]] = []

    @app.agent(app.stream(topic).group_by_key().count("counts").to_stream())
    async def last(events: AgentStream[str, int]) -> None:
        async for values in events.take(3, within=10.0):
            got.extend([values])

    async with TestDriver(app) as driver:
        for value in range(4):
            await driver.send(topic, key="a", value=value)
        assert got == [[1, 2, 3]]
        await driver.advance(10.0)
        assert got == [[1, 2, 3], [4]]
        assert committed(driver, app, "in") == 4
