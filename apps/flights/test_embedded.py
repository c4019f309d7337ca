"""Two months on the embedded broker: worker, feeder and some 52,000 flights, against the truth."""

import asyncio
import importlib.util
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.flights import data, feeder, plan
from apps.flights.demo import loaded
from apps.flights.feeder import Feed
from apps.flights.rows import (
    carrier_rows,
    enriched_row,
    hour_rows,
    leg_row,
    rotation_rows,
    route_rows,
    worst_rows,
)
from apps.flights.truth import EnrichedRow, LegRow, Truth


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


MONTHS = ("2013-01", "2013-02")
DAYS = [f"{month}-{day:02}" for month in MONTHS for day in range(1, 32)]


def months() -> Feed:
    """Their flights, and the year's weather."""
    first, end = data.milliseconds(f"{MONTHS[0]}-01T00:00:00Z"), data.milliseconds("2013-03-01T00:00:00Z")
    flights = [flight for flight in data.flights() if first <= flight.scheduled < end]
    return Feed(plan.reference(), plan.events(flights, data.weather(), disorder=30, seed=3))


@pytest.mark.no_cover  # each line of code many times
@pytest.mark.timeout(300)
async def test_two_months_of_flights_come_to_the_same_as_the_sql() -> None:
    flights = fresh_application()
    enriched: list[EnrichedRow] = []
    legs: list[LegRow] = []
    hours: dict[Any, Any] = {}
    rotations: dict[Any, Any] = {}
    worst: dict[Any, Any] = {}
    seen, topics = flights.app.stream, flights.topics
    seen(topics.enriched).foreach(lambda _, value: enriched.append(enriched_row(value)))
    seen(topics.legs).foreach(lambda _, value: legs.append(leg_row(value)))
    seen(topics.hours).foreach(hours.__setitem__)
    seen(topics.rotations).foreach(rotations.__setitem__)
    seen(topics.worst).foreach(worst.__setitem__)
    feed = months()
    with Truth(data.data_folder(), only=DAYS) as truth:
        wanted_carriers, wanted_routes, wanted_enriched = truth.carriers(), truth.routes(), truth.enriched()
        wanted_hours, wanted_rotations, wanted_legs = truth.hours(), truth.rotations(), truth.legs()
        wanted_worst = truth.worst()
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
                and sum(hour.flights for hour in hours.values()) >= total
                and len(legs) >= len(wanted_legs)
                and sum(row.flights for row in rotations.values() if row is not None)
                >= sum(flown for _, flown, _ in wanted_rotations.values())
            )
        )
        carriers, routes = carrier_rows(flights.carriers), route_rows(flights.routes)
    assert carriers == wanted_carriers
    assert routes == wanted_routes
    assert Counter(enriched) == Counter(wanted_enriched)
    assert hour_rows(hours) == wanted_hours
    assert rotation_rows({key: row for key, row in rotations.items() if row is not None}) == wanted_rotations
    assert Counter(legs) == Counter(wanted_legs)
    told = worst_rows(worst)
    # A day is told once its end and the grace lie behind: the last two may still be open.
    assert {day: told.get(day) for day in sorted(wanted_worst)[:-2]} == {
        day: rows for day, rows in wanted_worst.items() if day in sorted(wanted_worst)[:-2]
    }
