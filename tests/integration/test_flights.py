"""The flights on a real Kafka: the whole year as the demo shows it, then again by three workers; and with the worker
killed in the middle.

Worker and feeder are processes, as a user starts them; what they kept and sent is read from Kafka and over HTTP.
"""

import asyncio
import json
import signal
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from apps.flights import data
from apps.flights.models import Enriched
from apps.flights.rows import enriched_row
from apps.flights.truth import Truth
from streamz_actors.transport.abc import Transport
from tests.integration.kafka_contents import behind, contents, count, table
from tests.integration.processes import Child, free_ports, process, worker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(500)]

FLIGHTS = 336_776
CARRIER = ("flights", "cancelled", "dep_delay_sum", "dep_delay_count")
ROUTE = ("flights", "worst_arr_delay")
FED = ("flights", "landings", "weather", "airlines", "airports", "planes")
OURS = (*FED, "enriched", "alerts", "hours", "rotations", "legs", "worst")


@pytest.fixture(autouse=True)
async def nothing_fed(kafka: Transport) -> None:
    """Each test begins with a cluster that has seen no flight."""
    names = [topic.name for topic in await kafka.admin.list_topics()]
    await kafka.admin.delete([name for name in names if name in OURS or name.startswith("flights-")])


def asked(port: int, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@pytest.fixture(scope="module")
def truth() -> Iterator[Truth]:
    with Truth(data.data_folder()) as year:
        yield year


async def counted(kafka: Transport) -> int:
    return sum(int(stats["flights"]) for stats in (await table(kafka, "flights-carriers-changelog")).values())


async def until(true: Callable[[], Awaitable[bool]], child: Child) -> None:
    async with asyncio.timeout(300):
        while not await true():
            assert child.popen.poll() is None, child.said()
            await asyncio.sleep(0.5)


async def test_the_demo_comes_to_the_truth_and_three_workers_to_the_same_when_it_runs_again(
    kafka: Transport, kafka_url: str, tmp_path: Path, truth: Truth
) -> None:
    settings = {"STREAMZ_DATA_DIR": str(tmp_path / "state")}
    for name, workers in (("first", 1), ("again", 3)):
        port = free_ports(workers)
        arguments = ("apps.flights.demo", "--kafka", kafka_url, "--port", str(port), "--workers", str(workers))
        with process(tmp_path / f"{name}.log", *arguments, **settings) as demo:
            await asyncio.to_thread(demo.until_it_says, "The application stays up", 300)
            answers = [
                await asyncio.to_thread(asked, port + number, "/v1/tables/carriers/UA") for number in range(workers)
            ]
            demo.popen.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(demo.wait) == 0
        assert [answer["value"]["flights"] for answer in answers] == [58_665] * workers
        held = await table(kafka, "flights-carriers-changelog")
        assert {code: tuple(row[column] for column in CARRIER) for code, row in held.items()} == truth.carriers()
        routes = await table(kafka, "flights-routes-changelog")
        assert {route: tuple(row[column] for column in ROUTE) for route, row in routes.items()} == truth.routes()
        assert await count(kafka, "enriched") == FLIGHTS
    rows = [convert(row, Enriched) for _, row in await contents(kafka, "enriched")]
    assert Counter(map(enriched_row, rows)) == Counter(truth.enriched())


async def test_killed_in_the_middle_and_restarted_it_loses_nothing(
    kafka: Transport, kafka_url: str, tmp_path: Path, truth: Truth
) -> None:
    async def some_are_counted() -> bool:
        return await counted(kafka) >= 60_000

    async def all_is_done() -> bool:
        return not await behind(kafka, "flights", ("flights", "landings", "weather"))

    feeding = process(tmp_path / "feeder.log", "apps.flights.feeder", "--broker", kafka_url)
    with worker("apps.flights", kafka_url, tmp_path, "first") as first, feeding as feeder:
        await until(some_are_counted, first)
        first.popen.send_signal(signal.SIGKILL)
        first.wait()
        with worker("apps.flights", kafka_url, tmp_path, "second") as second:
            assert await asyncio.to_thread(feeder.wait, 300) == 0
            await until(all_is_done, second)
            second.popen.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(second.wait) == 0
    await no_count_is_below_the_truth(kafka, truth)
    await every_flight_is_enriched(kafka)


async def no_count_is_below_the_truth(kafka: Transport, truth: Truth) -> None:
    wanted = truth.carriers()
    held = await table(kafka, "flights-carriers-changelog")
    assert held.keys() == wanted.keys()
    for code, (flights, cancelled, _, delays) in wanted.items():
        assert held[code]["flights"] >= flights
        assert held[code]["cancelled"] >= cancelled
        assert held[code]["dep_delay_count"] >= delays
    routes = await table(kafka, "flights-routes-changelog")
    assert {name: row["worst_arr_delay"] for name, row in routes.items()} == {
        name: worst for name, (_, worst) in truth.routes().items()
    }
    assert all(routes[name]["flights"] >= flights for name, (flights, _) in truth.routes().items())


async def every_flight_is_enriched(kafka: Transport) -> None:
    seen = Counter(
        (row["flight"]["scheduled"], row["flight"]["carrier"], row["flight"]["flight"], row["flight"]["origin"])
        for _, row in await contents(kafka, "enriched")
    )
    wanted = Counter((one.scheduled, one.carrier, one.flight, one.origin) for one in data.flights())
    assert all(seen[flight] >= times for flight, times in wanted.items())
