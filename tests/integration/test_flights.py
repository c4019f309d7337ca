"""The flights on a real Kafka: the whole year end to end, and a worker that is killed in the middle of it.

The worker and the feeder are processes of their own, as a user starts them; what they kept and sent is read from Kafka.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import pytest

from apps.flights import data
from apps.flights.truth import Truth
from streamz_actors.transport.abc import Transport
from streamz_actors.types import TopicPartition

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
FLIGHTS = 336_776


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[Popen[str]]:
    """A child of the test, ended with it."""
    child = Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


def worker(kafka_url: str, folder: Path) -> Any:
    return process(
        "streamz_actors",
        "-A",
        "apps.flights",
        "worker",
        STREAMZ_BROKER=kafka_url,
        STREAMZ_DATA_DIR=str(folder),
        STREAMZ_WEB_ENABLED="false",
        STREAMZ_SESSION_TIMEOUT="6",
    )


def feeder(kafka_url: str) -> Any:
    return process("apps.flights.feeder", "--broker", kafka_url)


async def contents(kafka: Transport, topic: str) -> list[tuple[bytes | None, Any]]:
    """Every record of a topic: key and value, decoded from JSON."""
    described = await kafka.admin.describe([topic])
    places = [TopicPartition(topic, number) for number in range(described[topic].partitions)]
    positions = await kafka.admin.beginning_offsets(places)
    ends = await kafka.admin.end_offsets(places)
    reader = kafka.reader()
    await reader.start()
    found: list[tuple[bytes | None, Any]] = []
    try:
        reader.assign(positions)
        while any(reader.position(place) < end for place, end in ends.items()):
            for raw in await reader.poll(1.0):
                decoded = [None if value is None else json.loads(value) for value in raw.values]
                found.extend(zip(raw.keys, decoded, strict=True))
    finally:
        await reader.stop()
    return found


async def table(kafka: Transport, name: str) -> dict[str, Any]:
    """A table as its changelog tells it."""
    latest: dict[str, Any] = {}
    for key, value in await contents(kafka, f"flights-{name}-changelog"):
        assert key is not None
        latest[key.decode()] = value
    return {key: value for key, value in latest.items() if value is not None}


async def flights_counted(kafka: Transport) -> int:
    return sum(int(stats["flights"]) for stats in (await table(kafka, "carriers")).values())


async def until_counted(kafka: Transport, wanted: int, child: "Popen[str]") -> None:
    async with asyncio.timeout(300):
        while "flights-carriers-changelog" not in await kafka.admin.describe(["flights-carriers-changelog"]):
            assert child.poll() is None
            await asyncio.sleep(0.2)
        while await flights_counted(kafka) < wanted:
            assert child.poll() is None, child.stderr.read() if child.stderr is not None else ""
            await asyncio.sleep(0.5)


async def until_enriched(kafka: Transport, wanted: int) -> None:
    places = [TopicPartition("enriched", number) for number in range((await kafka.admin.describe(["enriched"]))["enriched"].partitions)]
    async with asyncio.timeout(120):
        while sum((await kafka.admin.end_offsets(places)).values()) < wanted:
            await asyncio.sleep(0.5)


@pytest.fixture(scope="module")
def truth() -> Iterator[Truth]:
    with Truth(data.data_folder()) as year:
        yield year


async def remove_everything(kafka: Transport) -> None:
    """Each test begins with an empty cluster, as far as the flights are concerned."""
    names = [topic.name for topic in await kafka.admin.list_topics()]
    ours = [name for name in names if name.startswith("flights") or name in ("weather", "airlines", "airports", "planes", "enriched", "alerts")]
    await kafka.admin.delete(ours)


def carriers_of(stats: Mapping[str, Any]) -> dict[str, tuple[int, int, int, int]]:
    return {
        code: (row["flights"], row["cancelled"], row["dep_delay_sum"], row["dep_delay_count"]) for code, row in stats.items()
    }


async def test_killed_in_the_middle_and_restarted_it_loses_nothing(
    kafka: Transport, kafka_url: str, tmp_path: Path, truth: Truth
) -> None:
    await remove_everything(kafka)
    with worker(kafka_url, tmp_path) as first:
        with feeder(kafka_url) as feeding:
            await until_counted(kafka, 60_000, first)
            first.send_signal(signal.SIGKILL)
            first.wait()
            with worker(kafka_url, tmp_path) as second:
                await until_counted(kafka, FLIGHTS, second)
                await until_enriched(kafka, FLIGHTS)
                await asyncio.to_thread(feeding.wait)
                second.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(second.wait) == 0
    wanted = truth.carriers()
    counted = carriers_of(await table(kafka, "carriers"))
    assert counted.keys() == wanted.keys()
    assert all(counted[code][column] >= wanted[code][column] for code in wanted for column in (0, 1, 3))
    routes = await table(kafka, "routes")
    assert {name: row["worst_arr_delay"] for name, row in routes.items()} == {
        name: worst for name, (_, worst) in truth.routes().items()
    }
    assert all(routes[name]["flights"] >= flights for name, (flights, _) in truth.routes().items())
    seen = Counter(
        (row["flight"]["scheduled"], row["flight"]["carrier"], row["flight"]["flight"], row["flight"]["origin"])
        for _, row in await contents(kafka, "enriched")
    )
    assert len(seen) == len({(f.scheduled, f.carrier, f.flight, f.origin) for f in data.flights()})
