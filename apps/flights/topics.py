"""The topics of the flights: the application reads and writes them, the feeder fills the first six."""

from dataclasses import dataclass
from typing import Any

from apps.flights.models import (
    Airline,
    Airport,
    Alert,
    Enriched,
    Flight,
    Hour,
    Landing,
    Leg,
    Plane,
    Rotation,
    Weather,
    Worst,
)
from streamz_actors import App, Topic, Windowed

PARTITIONS = 4
"""Of flights and weather alike: one task then sees both of an airport. The three airports fall in three of the four."""

COUNTS = {
    "flights": PARTITIONS,
    "landings": PARTITIONS,
    "weather": PARTITIONS,
    "airlines": 1,
    "airports": 1,
    "planes": 1,
}
"""Partitions of what the feeder fills. A global table is read whole by every worker, so its topic needs but one."""

FOREVER = {"retention.ms": "-1"}
"""The records are of 2013: under a broker's usual seven days it would delete them as soon as they arrive."""


@dataclass(frozen=True, slots=True)
class Topics:
    """`flights` and `weather` are keyed by origin, `landings` by `Flight.leg`, the three compacted ones by carrier, FAA
    code and tail number.
    """

    flights: Topic[str, Flight]
    landings: Topic[str, Landing]
    weather: Topic[str, Weather]
    airlines: Topic[str, Airline]
    airports: Topic[str, Airport]
    planes: Topic[str, Plane]
    enriched: Topic[str, Enriched]
    alerts: Topic[str, Alert]
    hours: Topic[Windowed[str], Hour]
    rotations: Topic[Windowed[str], Rotation]
    legs: Topic[str, Leg]
    worst: Topic[str, Worst]

    def named(self, name: str) -> Topic[str, Any]:
        topic: Topic[str, Any] = getattr(self, name)
        return topic


def declare(app: App) -> Topics:
    """Declares all of them on an application: on that of the flights, or on a feeder's own."""

    def moving(name: str, value_type: Any, key_type: Any = str) -> Topic[Any, Any]:
        return app.topic(name, key_type=key_type, value_type=value_type, partitions=PARTITIONS, config=FOREVER)

    return Topics(
        flights=moving("flights", Flight),
        landings=moving("landings", Landing),
        weather=moving("weather", Weather),
        airlines=app.topic("airlines", key_type=str, value_type=Airline, partitions=1, compacting=True),
        airports=app.topic("airports", key_type=str, value_type=Airport, partitions=1, compacting=True),
        planes=app.topic("planes", key_type=str, value_type=Plane, partitions=1, compacting=True),
        enriched=moving("enriched", Enriched),
        alerts=moving("alerts", Alert),
        hours=moving("hours", Hour, Windowed[str]),
        rotations=moving("rotations", Rotation, Windowed[str]),
        legs=moving("legs", Leg),
        worst=moving("worst", Worst),
    )
