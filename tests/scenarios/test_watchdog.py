"""What stands still is seen: readiness turns red, says what it is, and turns green again by itself."""

import asyncio
import logging
from typing import Any

import pytest

from streamz_actors import AgentStream, App, Retry
from streamz_actors.errors import BrokerUnavailable
from streamz_actors.telemetry.loop_lag import LoopLag
from streamz_actors.testing import TestDriver
from streamz_actors.transport.memory.consumer import MemoryConsumer
from streamz_actors.types import TopicPartition
from streamz_actors.web.health import Health
from tests.scenarios.support import FaultyTransport, Site, ended, turns, until


def reasons(driver: TestDriver) -> list[str]:
    worker = driver.running.worker
    worker.watchdog.look()
    said: list[str] = Health(worker, LoopLag(worker.clock)).ready()["reasons"]
    return said


def waiting(concurrency: int = 1) -> tuple[App, dict[int, asyncio.Event]]:
    """An application whose handler waits on the values that have a gate."""
    app = App("waits")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gates: dict[int, asyncio.Event] = {}

    @app.agent(topic, concurrency=concurrency)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if value in gates:
                await gates[value].wait()

    return app, gates


def send(driver: TestDriver, *numbers: int) -> None:
    for value in numbers:
        driver.running.collector.send("in", b"k%d" % value, str(value).encode(), 0)


def later(driver: TestDriver, seconds: float) -> None:
    driver.clock.advance_to_next(driver.clock.monotonic() + seconds)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_stuck_handler_is_named_with_its_event(concurrency: int, caplog: pytest.LogCaptureFixture) -> None:
    app, gates = waiting(concurrency)
    async with TestDriver(app) as driver:
        gates[1] = asyncio.Event()
        send(driver, 0, 1)
        await until(lambda: driver.running.worker.tasks["in-0"].agents["handle"].in_hand())
        assert reasons(driver) == []
        later(driver, 59.0)
        assert reasons(driver) == []
        later(driver, 1.0)
        said = "agent 'handle' is stuck: it works on topic 'in', partition 0, offset 1 for 60 s"
        with caplog.at_level(logging.WARNING):
            assert reasons(driver) == [said]
            later(driver, 30.0)
            assert reasons(driver) == [said.replace("60", "90")]
        assert [record.getMessage() for record in caplog.records] == [said]
        gates[1].set()
        await driver.settle()
        with caplog.at_level(logging.INFO):
            assert reasons(driver) == []
        assert caplog.records[-1].getMessage() == "it goes on: agent 'handle' is stuck"


async def test_one_slow_event_after_the_other_is_progress() -> None:
    app, gates = waiting()
    async with TestDriver(app) as driver:
        gates |= {value: asyncio.Event() for value in range(3)}
        send(driver, 0, 1, 2)
        for value in range(3):
            await until(lambda value=value: _offset_in_hand(driver) == value)  # type: ignore[misc]
            assert reasons(driver) == []
            later(driver, 40.0)
            assert reasons(driver) == []
            gates[value].set()
        await driver.settle()


def _offset_in_hand(driver: TestDriver) -> int | None:
    hand = driver.running.worker.tasks["in-0"].agents["handle"].in_hand()
    return hand[0][1] if hand else None


async def test_a_partition_with_records_that_gets_on_with_none_is_stuck() -> None:
    app = App("stands")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gate = asyncio.Event()

    async def wait(value: int) -> int:
        await gate.wait()
        return value

    app.stream(topic).map_values(wait).foreach(lambda key, value: None)
    async with TestDriver(app) as driver:
        send(driver, 1, 2, 3)
        await until(lambda: driver.running.worker.tasks["in-0"].stepping)
        assert reasons(driver) == []
        later(driver, 60.0)
        send(driver, 4)
        await until(lambda: driver.running.worker.tasks["in-0"].buffer.count == 1)
        (said,) = reasons(driver)
        assert said.startswith("topic 'in', partition 0 is stuck: no progress for 60 s, about ")
        gate.set()
        await driver.settle()
        assert reasons(driver) == []


async def test_a_partition_without_records_is_not_stuck() -> None:
    app, _ = waiting()
    async with TestDriver(app) as driver:
        send(driver, 1)
        await driver.settle()
        for _ in range(3):
            assert reasons(driver) == []
            later(driver, 1_000.0)
        assert reasons(driver) == []


async def test_an_event_that_waits_for_its_retry_for_long_stands_in_the_way_of_its_partition() -> None:
    app = App("retries", stuck_after=5.0)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)

    @app.agent(topic, on_error=Retry(9, backoff=1_000.0, max_backoff=1_000.0))
    async def handle(stream: AgentStream[str, int]) -> Any:
        async for value in stream:
            if value == 1:
                raise ValueError("one")

    async with TestDriver(app) as driver:
        send(driver, 1, 2)
        await driver.settle()
        assert reasons(driver) == []
        later(driver, 5.0)
        assert len(reasons(driver)) == 1
        send(driver, 3)
        await driver.settle()
        assert reasons(driver) == []


async def test_brokers_that_are_not_heard_of_are_told_instead_of_the_partitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, _ = waiting()
    async with TestDriver(app) as driver:
        start = driver.clock.monotonic()
        monkeypatch.setattr(MemoryConsumer, "heard_at", property(lambda self: start))
        assert reasons(driver) == []
        later(driver, 61.0)
        assert reasons(driver) == ["no broker has answered: for 61 s nothing was heard of any"]
        monkeypatch.setattr(MemoryConsumer, "heard_at", property(lambda self: driver.clock.monotonic()))
        assert reasons(driver) == []


async def test_a_running_worker_looks_by_itself() -> None:
    app, gates = waiting()
    site = Site()
    running = site.worker(app, stuck_after=4.0)
    looked: list[float] = []
    running.worker.watchdog.look = lambda: looked.append(site.clock.monotonic())  # type: ignore[method-assign]
    watching = asyncio.create_task(running.worker.watchdog.watch())
    for _ in range(3):
        await asyncio.sleep(0)
        site.clock.advance_to_next(site.clock.monotonic() + 1.0)
        await asyncio.sleep(0)
    assert looked == [1.0, 2.0, 3.0]
    watching.cancel()
    assert gates == {}


@pytest.mark.parametrize("acknowledged", [False, True], ids=["sends are not acknowledged", "offsets are not committed"])
async def test_commits_that_are_held_up_are_told_with_what_they_wait_for(
    acknowledged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App("held", stuck_after=5.0)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    app.stream(topic).to(app.topic("out", key_type=str, value_type=int, partitions=1))
    site = Site()
    transport = FaultyTransport(site.broker)
    running, life = await site.begin(app, transport=transport, commit_interval=1.0)
    worker = running.worker

    async def unanswered(*_: Any) -> None:
        raise BrokerUnavailable("no answer in time")

    async def later(seconds: float) -> None:
        until_then = site.clock.monotonic() + seconds
        while site.clock.advance_to_next(until_then):
            await turns(20)
        worker.watchdog.look()

    with monkeypatch.context() as patch:
        if acknowledged:
            patch.setattr(MemoryConsumer, "commit", unanswered)
        transport.holding = not acknowledged
        site.broker.append(TopicPartition("in", 0), [b"a"], [b"1"], [0], None)
        await later(5.5)
        assert not worker.watchdog.stuck
        await later(1.0)
        (stuck,) = tuple(worker.watchdog.stuck)
    why = "" if acknowledged else "; not acknowledged is what was sent to topic 'out', partition 0"
    assert (stuck.kind, stuck.text[:35]) == ("commit", "commits are held up: none has ended")
    assert stuck.text.endswith(f" s{why}")
    assert Health(worker, LoopLag(worker.clock)).ready()["reasons"] == [stuck.text]
    transport.release()
    await later(2.0)
    assert worker.watchdog.stuck == ()
    await ended(running, life, site.clock)
