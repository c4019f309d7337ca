"""The order in which the feeder sends, and what of it a broker already holds. Pure functions."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from apps.flights import data
from apps.flights.models import Airline, Airport, Flight, Landing, Plane, Weather
from streamz_actors.types import TopicPartition, partition_of

NEW_YEAR = 1_356_998_400_000
"""2013-01-01T00:00:00Z: the timestamp of the reference records."""

LEAD = 1
"""Milliseconds by which a weather report comes before the full hour it is of. A flight may be scheduled on that hour,
and of two topics with equal event times it is the framework's choice which is read first."""


class FeedMismatch(Exception):
    """A topic holds something else than what this feeder would have written. The message says what to do."""


class Arrival(NamedTuple):
    """A record to send once event time has come to `at` (ms); `timestamp` is its own event time, never later."""

    at: int
    topic: str
    key: str
    value: Flight | Landing | Weather | Airline | Airport | Plane
    timestamp: int


def reference() -> list[Arrival]:
    """The records of the three compacted topics."""
    return [
        *(Arrival(NEW_YEAR, "airlines", airline.carrier, airline, NEW_YEAR) for airline in data.airlines()),
        *(Arrival(NEW_YEAR, "airports", airport.faa, airport, NEW_YEAR) for airport in data.airports()),
        *(Arrival(NEW_YEAR, "planes", plane.tailnum, plane, NEW_YEAR) for plane in data.planes()),
    ]


def events(
    flights: Iterable[Flight], weather: Iterable[Weather], *, disorder: float = 0.0, seed: int = 0
) -> list[Arrival]:
    """Weather, departures and landings by event time: a flight comes after the report of its hour.

    Each departure and each landing comes up to `disorder` minutes after its event time, by a random number that `seed`
    determines; then none comes after one that is more than `disorder` minutes younger. Weather reports are on time.
    """
    flights = list(flights)
    delays = random.Random(seed)
    bound = round(disorder * data.MINUTE)
    arrivals = [
        Arrival(report.observed - LEAD, "weather", report.origin, report, report.observed - LEAD) for report in weather
    ]
    arrivals += [
        Arrival(flight.scheduled + delays.randint(0, bound), "flights", flight.origin, flight, flight.scheduled)
        for flight in flights
    ]
    arrivals += [
        Arrival(landing.landed + delays.randint(0, bound), "landings", landing.leg, landing, landing.landed)
        for landing in map(landing_of, flights)
        if landing is not None
    ]
    arrivals.sort(key=lambda arrival: arrival.at)
    return arrivals


def landing_of(flight: Flight) -> Landing | None:
    """None for a flight that was cancelled or diverted."""
    if flight.dep_delay is None or flight.air_time is None:
        return None
    landed = flight.scheduled + (flight.dep_delay + flight.air_time) * data.MINUTE
    return Landing(flight.leg, landed, flight.arr_delay)


def by_partition(arrivals: Iterable[Arrival], partitions: Mapping[str, int]) -> dict[TopicPartition, list[Arrival]]:
    """What each partition comes to hold, offset by offset. `partitions` gives the count per topic."""
    logs: dict[TopicPartition, list[Arrival]] = {}
    for arrival in arrivals:
        where = TopicPartition(arrival.topic, partition_of(arrival.key.encode(), partitions[arrival.topic]))
        logs.setdefault(where, []).append(arrival)
    return logs


def remaining(
    arrivals: Sequence[Arrival], partitions: Mapping[str, int], ends: Mapping[TopicPartition, int]
) -> list[Arrival]:
    """What is still to be sent where `ends` gives the end offset of each partition; the order is kept.

    A feeder that died has left a prefix of every partition, of different length in each, since records of one
    partition arrive in the order they were sent. Raises FeedMismatch if there is more than all.
    """
    logs = by_partition(arrivals, partitions)
    for where, end in ends.items():
        whole = len(logs.get(where, ()))
        if end > whole:
            raise FeedMismatch(
                f"partition {where} holds {end:,} records, but the feeder writes only {whole:,} to it: "
                "something else wrote to it, or it was fed twice. Delete the topics and the state, and feed again."
            )
    sent = {id(arrival) for where, end in ends.items() for arrival in logs.get(where, ())[:end]}
    return [arrival for arrival in arrivals if id(arrival) not in sent] if sent else list(arrivals)
