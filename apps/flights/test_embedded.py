"""The whole year on the embedded broker: worker, feeder and all 336,776 flights, against the truth."""

import asyncio
import importlib.util
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.flights import data, feeder
from apps.flights.demo import loaded
from apps.flights.rows import carrier_rows, enriched_row, route_rows
from apps.flights.truth import EnrichedRow, Truth


def fresh_application() -> Any:
    """The application's module once more, with an `App` of its own, so that the test may declare an observer on it."""
    path = Path(__file__).with_name("app.py")
    spec = importlib.util.spec_from_file_location("fresh_flights_app", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event: it is the application's own tables
            await asyncio.sleep(0.05)


@pytest.mark.no_cover  # 336,776 flights, each line of code many times
@pytest.mark.timeout(300)
async def test_a_year_of_flights_comes_to_the_same_as_the_sql() -> None:
    flights = fresh_application()
    enriched: list[EnrichedRow] = []
    flights.app.stream(flights.topics.enriched).foreach(lambda _, value: enriched.append(enriched_row(value)))
    feed = feeder.everything(disorder=30, seed=3)
    async with flights.app.running(broker="memory://", web_enabled=False):
        await feeder.send(flights.topics, feed.reference)
        tables = {"airlines": flights.airlines, "airports": flights.airports, "planes": flights.planes}
        await loaded(tables, feed.reference)
        await feeder.send(flights.topics, feed.events)
        total = sum(arrival.topic == "flights" for arrival in feed.events)
        await until(
            lambda: (
                len(enriched) >= total
                and sum(stats.flights for stats in flights.carriers.values()) >= total
                and sum(stats.flights for stats in flights.routes.values()) >= total
            )
        )
        carriers, routes = carrier_rows(flights.carriers), route_rows(flights.routes)
    with Truth(data.data_folder()) as truth:
        assert carriers == truth.carriers()
        assert routes == truth.routes()
        assert Counter(enriched) == Counter(truth.enriched())
