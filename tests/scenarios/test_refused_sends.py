"""Records that a handler sends itself, and that the broker refuses: somebody must look."""

import asyncio

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.errors import ProduceError, UsageError
from tests.scenarios.support import FaultyTransport, Site, ended


def sending(name: str, *, look: bool) -> App:
    app = App(name)
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    target = app.topic("out", key_type=str, value_type=int, partitions=1)

    @app.agent(source)
    async def send(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            future = target.send_soon(key="k", value=value)
            if look:
                with pytest.raises(ProduceError, match="refuses"):
                    await future

    return app


async def test_a_refusal_that_nobody_looks_at_stops_the_worker_before_the_commit() -> None:
    site = Site()
    transport = FaultyTransport(site.broker)
    transport.refused.add("out")
    running, life = await site.begin(sending("careless", look=False), transport=transport)
    running.collector.send("in", b"k", b"1", 0)
    await site.settle(running)
    await running.worker.commit()
    with pytest.raises(ProduceError, match="refuses"):
        await life
    assert site.committed("careless", "in") is None


async def test_a_refusal_that_its_handler_has_dealt_with_is_no_failure() -> None:
    site = Site()
    transport = FaultyTransport(site.broker)
    transport.refused.add("out")
    running, life = await site.begin(sending("careful", look=True), transport=transport)
    running.collector.send("in", b"k", b"1", 0)
    await site.settle(running)
    await ended(running, life, site.clock)
    assert site.committed("careful", "in") == 1


async def test_a_bounded_run_beside_another_worker_says_that_it_cannot() -> None:
    site = Site()
    first, life = await site.begin(sending("busy", look=True), name="first")
    second = site.worker(sending("busy", look=True), name="second", bounded=True)
    with pytest.raises(UsageError, match="another worker of 'busy' is running"):
        async with asyncio.timeout(10):
            await second.run()
    await ended(first, life, site.clock)
