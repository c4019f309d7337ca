"""A worker that is started again while its broker is away: it waits, and goes on where it stood."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamz_actors.clock import SystemClock
from streamz_actors.transport.select import make_transport
from tests.integration.processes import worker
from tests.integration.test_outages import Broker
from tests.integration.test_workers import order, until_total

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

WHY = {"killed": "connection refused", "frozen": "no answer in time"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "kafka")
    yield broker
    broker.stop()


@pytest.mark.parametrize("how", WHY)
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_it_waits_for_the_broker_and_goes_on(broker: Broker, tmp_path: Path, how: str, guarantee: str) -> None:
    settings = {"STREAMZ_PROCESSING_GUARANTEE": guarantee}
    transport = make_transport(broker.url, clock=SystemClock(), consumer_config={}, producer_config={})
    async with transport:
        with worker("apps.orders", broker.url, tmp_path, "first", **settings) as child:
            await asyncio.to_thread(child.until_it_says, "ready: ")
            producer = transport.producer("orders")
            await producer.start()
            await order(producer, "alice", 5.0)
            await until_total(transport, "alice", 5.0)
            (broker.kill if how == "killed" else broker.freeze)()
            child.popen.kill()
        with worker("apps.orders", broker.url, tmp_path, "second", **settings) as child:
            await asyncio.to_thread(child.until_it_says, "it is tried again in 1 s")
            assert f"no Kafka broker answers at {broker.url}" in child.said()
            assert WHY[how] in child.said()
            if how == "killed":
                await asyncio.to_thread(broker.start_again)
            else:
                broker.thaw()
            await asyncio.to_thread(child.until_it_says, "ready: ")
            await order(producer, "alice", 2.0)
            await until_total(transport, "alice", 7.0)
            await producer.stop()
            child.popen.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(child.wait) == 0
