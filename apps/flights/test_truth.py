"""The SQL way to the expected tables, against known numbers and against the data reader folded by hand."""

from collections import Counter
from collections.abc import Iterator

import pytest

from apps.flights import data
from apps.flights.truth import Truth


@pytest.fixture(scope="module")
def truth() -> Iterator[Truth]:
    with Truth(data.data_folder()) as whole:
        yield whole


def test_carriers(truth: Truth) -> None:
    carriers = truth.carriers()
    assert len(carriers) == 16
    assert carriers["UA"] == (58_665, 686, 701_898, 57_979)
    assert sum(flights for flights, *_ in carriers.values()) == 336_776
    assert sum(cancelled for _, cancelled, *_ in carriers.values()) == 8_255


def test_routes(truth: Truth) -> None:
    routes = truth.routes()
    assert len(routes) == 224
    assert routes["EWR-IAH"] == (3_973, 374)
    assert routes["EWR-LGA"] == (1, None), "its only flight was cancelled"


def test_enriched_has_every_flight_once(truth: Truth) -> None:
    enriched = truth.enriched()
    assert len(enriched) == 336_776
    assert sum(row[6] is None for row in enriched) == 0
    assert sum(row[8] is None for row in enriched) == 52_606
    assert sum(row[9] is None for row in enriched) == 7_602
    scheduled = Counter((flight.carrier, flight.flight, flight.origin, flight.dest) for flight in data.flights())
    assert Counter((row[1], row[2], row[3], row[4]) for row in enriched) == scheduled


def test_alerts(truth: Truth) -> None:
    alerts = truth.alerts()
    assert len(alerts) == 1_218
    assert all(delay > 60 and visib < 2 and observed <= at for *_, at, delay, visib, observed in alerts)


def test_a_slice_keeps_only_its_days() -> None:
    with Truth(data.data_folder(), only=["2013-03-08"]) as day:
        assert len(day.alerts()) == 136
        assert {row[0][:10] for row in day.enriched()} == {"2013-03-08"}
