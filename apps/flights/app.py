"""The flights application: what it keeps per carrier and route, the enriched stream, the alerts; and what the flights
come to by time: departures by the hour, rotations of aircraft, legs, each day's worst routes.
"""

import os
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime, timedelta

from apps.flights.models import (
    Airline,
    Airport,
    Alert,
    CarrierStats,
    Conditions,
    Enriched,
    Flight,
    Hour,
    Landing,
    Leg,
    Plane,
    Rotation,
    RouteDay,
    RouteStats,
    Weather,
    Worst,
)
from apps.flights.topics import declare
from streamz_actors import App, JoinWindow, Session, Tumbling, Windowed

LATE = 60
"""Minutes of departure delay beyond which a flight may raise an alert."""

POOR_VISIBILITY = 2.0
"""Miles of visibility below which it does."""

REPORTS_KEPT = 12
"""Hourly weather reports kept per airport: flights may arrive up to about that many hours out of order."""

GRACE = timedelta(hours=float(os.environ.get("FLIGHTS_GRACE", 6)))
"""How far out of order flights may arrive without one being dropped as late: hours. Outages of a worker count as such
where others go on meanwhile: more than the hours that are fed during the longest of them.
"""

DRIFT = timedelta(hours=1)
"""How far one airport's flights may get ahead of another's when they are read at full speed: well below the grace."""

TURNAROUND = timedelta(hours=3)
"""An aircraft that does not leave again within this time has ended its rotation."""

LONGEST = timedelta(hours=36)
"""From a scheduled departure to the landing, delay included."""

WORST_KEPT = 10
QUIET = float(os.environ.get("FLIGHTS_QUIET", 86_400))
"""Seconds without a flight after which the days still open are closed: the year has ended. By default longer than the
longest night (20 hours, in a snowstorm), so that none is closed too early even if they are fed as slowly as they left.
"""

app = App("flights", max_time_drift=DRIFT.total_seconds())
topics = declare(app)

airlines = app.global_table(topics.airlines)
airports = app.global_table(topics.airports)
planes = app.global_table(topics.planes)

departures = app.stream(topics.flights)


# -- per carrier: an agent and its table. Flights are keyed by airport, so they are regrouped first: then all flights of
#    a carrier meet in one partition, and the table is partitioned by carrier, so that any worker can find "UA".

carriers = app.table("carriers", key_type=str, value_type=CarrierStats, default=CarrierStats)


@app.agent(departures.group_by(lambda _, flight: flight.carrier, name="by-carrier", key_type=str), tables=[carriers])
async def count_carriers(stream: AsyncIterable[Flight]) -> None:
    async for flight in stream:
        carriers[flight.carrier] = carriers[flight.carrier].including(flight)


# -- per route: the same kind of thing, said with the DSL.

routes = departures.group_by(lambda _, flight: flight.route, key_type=str).aggregate(
    RouteStats, lambda _, flight, stats: stats.including(flight), name="routes"
)


# -- each flight with what the reference tables know. Left joins: no flight is lost for want of an airline or a plane.


def with_airline(flight: Flight, airline: Airline | None) -> Enriched:
    return Enriched(flight, airline=airline.name if airline else None)


def with_plane(enriched: Enriched, plane: Plane | None) -> Enriched:
    return enriched.derive(model=plane.model, seats=plane.seats) if plane else enriched


def with_destination(enriched: Enriched, airport: Airport | None) -> Enriched:
    return enriched.derive(destination=airport.name) if airport else enriched


(
    departures.left_join(airlines, with_airline, key=lambda _, flight: flight.carrier)
    .left_join(planes, with_plane, key=lambda _, enriched: enriched.flight.tailnum)
    .left_join(airports, with_destination, key=lambda _, enriched: enriched.flight.dest)
    .to(topics.enriched)
)


# -- alerts: one actor sees flights and weather of its airports, the lower event time first.

conditions = app.table("conditions", key_type=str, value_type=Conditions, default=Conditions)


@app.agent([topics.weather, topics.flights], sinks=[topics.alerts], tables=[conditions])
async def watch_visibility(stream: AsyncIterable[Weather | Flight]) -> AsyncIterator[Alert]:
    async for report in stream:
        if isinstance(report, Weather):
            conditions[report.origin] = conditions[report.origin].including(report, keep=REPORTS_KEPT)
        elif report.dep_delay is not None and report.dep_delay > LATE:
            weather = conditions[report.origin].at(report.scheduled)
            if weather is not None and weather.visib < POOR_VISIBILITY:
                yield alert(report, report.dep_delay, weather)


def alert(flight: Flight, dep_delay: int, weather: Weather) -> Alert:
    return Alert(
        origin=flight.origin,
        dest=flight.dest,
        carrier=flight.carrier,
        flight=flight.flight,
        scheduled=flight.scheduled,
        dep_delay=dep_delay,
        visib=weather.visib,
        observed=weather.observed,
    )


# -- departures per airport and hour, with their mean delay

hours = (
    departures.group_by_key().windowed_by(Tumbling(timedelta(hours=1), grace=GRACE))
    .aggregate(Hour, lambda _, flight, hour: hour.including(flight), name="hours")
)  # fmt: skip
hours.to_stream().to(topics.hours)


# -- rotations: an aircraft's departures with less than three hours between two

rotations = (
    departures.filter(lambda _, flight: flight.tailnum is not None and not flight.cancelled)
    .group_by(lambda _, flight: flight.tailnum, name="by-tail", key_type=str)
    .windowed_by(Session(TURNAROUND, grace=GRACE))
    .aggregate(
        Rotation,
        lambda _, flight, rotation: rotation.including(flight),
        merger=lambda _, one, other: one.joined(other),
        name="rotations",
    )
)
rotations.to_stream().to(topics.rotations)


# -- legs: departures and arrivals are two streams, which meet under the leg that both are of


def leg(flight: Flight, landing: Landing) -> Leg:
    return Leg(
        flight.origin, flight.dest, flight.carrier, flight.flight, flight.scheduled, landing.landed, landing.arr_delay
    )


(
    departures.select_key(lambda _, flight: flight.leg, key_type=str)
    .join(
        app.stream(topics.landings),
        leg,
        within=JoinWindow(before=timedelta(0), after=LONGEST, grace=GRACE),
        name="legs",
    )
    .to(topics.legs)
)


# -- the worst routes of each day. A route's day is told once, when it is over; so the ranking of a day grows route by
#    route, and is whole when the last of them is told.


def day_of(window: Windowed[str], _: RouteDay) -> str:
    return datetime.fromtimestamp(window.start / 1_000, UTC).strftime("%Y-%m-%d")


worst = (
    departures.filter(lambda _, flight: flight.arr_delay is not None)
    .group_by(lambda _, flight: flight.route, name="by-route", key_type=str)
    .windowed_by(Tumbling(timedelta(days=1), grace=GRACE))
    .aggregate(
        RouteDay, lambda _, flight, day: day.including(flight), name="route-days", emit="close", close_on_idle=QUIET
    )
    .to_stream()
    .group_by(day_of, name="by-day", key_type=str)
    .aggregate(Worst, lambda _, day, worst: worst.including(day, WORST_KEPT), name="worst")
)
worst.to_stream().to(topics.worst)


if __name__ == "__main__":
    app.main()
