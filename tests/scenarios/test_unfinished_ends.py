"""A worker that is stopped and can't commit all that it has done: it ends in time, and says what comes again."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.errors import BrokerUnavailable, CommitError
from streamz_actors.transport.memory.consumer import MemoryConsumer
from streamz_actors.transport.memory.producer import MemoryTransactionalProducer
from streamz_actors.types import TopicPartition
from tests.scenarios.support import FaultyTransport, Site, ended, until

TWO = r"stopped, but 2 records are not committed and come again \(topic 'in', partition 0: 2\): "
NO_ANSWER = "the last commit did not end within 10 s"


def counting(guarantee: str) -> App:
    app = App("counts", processing_guarantee=guarantee)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    counts = app.table("seen", key_type=str, value_type=int, default=int)

    @app.agent(topic, sinks=[out])
    async def count(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, value in stream.items():
            counts[key] += 1
            yield value

    return app


def feed(site: Site, count: int) -> None:
    site.broker.append(TopicPartition("in", 0), [b"a"] * count, [b"1"] * count, [0] * count, None)


async def goes_on(site: Site, guarantee: str) -> None:
    """The next worker does what this one could not commit."""
    running, life = await site.begin(counting(guarantee))
    await site.settle(running)
    assert running.worker.states("seen")[0].get("a") == 3
    await ended(running, life, site.clock)
    assert running.worker.undone is None
    assert site.committed("counts", "in") == 3


async def test_what_is_not_done_in_time_is_named(caplog: pytest.LogCaptureFixture) -> None:
    app = App("slow")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    begun = asyncio.Event()

    @app.agent(topic)
    async def crawl(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if value == 2:
                begun.set()
                await asyncio.Event().wait()

    site = Site()
    running, life = await site.begin(app)
    site.broker.append(TopicPartition("in", 0), [b"a"] * 3, [b"1", b"2", b"3"], [0] * 3, None)
    await until(begun.is_set)
    await ended(running, life, site.clock)
    assert re.match(f"{TWO}the log says why", str(running.worker.undone))
    said = "agent 'crawl' was not done with topic 'in', partition 0, offset 1 within 10 s: it comes again"
    assert said in caplog.text
    assert site.committed("slow", "in") == 1


@pytest.mark.parametrize("under_way", [False, True], ids=["", "with a commit under way"])
async def test_sends_that_nobody_acknowledges_do_not_keep_it(under_way: bool) -> None:
    site = Site()
    transport = FaultyTransport(site.broker)
    running, life = await site.begin(counting("at_least_once"), transport=transport)
    feed(site, 1)
    await site.settle(running)
    await running.worker.commit()
    transport.holding = True
    feed(site, 2)
    await until(lambda: running.worker.tasks["in-0"].committable() == {TopicPartition("in", 0): 3})
    commit = asyncio.create_task(running.worker.commit()) if under_way else None
    before = site.clock.monotonic()
    await ended(running, life, site.clock)
    assert re.match(TWO + NO_ANSWER, str(running.worker.undone))
    assert site.clock.monotonic() - before < 15
    if commit is not None:
        commit.cancel()
        await asyncio.gather(commit, return_exceptions=True)
    assert site.committed("counts", "in") == 1
    await goes_on(site, "at_least_once")


@pytest.mark.parametrize("kind", [BrokerUnavailable, CommitError])
async def test_a_last_commit_that_fails_is_told(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise kind("so it is")

    site = Site()
    running, life = await site.begin(counting("at_least_once"))
    feed(site, 3)
    await site.settle(running)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryConsumer, "commit", fail)
        await ended(running, life, site.clock)
        assert re.search(r"3 records are not committed .*: the log says why", str(running.worker.undone))
    await goes_on(site, "at_least_once")


@pytest.mark.parametrize("under_way", [False, True], ids=["", "with a commit under way"])
async def test_so_it_is_with_a_transaction(under_way: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    running, life = await site.begin(counting("exactly_once"))
    feed(site, 1)
    await site.settle(running)
    await running.worker.commit()
    feed(site, 2)
    await site.settle(running)
    ending = asyncio.Event()

    async def unanswered(producer: Any, offsets: Mapping[TopicPartition, int], member: Any) -> None:
        ending.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(MemoryTransactionalProducer, "commit", unanswered)
        commit = asyncio.create_task(running.worker.commit()) if under_way else None
        await until(lambda: ending.is_set() or not under_way)
        before = site.clock.monotonic()
        await ended(running, life, site.clock)
        assert re.match(TWO + NO_ANSWER, str(running.worker.undone))
        assert site.clock.monotonic() - before < 15
        if commit is not None:
            commit.cancel()
            await asyncio.gather(commit, return_exceptions=True)
    await goes_on(site, "exactly_once")


async def test_what_a_transaction_that_was_given_up_had_done_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    running, life = await site.begin(counting("exactly_once"))
    feed(site, 3)
    await site.settle(running)

    async def fail(*_: Any) -> None:
        raise BrokerUnavailable("no answer in time")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryTransactionalProducer, "commit", fail)
        patch.setattr(MemoryTransactionalProducer, "start", fail)
        await running.worker.commit()
        assert not running.worker.tasks
        await ended(running, life, site.clock)
        assert re.search("3 records are not committed", str(running.worker.undone))
    await goes_on(site, "exactly_once")
