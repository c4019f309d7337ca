"""A worker that is stopped while its broker is away: it ends soon, says what is not committed, and that comes again."""

import asyncio
import re
import signal
from pathlib import Path

import pytest

from streamz_actors.clock import SystemClock
from streamz_actors.transport.select import make_transport
from tests.integration.kafka_contents import count
from tests.integration.processes import worker
from tests.integration.test_outages import Broker
from tests.integration.test_outages import broker as broker
from tests.integration.test_workers import order, until_total

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

LEFT = r"error: stopped, but \d records? .* not committed .* \(topic 'orders', partition \d+: 1.*: the last commit"


@pytest.mark.parametrize("how", ["killed", "frozen"])
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_it_ends_in_time_and_says_what_comes_again(
    broker: Broker, tmp_path: Path, how: str, guarantee: str
) -> None:
    settings = {"STREAMZ_PROCESSING_GUARANTEE": guarantee, "STREAMZ_COMMIT_INTERVAL": "2.5"}
    transport = make_transport(broker.url, clock=SystemClock(), consumer_config={}, producer_config={})
    async with transport:
        with worker("apps.orders", broker.url, tmp_path, "first", **settings) as child:
            await asyncio.to_thread(child.until_it_says, "ready: ")
            producer = transport.producer("orders")
            await producer.start()
            await order(producer, "alice", 5.0)
            await until_total(transport, "alice", 5.0)
            await order(producer, "alice", 20_000.0)
            async with asyncio.timeout(60):
                while not await count(transport, "alerts"):  # noqa: ASYNC110 - Kafka tells nobody
                    await asyncio.sleep(0.05)
            # So it is taken in, and not committed.
            (broker.kill if how == "killed" else broker.freeze)()
            child.popen.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(child.wait) == 1, child.said()
            assert re.match(LEFT, child.said().splitlines()[-1]), child.said()
        if how == "killed":
            await asyncio.to_thread(broker.start_again)
        else:
            broker.thaw()
        with worker("apps.orders", broker.url, tmp_path, "second", **settings) as child:
            await asyncio.to_thread(child.until_it_says, "ready: ")
            await until_total(transport, "alice", 20_005.0)
            await producer.stop()
            child.popen.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(child.wait) == 0, child.said()
            assert "stopped: everything in hand is committed" in child.said()
