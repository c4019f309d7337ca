"""One stormy day through the whole application, against the truth: tables, enriched flights, alerts."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from apps.flights import data, plan
from apps.flights.app import QUIET, REPORTS_KEPT, app
from apps.flights.plan import Arrival
from apps.flights.rows import (
    alert_row,
    carrier_rows,
    enriched_row,
    hour_rows,
    iso,
    leg_row,
    rotation_rows,
    route_rows,
    worst_rows,
)
from apps.flights.truth import Truth
from streamz_actors.testing import Record, TestDriver

DAY = "2013-03-08"
BEFORE = data.milliseconds(f"{DAY}T00:00:00Z") - REPORTS_KEPT * 60 * data.MINUTE


@pytest.fixture(scope="module")
def truth() -> Iterator[Truth]:
    with Truth(data.data_folder(), only=[DAY]) as day:
        yield day


def arrivals(disorder: float) -> list[Arrival]:
    flights = [flight for flight in data.flights() if iso(flight.scheduled).startswith(DAY)]
    weather = [report for report in data.weather() if BEFORE <= report.observed <= BEFORE + 36 * 60 * data.MINUTE]
    return plan.events(flights, weather, disorder=disorder, seed=11)


async def feed(driver: TestDriver, records: list[Arrival]) -> None:
    for record in records:
        await driver.send(record.topic, key=record.key, value=record.value, timestamp=record.timestamp)


def latest(changes: list[Record]) -> dict[Any, Any]:
    """What the changes of a table come to."""
    table = {record.key: record.value for record in changes}
    return {key: value for key, value in table.items() if value is not None}


@pytest.mark.no_cover
@pytest.mark.parametrize("disorder", [0, 300], ids=["in order", "five hours out of order"])
async def test_a_day_comes_to_the_same_as_the_sql(truth: Truth, disorder: float) -> None:
    async with TestDriver(app) as driver:
        await feed(driver, plan.reference())
        await feed(driver, arrivals(disorder))
        assert carrier_rows(driver.table("carriers")) == truth.carriers()
        assert route_rows(driver.table("routes")) == truth.routes()
        await driver.advance(seconds=2 * QUIET)
        assert driver.late == []
        assert worst_rows(driver.table("worst")) == truth.worst()
        enriched, alerts = driver.read("enriched"), driver.read("alerts")
        hours, rotations, legs = driver.read("hours"), driver.read("rotations"), driver.read("legs")
    assert Counter(enriched_row(record.value) for record in enriched) == Counter(truth.enriched())
    assert all(record.timestamp == record.value.flight.scheduled for record in enriched)
    assert Counter(alert_row(record.value) for record in alerts) == Counter(truth.alerts())
    assert all(record.key == record.value.origin for record in alerts)
    assert hour_rows(latest(hours)) == truth.hours()
    assert rotation_rows(latest(rotations)) == truth.rotations()
    assert Counter(leg_row(record.value) for record in legs) == Counter(truth.legs())


async def test_a_flight_without_known_airline_or_plane_is_enriched_with_nothing() -> None:
    (first,) = [record for record in arrivals(0) if record.topic == "flights"][:1]
    async with TestDriver(app) as driver:
        await feed(driver, [first])
        (record,) = driver.read("enriched")
    assert record.value.flight == first.value
    assert (record.value.airline, record.value.model, record.value.seats, record.value.destination) == (None,) * 4
