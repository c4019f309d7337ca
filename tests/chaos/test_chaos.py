"""Ten cycles of chaos on a Kafka of three nodes: orders and flights, both guarantees, with copies and without.

`python -m tests.chaos` does the same for as long as one likes; CHAOS_SEED gives these other seeds.
"""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos.arena import Arena, Plan, arena
from tests.chaos.flights import Flights
from tests.chaos.orders import Orders
from tests.chaos.subject import Subject

logger = logging.getLogger("tests.chaos")
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

SEED = int(os.environ.get("CHAOS_SEED", "1"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    async with arena(tmp_path_factory.mktemp("kafka")) as place:
        yield place


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Of what befalls the brokers the load's client hears too, and says much about it."""
    client = logging.getLogger("aiokafka")
    before = client.level
    client.setLevel(logging.CRITICAL)
    yield
    client.setLevel(before)


@pytest.mark.parametrize(
    ("subject", "plan"),
    [
        (Orders(SEED), Plan("exactly_once", 3, SEED)),
        (Orders(SEED), Plan("at_least_once", 3, SEED + 1, standbys=1)),
        (Flights(SEED), Plan("exactly_once", 2, SEED + 2, standbys=1)),
        (Flights(SEED), Plan("at_least_once", 2, SEED + 3)),
    ],
    ids=["orders-exactly-once", "orders-at-least-once", "flights-exactly-once", "flights-at-least-once"],
)
async def test_whatever_befalls_workers_and_brokers_the_results_are_as_promised(
    place: Arena, subject: Subject, plan: Plan, tmp_path: Path
) -> None:
    lines: list[str] = [str(plan)]
    verdict = await place.hold(plan, subject, tmp_path, lines.append)
    logger.info("%s", "\n".join(lines))
    assert verdict.stands, "\n".join([*lines, f"logs: {tmp_path}"])
