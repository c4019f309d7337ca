"""What the tables fold flights and weather into."""

from hypothesis import given
from hypothesis import strategies as st

from apps.flights.models import CarrierStats, Conditions, Flight, RouteStats, Weather


def flight(dep_delay: int | None = None, arr_delay: int | None = None) -> Flight:
    dep_time = None if dep_delay is None else 1200
    return Flight(
        "UA", 1, "EWR", "IAH", 0, 1200, 1500, 1400, dep_time=dep_time, dep_delay=dep_delay, arr_delay=arr_delay
    )


def weather(observed: int, visib: float = 10.0) -> Weather:
    return Weather("EWR", observed, 0.0, visib)


def test_a_cancelled_flight_counts_but_has_no_delay() -> None:
    stats = CarrierStats().including(flight(dep_delay=7)).including(flight()).including(flight(dep_delay=-2))
    assert stats == CarrierStats(flights=3, cancelled=1, dep_delay_sum=5, dep_delay_count=2)


def test_a_route_has_no_worst_delay_until_a_flight_has_arrived() -> None:
    stats = RouteStats().including(flight())
    assert stats == RouteStats(1, None)
    assert stats.including(flight(1, -9)).including(flight(1, -20)) == RouteStats(3, -9)


def test_conditions_answer_with_the_last_report_that_was_out() -> None:
    known = Conditions().including(weather(100), keep=3).including(weather(200), keep=3)
    assert known.at(99) is None
    assert known.at(100) == weather(100)
    assert known.at(250) == weather(200)


def test_a_second_report_of_an_hour_replaces_the_first() -> None:
    known = Conditions().including(weather(100, visib=9), keep=3).including(weather(100, visib=1), keep=3)
    assert known.reports == (weather(100, visib=1),)


@given(st.lists(st.integers(0, 50), unique=True, min_size=1), st.integers(1, 5))
def test_conditions_keep_the_newest_reports_in_order_whatever_the_order_of_arrival(hours: list[int], keep: int) -> None:
    known = Conditions()
    for hour in hours:
        known = known.including(weather(hour), keep=keep)
    assert [report.observed for report in known.reports] == sorted(hours)[-keep:]
