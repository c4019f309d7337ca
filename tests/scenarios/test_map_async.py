"""Slow calls from the DSL: how many at once, in which order results go on, what becomes of failures and of offsets."""

import asyncio
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors import App, DeadLetter, Retry, Skip
from streamz_actors.errors import HandlerError, TopologyError
from streamz_actors.testing import TestDriver
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, committed, ended, turns, until, values


class Calls:
    """Calls that wait until the test lets them go, by value."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Future[int]] = {}
        self.begun: list[int] = []

    async def __call__(self, value: int) -> int:
        self.begun.append(value)
        self.waiting[value] = asyncio.get_running_loop().create_future()
        return await self.waiting[value]

    def answer(self, value: int) -> None:
        self.waiting.pop(value).set_result(value * 10)


async def sent(site: Site, app: App, calls: Calls, *records: tuple[str, int]) -> Any:
    running, life = await site.begin(app)
    for key, value in records:
        running.collector.send("in", f'"{key}"'.encode(), str(value).encode(), value)
    await until(lambda: calls.begun)
    await turns(50)
    return running, life


def declared(calls: Any, **options: Any) -> App:
    app = App("calls")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    app.stream(source).map_async(calls, **options).to(out)
    return app


def outputs(site: Site) -> list[int]:
    log = site.broker.log(TopicPartition("out", 0))
    raw = log.read(0, 10_000)
    return [] if raw is None else [int(value or b"") for value in raw.values]


async def test_records_of_one_key_wait_for_one_another_those_of_others_overtake() -> None:
    site, calls = Site(), Calls()
    records = [("a", 1), ("a", 2), ("b", 3), ("c", 4), ("d", 5)]
    running, life = await sent(site, declared(calls, concurrency=3), calls, *records)
    assert calls.begun == [1, 3, 4]
    calls.answer(4)
    await turns(50)
    assert calls.begun == [1, 3, 4, 5]
    for value in (5, 1, 3):
        calls.answer(value)
        await turns(50)
    calls.answer(2)
    await site.settle(running)
    assert outputs(site) == [40, 50, 10, 30, 20]
    await ended(running, life, site.clock)


async def test_without_an_order_records_of_one_key_are_called_for_together() -> None:
    site, calls = Site(), Calls()
    running, life = await sent(site, declared(calls, ordered=False), calls, ("a", 1), ("a", 2), ("a", 3))
    assert calls.begun == [1, 2, 3]
    for value in (3, 1, 2):
        calls.answer(value)
        await turns(50)
    await site.settle(running)
    assert outputs(site) == [30, 10, 20]
    await ended(running, life, site.clock)


async def test_results_can_be_given_on_in_the_order_of_the_partition() -> None:
    site, calls = Site(), Calls()
    options: dict[str, Any] = {"ordered": "partition"}
    running, life = await sent(site, declared(calls, **options), calls, ("a", 1), ("b", 2), ("c", 3), ("a", 4))
    for value in (3, 2):
        calls.answer(value)
    await turns(50)
    assert outputs(site) == []
    calls.answer(1)
    await turns(50)
    assert outputs(site) == [10, 20, 30]
    calls.answer(4)
    await site.settle(running)
    assert outputs(site) == [10, 20, 30, 40]
    await ended(running, life, site.clock)


async def test_offsets_wait_for_the_lowest_record_without_a_result() -> None:
    site, calls = Site(), Calls()
    running, life = await sent(site, declared(calls), calls, ("a", 1), ("b", 2), ("c", 3))
    calls.answer(2)
    calls.answer(3)
    await turns(50)
    await running.worker.commit()
    assert site.committed("calls", "in") in (None, 0)
    assert outputs(site) == [20, 30]
    calls.answer(1)
    await site.settle(running)
    await running.worker.commit()
    assert site.committed("calls", "in") == 3
    await ended(running, life, site.clock)


async def test_keys_values_times_and_headers_reach_what_comes_behind() -> None:
    app = App("columns")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=str, partitions=1)

    async def name(key: str, value: int) -> str:
        await asyncio.sleep(0)
        return f"{key}{value}"

    app.stream(source).filter(lambda _, value: value > 1).map_async(name, concurrency=2).to(out)
    async with TestDriver(app) as driver:
        for value in (1, 2, 3):
            await driver.send("in", key="k", value=value, timestamp=value, headers={"h": b"x"})
        rows = [(record.key, record.value, record.timestamp, record.headers) for record in driver.read("out")]
        assert rows == [("k", "k2", 2, (("h", b"x"),)), ("k", "k3", 3, (("h", b"x"),))]
        assert committed(driver, app, "in") == 3


async def test_calls_that_nobody_reads_the_results_of_are_made_and_committed() -> None:
    app = App("last")
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    seen: list[int] = []

    async def note(value: int) -> None:
        await asyncio.sleep(0)
        seen.append(value)

    app.stream(source).map_async(note)
    async with TestDriver(app) as driver:
        for value in range(10):
            await driver.send("in", key=str(value), value=value)
        assert sorted(seen) == list(range(10))
        assert committed(driver, app, "in") == 10


async def test_a_failing_call_is_tried_again_and_then_names_its_record() -> None:
    attempts: list[int] = []

    async def shaky(value: int) -> int:
        attempts.append(value)
        if value == 2 or attempts.count(value) < 3:
            raise ConnectionError("away")
        return value

    driver = TestDriver(declared(shaky, retry=Retry(2, 1.0)))
    await driver.start()
    await driver.send("in", key="a", value=1)
    await driver.advance(10)
    assert values(driver, "out") == [1]
    await driver.send("in", key="a", value=2)
    with pytest.raises(HandlerError, match=r"map_async 'in-map_async-shaky'.*'in', partition 0, offset 1.*away"):
        await driver.advance(10)
    assert attempts == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("order", [True, "partition", False])
@pytest.mark.parametrize("last", [Skip(), DeadLetter()])
async def test_a_record_can_be_given_up(last: Any, order: Any) -> None:
    async def odd(value: int) -> int:
        if value == 1:
            raise ValueError(value)
        return value

    app = declared(odd, retry=Retry(1, 0.1, then=last), ordered=order)
    async with TestDriver(app) as driver:
        for value in range(3):
            await driver.send("in", key="a", value=value)
            await driver.advance(1)
        assert values(driver, "out") == [0, 2]
        assert [failure.offset for failure in driver.failures] == [1]
        assert len(driver.dead_letters) == isinstance(last, DeadLetter)
        assert committed(driver, app, "in") == 3


async def test_a_call_that_takes_too_long_is_cancelled() -> None:
    cancelled: list[int] = []

    async def hang(value: int) -> int:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.append(value)
        return value

    site = Site()
    running, life = await site.begin(declared(hang, timeout=2.5, concurrency=4))
    running.collector.send("in", b'"a"', b"1", 0)
    await until(lambda: running.worker.tasks["in-0"].unfinished)
    await turns()
    while site.clock.advance_to_next(site.clock.monotonic() + 3):
        await turns()
    with pytest.raises(HandlerError, match=r"offset 0.*no result within 2\.5 s"):
        await life
    assert cancelled == [1]


async def test_calls_begin_no_faster_than_the_rate_limit() -> None:
    begun: list[float] = []
    site = Site()

    async def note(value: int) -> int:
        begun.append(site.clock.monotonic())
        return value

    running, life = await site.begin(declared(note, rate_limit=2, concurrency=10))
    for value in range(4):
        running.collector.send("in", f'"{value}"'.encode(), b"1", 0)
    while len(begun) < 4:
        await turns()
        site.clock.advance_to_next(site.clock.monotonic() + 0.1)
    assert [b - a for a, b in pairwise(begun)] == pytest.approx([0.5, 0.5, 0.5], abs=0.02)
    await site.settle(running)
    await ended(running, life, site.clock)


def test_what_makes_no_sense_is_said() -> None:
    app = App("wrong")
    stream = app.stream(app.topic("in", key_type=str, value_type=int))

    async def fine(value: int) -> int:
        return value

    async def three(a: int, b: int, c: int) -> int:
        return a + b + c

    wrong: Any = int
    strange: Any = three
    with pytest.raises(TopologyError, match="must be `async def`"):
        stream.map_async(wrong)
    wrongs: list[tuple[dict[str, Any], str]] = [
        ({"concurrency": 0}, "concurrency=0"),
        ({"timeout": 0}, "timeout=0"),
        ({"rate_limit": -1}, "rate_limit=-1"),
        ({"retry": Skip()}, "must be Retry"),
        ({"ordered": "sometimes"}, "ordered='sometimes'"),
    ]
    for options, match in wrongs:
        with pytest.raises(TopologyError, match=match):
            stream.map_async(fine, **options)
    with pytest.raises(TopologyError, match="takes \\(value\\) or \\(key, value\\)"):
        stream.map_async(strange)


@given(
    keys=st.lists(st.sampled_from(["a", "b", "c", None]), max_size=30),
    waits=st.lists(st.integers(0, 5), min_size=30, max_size=30),
    concurrency=st.integers(1, 6),
    ordered=st.sampled_from([True, "partition", False]),
)
@settings(max_examples=50, deadline=None)
async def test_every_record_has_one_result_in_the_order_asked_for(
    keys: list[str | None], waits: list[int], concurrency: int, ordered: Any
) -> None:
    running_now: dict[str | None, int] = defaultdict(int)
    most = together = 0

    async def call(key: str | None, value: int) -> int:
        nonlocal most, together
        running_now[key] += 1
        most, together = max(most, sum(running_now.values())), max(together, running_now[key] if key else 0)
        for _ in range(waits[value]):
            await asyncio.sleep(0)
        running_now[key] -= 1
        return value

    site = Site()
    running, life = await site.begin(declared(call, concurrency=concurrency, ordered=ordered))
    for value, key in enumerate(keys):
        running.collector.send("in", None if key is None else f'"{key}"'.encode(), str(value).encode(), 0)
    await site.settle(running)
    given_on = outputs(site)
    assert sorted(given_on) == list(range(len(keys)))
    assert most <= concurrency
    if ordered is not False:
        assert together <= 1
        for key in ("a", "b", "c"):
            mine = [value for value in given_on if keys[value] == key]
            assert mine == sorted(mine)
    if ordered == "partition":
        assert given_on == sorted(given_on)
    await running.worker.commit()
    assert site.committed("calls", "in") == (len(keys) or None)
    await ended(running, life, site.clock)
