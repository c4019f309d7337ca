"""The feeder's order: by event time, disordered within bounds, and resumable from any prefix of each partition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.flights import plan
from apps.flights.models import Flight, Landing, Weather
from apps.flights.plan import Arrival, FeedMismatch
from streamz_actors.types import TopicPartition

MINUTE = 60_000
COUNTS = {"flights": 4, "weather": 4}

origins = st.sampled_from(["EWR", "JFK", "LGA"])
times = st.integers(1, 500).map(lambda minute: minute * MINUTE)
departures = st.builds(lambda origin, at: Flight("UA", 1, origin, "IAH", at, 0, 0, 0), origins, times)
reports = st.builds(lambda origin, at: Weather(origin, at, 0.0, 10.0), origins, times)
flights, weather = st.lists(departures, max_size=60), st.lists(reports, max_size=20)
disorders = st.integers(0, 120)


@given(flights, weather)
def test_without_disorder_arrival_is_by_event_time(fs: list[Flight], ws: list[Weather]) -> None:
    arrivals = plan.events(fs, ws)
    order = [arrival.timestamp for arrival in arrivals]
    assert order == sorted(order)
    assert len(arrivals) == len(fs) + len(ws)


def test_a_flight_that_was_in_the_air_lands_after_its_delay_and_its_time_there() -> None:
    flown = Flight("UA", 1, "EWR", "IAH", 10 * MINUTE, 0, 0, 0, dep_delay=-2, arr_delay=5, air_time=200)
    diverted = Flight("UA", 2, "EWR", "IAH", 10 * MINUTE, 0, 0, 0, dep_delay=3)
    one, other, landing = plan.events([flown, diverted], [])
    assert (one.topic, other.topic, landing.topic) == ("flights", "flights", "landings")
    assert landing.value == Landing(flown.leg, 208 * MINUTE, 5)
    assert (landing.key, landing.timestamp) == (flown.leg, 208 * MINUTE)


@given(times)
def test_a_flight_on_the_full_hour_comes_after_its_report_whoever_breaks_ties(at: int) -> None:
    flight = Flight("UA", 1, "EWR", "IAH", at, 0, 0, 0)
    report, departure = plan.events([flight], [Weather("EWR", at, 0.0, 10.0)])
    assert (report.topic, departure.topic) == ("weather", "flights")
    assert report.timestamp < departure.timestamp == at


@given(flights, weather, disorders, st.integers(0, 9))
def test_nothing_is_later_than_the_disorder_allows(
    fs: list[Flight], ws: list[Weather], disorder: int, seed: int
) -> None:
    newest = 0
    for arrival in plan.events(fs, ws, disorder=disorder, seed=seed):
        newest = max(newest, arrival.timestamp)
        assert newest - arrival.timestamp <= disorder * MINUTE
        assert arrival.topic == "flights" or arrival.timestamp == newest


@given(flights, weather, disorders)
def test_one_seed_gives_one_order(fs: list[Flight], ws: list[Weather], disorder: int) -> None:
    assert plan.events(fs, ws, disorder=disorder, seed=5) == plan.events(fs, ws, disorder=disorder, seed=5)


@given(st.data(), flights, weather, disorders)
def test_resuming_completes_every_partition(
    draw: st.DataObject, fs: list[Flight], ws: list[Weather], disorder: int
) -> None:
    arrivals = plan.events(fs, ws, disorder=disorder, seed=1)
    whole = plan.by_partition(arrivals, COUNTS)
    ends = {where: draw.draw(st.integers(0, len(log)), label=str(where)) for where, log in whole.items()}
    left = plan.by_partition(plan.remaining(arrivals, COUNTS, ends), COUNTS)
    for where, log in whole.items():
        assert log[: ends[where]] + left.get(where, []) == log


def test_more_than_the_feeder_ever_writes_is_refused() -> None:
    arrivals = [Arrival(0, "flights", "EWR", Flight("UA", 1, "EWR", "IAH", 0, 0, 0, 0), 0)]
    (where,) = plan.by_partition(arrivals, COUNTS)
    with pytest.raises(FeedMismatch, match=r"holds 2 records, but the feeder writes only 1"):
        plan.remaining(arrivals, COUNTS, {where: 2})
    with pytest.raises(FeedMismatch, match=r"writes only 0"):
        plan.remaining(arrivals, COUNTS, {TopicPartition("flights", 2): 1})


def test_the_reference_data_is_one_record_per_key() -> None:
    arrivals = plan.reference()
    assert len(arrivals) == 16 + 1_458 + 3_322
    assert len({(arrival.topic, arrival.key) for arrival in arrivals}) == len(arrivals)
