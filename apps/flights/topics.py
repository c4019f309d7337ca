"""The topics of the flights: the application reads and writes them, the feeder fills the first five."""

from dataclasses import dataclass
from typing import Any

from apps.flights.models import Airline, Airport, Alert, Enriched, Flight, Plane, Weather
from streamz_actors import App, Topic

PARTITIONS = 4
"""Of flights and weather alike: one task then sees both of an airport. The three airports fall in three of the four."""

COUNTS = {"flights": PARTITIONS, "weather": PARTITIONS, "airlines": 1, "airports": 1, "planes": 1}
"""Partitions of what the feeder fills. A global table is read whole by every worker, so its topic needs but one."""

FOREVER = {"retention.ms": "-1"}
"""The records are of 2013: under a broker's usual seven days it would delete them as soon as they arrive."""


@dataclass(frozen=True, slots=True)
class Topics:
    """`flights` and `weather` are keyed by origin, the three compacted ones by carrier, FAA code and tail number."""

    flights: Topic[str, Flight]
    weather: Topic[str, Weather]
    airlines: Topic[str, Airline]
    airports: Topic[str, Airport]
    planes: Topic[str, Plane]
    enriched: Topic[str, Enriched]
    alerts: Topic[str, Alert]

    def named(self, name: str) -> Topic[str, Any]:
        topic: Topic[str, Any] = getattr(self, name)
        return topic


def declare(app: App) -> Topics:
    """Declares all of them on an application: on that of the flights, or on a feeder's own."""
    return Topics(
        flights=app.topic("flights", key_type=str, value_type=Flight, partitions=PARTITIONS, config=FOREVER),
        weather=app.topic("weather", key_type=str, value_type=Weather, partitions=PARTITIONS, config=FOREVER),
        airlines=app.topic("airlines", key_type=str, value_type=Airline, partitions=1, compacting=True),
        airports=app.topic("airports", key_type=str, value_type=Airport, partitions=1, compacting=True),
        planes=app.topic("planes", key_type=str, value_type=Plane, partitions=1, compacting=True),
        enriched=app.topic("enriched", key_type=str, value_type=Enriched, partitions=PARTITIONS, config=FOREVER),
        alerts=app.topic("alerts", key_type=str, value_type=Alert, partitions=PARTITIONS, config=FOREVER),
    )
