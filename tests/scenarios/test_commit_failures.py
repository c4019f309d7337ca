"""Commits that fail, that are refused, and that come while something is under way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.errors import CommitError, HandlerError, ProduceError
from streamz_actors.testing import TestDriver
from streamz_actors.types import TopicPartition
from tests.scenarios.support import FaultyTransport, Site, committed, ended, turns, until, values


def counting(name: str) -> tuple[App, Any]:
    app = App(name, store="rocksdb://")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    counts = app.table("counts", key_type=str, value_type=int, default=int)

    @app.agent(topic, sinks=[out])
    async def count(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            counts["a"] += 1
            yield value

    return app, topic


@pytest.mark.parametrize("refused", ["out", "produce-counts-changelog"])
async def test_nothing_is_committed_once_a_record_was_not_delivered(refused: str, tmp_path: Path) -> None:
    site = Site("rocksdb://", tmp_path)
    app, topic = counting("produce")
    transport = FaultyTransport(site.broker)
    running, life = await site.begin(app, transport=transport)
    await topic.send(key="a", value=1)
    await site.settle(running)
    await running.worker.commit()
    transport.refused.add(refused)
    await topic.send(key="a", value=2)
    await until(lambda: running.worker.tasks["in-0"].committable()[TopicPartition("in", 0)] == 2)
    await running.worker.commit()
    transport.refused.clear()
    with pytest.raises(ProduceError, match=refused):
        await ended(running, life, site.clock)
    assert site.committed("produce", "in") == 1

    running, life = await site.begin(app)
    await site.settle(running)
    assert running.worker.states("counts")[0].get("a") in (2, 3)
    await ended(running, life, site.clock)
    assert site.committed("produce", "in") == 2


async def test_a_refused_commit_begins_anew_from_what_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    app, topic = counting("refused")
    running, life = await site.begin(app)
    await topic.send(key="a", value=1)
    await site.settle(running)
    await running.worker.commit()
    await topic.send(key="a", value=2)
    await site.settle(running)
    consumer = running.worker.members.consumer
    assert consumer is not None
    original = consumer.commit

    async def refuse(offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]) -> None:
        monkeypatch.setattr(consumer, "commit", original)
        raise CommitError("the coordinator has moved")

    monkeypatch.setattr(consumer, "commit", refuse)
    await running.worker.commit()
    await site.settle(running)
    await running.worker.commit()
    assert site.committed("refused", "in") == 2
    assert running.worker.states("counts")[0].get("a") == 2
    await ended(running, life, site.clock)


async def test_records_that_actors_send_meanwhile_do_not_hold_a_commit_up() -> None:
    site = Site()
    app, topic = counting("busy")
    transport = FaultyTransport(site.broker)
    running, life = await site.begin(app, transport=transport)
    sending = True

    async def keep_sending() -> None:
        while sending:
            transport.holding = True
            release, transport.on_release = transport.on_release, []
            topic.send_soon(key="b", value=0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for deliver in release:
                deliver()

    noise = asyncio.create_task(keep_sending())
    await turns(20)
    commit = asyncio.create_task(running.worker.commit())
    await until(commit.done)
    sending = False
    await noise
    transport.release()
    await ended(running, life, site.clock)


async def test_changes_that_an_agent_wrote_are_committed_only_when_they_were_followed() -> None:
    site = Site()
    app = App("followed")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    last = app.table("last", key_type=str, value_type=int)
    app.stream(last).to(out)
    ends: list[tuple[int | None, int]] = []

    def watch(step: str) -> None:
        if step == "committed":
            ends.append((site.committed("followed", "in"), site.broker.log(TopicPartition("out", 0)).end))

    @app.agent(topic)
    async def write(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            last["a"] = value
            if value == 1:
                await running.worker.commit()

    running, life = await site.begin(app, watch=watch)
    for number in range(2):
        topic.send_soon(key="a", value=number)
    await until(lambda: ends)
    assert ends[0] == (1, 1)
    await site.settle(running)
    running.stop()
    await life
    assert site.committed("followed", "in") == 2
    assert site.broker.log(TopicPartition("out", 0)).end == 2


async def test_changes_are_followed_before_the_last_commit_of_a_worker_that_stops() -> None:
    site = Site()
    app = App("laststop")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    last = app.table("last", key_type=str, value_type=int)
    app.stream(last).to(out)
    gate: list[asyncio.Future[None]] = []

    @app.agent(topic)
    async def write(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            last["a"] = value
            gate.append(asyncio.get_running_loop().create_future())
            await gate[0]

    running, life = await site.begin(app)
    topic.send_soon(key="a", value=7)
    await until(lambda: gate)
    running.stop()
    await turns(10)
    gate[0].set_result(None)
    await ended(running, life, site.clock)
    assert site.committed("laststop", "in") == 1
    assert site.broker.log(TopicPartition("out", 0)).end == 1


async def test_a_change_whose_follower_fails_is_not_committed() -> None:
    app = App("followfails")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    last = app.table("last", key_type=str, value_type=int)

    def refuse(key: str, value: int) -> None:
        raise ValueError("no")

    app.stream(last).foreach(refuse)

    @app.agent(topic)
    async def write(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            last["a"] = value

    driver = TestDriver(app)
    await driver.start()
    with pytest.raises(HandlerError, match="topic 'in', partition 0, offset 0"):
        await driver.send("in", key="a", value=1)
    assert committed(driver, app, "in") in (None, 0)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_failing_operator_commits_nothing_of_its_run(asynchronous: bool) -> None:
    app = App("operator")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)

    def check(key: str, value: int) -> int:
        if value == 2:
            raise ValueError("two")
        return value

    async def check_later(key: str, value: int) -> int:
        await asyncio.sleep(0)
        return check(key, value)

    stream = app.stream(topic).filter(check_later if asynchronous else check)
    stream.group_by_key().count("counts")
    driver = TestDriver(app)
    await driver.start()
    await driver.send("in", key="a", value=1)
    topic.send_soon(key="a", value=1)
    topic.send_soon(key="a", value=2)
    with pytest.raises(HandlerError, match="offset 2"):
        await driver.settle()
    assert committed(driver, app, "in") == 1
    with pytest.raises(HandlerError, match="offset 2"):
        await driver.start()
    assert committed(driver, app, "in") == 1


async def test_a_topology_that_always_has_a_step_under_way_is_committed_all_the_same() -> None:
    app = App("alwaysbusy")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    gates: dict[int, asyncio.Future[None]] = {}

    async def wait(key: str, value: int) -> None:
        gates[value] = asyncio.get_running_loop().create_future()
        await gates[value]

    app.stream(topic).foreach(wait)
    driver = TestDriver(app, commit_interval=1.0)
    await driver.start()
    for number in range(4):
        topic.send_soon(key="a", value=number)
        await until(lambda number=number: number in gates)  # type: ignore[misc]  # the loop's variable as it is now
        topic.send_soon(key="a", value=number + 100)  # the next run arrives while this one is under way
        await turns(20)
        end = driver.clock.monotonic() + 1.0
        while driver.clock.advance_to_next(end):
            await turns(20)
        gates[number].set_result(None)
        await until(lambda number=number: number + 100 in gates)  # type: ignore[misc]  # as above
        gates[number + 100].set_result(None)
        await turns(20)
    assert committed(driver, app, "in") not in (None, 0)
    await driver.stop()
    assert committed(driver, app, "in") == 8


async def test_a_commit_with_nothing_new_writes_nothing() -> None:
    site = Site()
    app, topic = counting("quiet")
    steps: list[str] = []
    running, life = await site.begin(app, watch=steps.append)
    await running.worker.commit()
    await topic.send(key="a", value=1)
    await site.settle(running)
    await running.worker.commit()
    await running.worker.commit()
    whole = ["stopped", "taken", "delivered", "sent", "committed", "applied"]
    assert steps == ["stopped", "taken", *whole, "stopped", "taken"]
    await ended(running, life, site.clock)
    assert [log.end for log in site.broker.topic("quiet-counts-changelog").logs] == [1]


async def test_a_table_of_a_topic_is_restored_to_what_is_committed_and_no_further() -> None:
    app = App("sourcetable")
    prices = app.topic("prices", key_type=str, value_type=int, partitions=1, compacting=True)
    orders = app.topic("orders", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    app.stream(orders).left_join(app.table(prices), lambda order, price: price or -1).to(out)
    driver = TestDriver(app)
    await driver.start()
    await driver.send("prices", key="a", value=1)
    await driver.send("orders", key="a", value=0)
    await driver.stop()
    log = driver.broker.log(TopicPartition("prices", 0))
    log.append([b"a"], [b"2"], [9], None, 0)
    driver.broker.log(TopicPartition("orders", 0)).append([b"a"], [b"0"], [8], None, 0)
    await driver.start()
    assert values(driver, "out") == [1, 1]  # the order is of a time before the new price
    assert dict(driver.table("prices")) == {"a": 2}
    await driver.stop()


async def test_tasks_go_on_while_a_commit_waits_for_the_broker() -> None:
    site = Site()
    app, topic = counting("beside")
    transport = FaultyTransport(site.broker)
    running, life = await site.begin(app, transport=transport, commit_interval=1.0)
    counts = running.worker.states("counts")[0]
    await topic.send(key="a", value=1)
    await site.settle(running)
    transport.holding = True
    due = site.clock.monotonic() + 1.0
    while site.clock.advance_to_next(due):
        await turns()
    transport.holding = False
    await topic.send(key="a", value=2)
    await turns()
    meanwhile = (counts.get("a"), running.worker.commits)
    transport.release()
    await site.settle(running)
    assert meanwhile == (2, 0)
    assert (running.worker.commits, site.committed("beside", "in")) == (1, 1)
    await ended(running, life, site.clock)
    assert site.committed("beside", "in") == 2
