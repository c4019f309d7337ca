"""The flights application: what it keeps per carrier and route, the enriched stream, the alerts."""

from collections.abc import AsyncIterable, AsyncIterator

from apps.flights.models import (
    Airline,
    Airport,
    Alert,
    CarrierStats,
    Conditions,
    Enriched,
    Flight,
    Plane,
    RouteStats,
    Weather,
)
from apps.flights.topics import declare
from streamz_actors import App

LATE = 60
"""Minutes of departure delay beyond which a flight may raise an alert."""

POOR_VISIBILITY = 2.0
"""Miles of visibility below which it does."""

REPORTS_KEPT = 12
"""Hourly weather reports kept per airport: flights may arrive up to about that many hours out of order."""

app = App("flights")
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


if __name__ == "__main__":
    app.main()
