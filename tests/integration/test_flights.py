"""The flights on a real Kafka: the whole year end to end, with the worker killed in the middle of it.

Worker and feeder are processes of their own, as a user starts them; what they kept and sent is read from Kafka.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from apps.flights import data
from apps.flights.truth import Truth
from streamz_actors.transport.abc import Transport
from tests.integration.kafka_contents import contents, count, table
from tests.integration.processes import Child, process, worker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(500)]

FLIGHTS = 336_776


@pytest.fixture(scope="module")
def truth() -> Iterator[Truth]:
    with Truth(data.data_folder()) as year:
        yield year


async def counted(kafka: Transport) -> int:
    return sum(int(stats["flights"]) for stats in (await table(kafka, "flights-carriers-changelog")).values())


async def until(at_least: int, measured: Callable[[], Awaitable[int]], child: Child) -> None:
    async with asyncio.timeout(300):
        while await measured() < at_least:
            assert child.popen.poll() is None, child.said()
            await asyncio.sleep(0.5)


async def test_killed_in_the_middle_and_restarted_it_loses_nothing(
    kafka: Transport, kafka_url: str, tmp_path: Path, truth: Truth
) -> None:
    async def enriched() -> int:
        return await count(kafka, "enriched")

    async def carriers() -> int:
        return await counted(kafka)

    feeding = process(tmp_path / "feeder.log", "apps.flights.feeder", "--broker", kafka_url)
    with worker("apps.flights", kafka_url, tmp_path, "first") as first, feeding as feeder:
        await until(60_000, carriers, first)
        first.popen.send_signal(signal.SIGKILL)
        first.wait()
        with worker("apps.flights", kafka_url, tmp_path, "second") as second:
            await until(FLIGHTS, carriers, second)
            await until(FLIGHTS, enriched, second)
            assert await asyncio.to_thread(feeder.wait) == 0
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
