"""A worker is killed on a real Kafka, and another one goes on with the copies that it has kept."""

import asyncio
import logging
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from streamz_actors.transport.abc import TopicSpec, Transport
from streamz_actors.types import partition_of
from tests.integration.crew import look
from tests.integration.kafka_contents import behind
from tests.integration.processes import Child, free_port, worker
from tests.integration.standby_app import PARTITIONS

logger = logging.getLogger(__name__)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

APP = "tests.integration.standby_app"
ROWS = int(os.environ.get("STANDBY_ROWS", "20000"))
"""Rows of the table. With a million, the time that it logs (`--log-cli-level=INFO`) is the documentation's figure."""
CHUNK = 20_000
NEAR = 10_000


@pytest.fixture(autouse=True)
async def nothing_visited(kafka: Transport) -> None:
    names = [topic.name for topic in await kafka.admin.list_topics()]
    await kafka.admin.delete([name for name in names if name == "visits" or name.startswith("visiting-")])
    forever = {"retention.ms": "-1"}  # the visits are of the year 1970
    await kafka.admin.create([TopicSpec("visits", PARTITIONS, None, forever)])


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def visit(kafka: Transport, numbers: range) -> None:
    """One record for the key of each number."""
    producer = kafka.producer("visitor")
    await producer.start()
    for first in range(numbers.start, numbers.stop, CHUNK):
        keys: dict[int, list[bytes | None]] = {}
        for number in range(first, min(first + CHUNK, numbers.stop)):
            key = f"visitor-{number}".encode()
            keys.setdefault(partition_of(key, PARTITIONS), []).append(key)
        await asyncio.gather(
            *(producer.send("visits", place, list(some), [b"1"] * len(some), [0] * len(some))
              for place, some in keys.items())
        )
    await producer.stop()


async def until(true: Any, *children: Child, seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while not await true():
        said = "\n\n".join(child.said() for child in children)
        assert time.monotonic() < deadline, said
        assert all(child.popen.poll() is None for child in children), said
        await asyncio.sleep(0.05)


async def owns(url: str, tasks: int, copies: int) -> bool:
    """Whether a worker is ready, with so many tasks, and with so many copies that are up to date."""
    ready, cluster = await look(f"{url}/readyz"), await look(f"{url}/v1/cluster")
    if ready is None or cluster is None or ready["tasks"] != {"running": tasks, "waiting": 0}:
        return False
    lags = [copy["lag"] for copy in cluster["copies"]]
    return len(lags) == copies and all(lag == 0 for lag in lags)


async def counts(url: str, numbers: range, *, stale: bool = False) -> list[Any]:
    asked = [f"{url}/v1/tables/counted/visitor-{number}{'?stale=true' if stale else ''}" for number in numbers]
    return [answer and answer["value"] for answer in [await look(one) for one in asked]]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_a_killed_workers_tasks_go_on_where_their_copies_are(
    kafka: Transport, kafka_url: str, tmp_path: Path, processes: ExitStack, guarantee: str
) -> None:
    urls, children = [f"http://127.0.0.1:{free_port()}" for _ in range(2)], []
    for number, url in enumerate(urls):
        settings = {
            "STREAMZ_WEB_ENABLED": "true",
            "STREAMZ_WEB_PORT": url.rpartition(":")[2],
            "STREAMZ_SESSION_TIMEOUT": "2.5",
            "STREAMZ_PROCESSING_GUARANTEE": guarantee,
        }
        children.append(processes.enter_context(worker(APP, kafka_url, tmp_path, f"worker-{number}", **settings)))
        if not number:
            await visit(kafka, range(ROWS))
    survivor, victim = children

    async def all_is_committed() -> bool:
        return await behind(kafka, "visiting", ["visits"]) == 0

    await until(all_is_committed, *children)
    await until(lambda: owns(urls[0], PARTITIONS // 2, PARTITIONS // 2), *children)
    await until(lambda: owns(urls[1], PARTITIONS // 2, PARTITIONS // 2), *children)
    some = range(0, ROWS, ROWS // 20)
    assert await counts(urls[0], some) == [1] * len(some)
    before = survivor.said().count("restored:")

    victim.popen.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    victim.wait()

    async def copies_answer() -> bool:
        return await counts(urls[0], some, stale=True) == [1] * len(some)

    await until(copies_answer, survivor)
    await until(lambda: owns(urls[0], PARTITIONS, 0), survivor)
    logger.info("%d rows: the survivor has all %.2f s after the kill", ROWS, time.monotonic() - killed)

    assert await counts(urls[0], some) == [1] * len(some)
    for number in some:
        await visit(kafka, range(number, number + 1))

    async def visited_again() -> bool:
        return await counts(urls[0], some) == [2] * len(some)

    await until(visited_again, survivor)
    restored = re.findall(r"restored: ([\d,]+) of", survivor.said())[before:]
    assert sum(int(records.replace(",", "")) for records in restored) < min(NEAR, ROWS // 4), survivor.said()
