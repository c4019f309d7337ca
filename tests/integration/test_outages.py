"""A broker that is gone for longer than every time-out of a client: the worker does not stop, says so, and goes on.

What came in meanwhile and what was under way is neither lost nor reordered; under exactly-once nothing comes twice.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.clock import SystemClock
from streamz_actors.running import Running
from streamz_actors.transport.abc import Producer, Transport
from streamz_actors.transport.select import make_transport
from tests.integration.kafka_contents import contents, table
from tests.kafka_server import NO_RETENTION, SCRIPT

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PARTITIONS = 3
KEYS = tuple(f"key-{number}" for number in range(30))
IMPATIENT = {"request_timeout_ms": 2_000}
"""So that an outage of 12 s is one of several request time-outs, and longer than a commit waits."""
OUTAGE = 12.0


class Broker:
    """A Kafka of its own, at a port and with data that survive it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = found.getsockname()[1]
        self._folder = folder
        self.url = f"kafka://127.0.0.1:{self._port}"
        self._run()

    def _run(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "run", "--with-parent", f"--port={self._port}", f"--data={self._folder}",
             f"--set={NO_RETENTION}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == self.url

    def _signal(self, number: signal.Signals) -> None:
        (java,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        os.kill(int(java), number)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.communicate()

    def start_again(self) -> None:
        self._run()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.communicate()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "kafka")
    yield broker
    broker.stop()


def application(broker: Broker, guarantee: str) -> App:
    app = App(
        "outage", broker=broker.url, store="memory://", web_enabled=False, processing_guarantee=guarantee,
        session_timeout=6.0, commit_interval=0.3, stuck_after=4.0, consumer_config=IMPATIENT, producer_config=IMPATIENT,
    )
    source = app.topic("in", key_type=str, value_type=int, partitions=PARTITIONS)
    out = app.topic("out", key_type=str, value_type=int, partitions=PARTITIONS)
    counts = app.table("counts", key_type=str, value_type=int, default=int)

    @app.agent(source, sinks=[out])
    async def count(stream: Any) -> AsyncIterator[int]:
        async for key, value in stream.items():
            counts[key] += 1
            yield value

    return app


class Feeder:
    """In each round every key gets the number of the round; `rounds` of them are with the broker in the end."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._deliveries: list[asyncio.Future[Any]] = []
        self.rounds = 0

    async def feed(self) -> None:
        while True:
            for partition in range(PARTITIONS):
                keys: list[bytes | None] = [key.encode() for key in KEYS[partition::PARTITIONS]]
                values: list[bytes | None] = [str(self.rounds).encode()] * len(keys)
                self._deliveries.append(self._producer.send("in", partition, keys, values, [self.rounds] * len(keys)))
            self.rounds += 1
            await asyncio.sleep(0.03)

    async def delivered(self) -> None:
        """Raises if any was not."""
        await asyncio.gather(*self._deliveries)


@asynccontextmanager
async def fed(transport: Transport) -> AsyncIterator[Feeder]:
    """Feeds in the background; at the end all of it is delivered."""
    producer = transport.producer("feeder")
    await producer.start()
    feeder = Feeder(producer)
    feeding = asyncio.create_task(feeder.feed())
    try:
        yield feeder
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await feeder.delivered()
        await producer.stop()


async def until(true: Any, running: Running) -> None:
    async with asyncio.timeout(90):
        while not true():
            assert running.worker.failure is None, running.worker.failure
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_an_outage_is_ridden_out(broker: Broker, how: str, guarantee: str) -> None:
    app = application(broker, guarantee)
    transport = make_transport(broker.url, clock=SystemClock(), consumer_config={}, producer_config={})
    async with transport, app.running() as running:
        worker = running.worker
        async with fed(transport) as feeder:
            before = worker.commits
            await until(lambda: worker.commits >= before + 5, running)
            (broker.freeze if how == "frozen" else broker.kill)()
            await asyncio.sleep(OUTAGE)
            assert worker.failure is None
            assert [each.kind for each in worker.watchdog.stuck] == ["brokers"]
            if how == "frozen":
                broker.thaw()
            else:
                await asyncio.to_thread(broker.start_again)
            before = worker.commits
            await until(lambda: worker.commits >= before + 5, running)
            assert worker.failure is None
        ends = await transport.admin.end_offsets(list(worker.committed))
        await until(lambda: all(worker.committed.get(place) == end for place, end in ends.items()), running)
        worker.watchdog.look()
        assert worker.watchdog.stuck == ()
        passed: dict[str, list[int]] = defaultdict(list)
        for key, number in await contents(transport, "out"):
            assert key is not None
            passed[key.decode()].append(number)
        assert passed.keys() == set(KEYS)
        for numbers in passed.values():
            if guarantee == "exactly_once":
                assert numbers == list(range(feeder.rounds))
            assert set(numbers) == set(range(feeder.rounds)), "nothing is lost"
            assert all(number <= before + 1 for before, number in pairwise([-1, *numbers])), "in order"
        assert await table(transport, "outage-counts-changelog") == dict.fromkeys(KEYS, feeder.rounds)
