"""The flights under chaos: whole days of the year 2013, some dozen seconds for each, against what SQL makes of them.

Times of events say little here, as one worker may be gone while others go on: no flight may count as late for that
(FLIGHTS_GRACE), and departures wait for the weather reports before them (`max_task_idle`). So days end weeks later, if
at all, and their worst routes, which are told then, are not looked at.
"""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import convert

from apps.flights import data, plan
from apps.flights.models import Alert, CarrierStats, Enriched, Hour, Leg, Rotation, RouteStats
from apps.flights.plan import NEW_YEAR, Arrival
from apps.flights.rows import (
    alert_row,
    carrier_rows,
    enriched_row,
    hour_rows,
    leg_row,
    rotation_rows,
    route_rows,
)
from apps.flights.topics import COUNTS, FOREVER, Topics, declare
from apps.flights.truth import Truth
from streamz_actors import App
from streamz_actors.transport.abc import Producer, TopicSpec, Transport
from streamz_actors.types import partition_of
from tests.chaos.reading import timed_contents
from tests.integration.kafka_contents import table

PACE = 12
"""Records in each run of one twelfth of a second: some 140 a second, a day in about 13 s."""

PAUSE = 1 / 12
DISORDER = 30
GRACE = 720
"""Hours: 30 days, which are fed in some six minutes: more than any worker is gone for. In long campaigns windows go,
and their changelog records.
"""

DAYS = 200
"""So many there are at the most: some 45 minutes of load."""

DAY = 86_400_000
SHOWN = 5


class Flights:
    app = "apps.flights"
    group = "flights"
    sources = ("flights", "landings", "weather")
    tables = ("carriers", "routes")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._over = asyncio.Event()
        self._year: dict[str, list[Arrival]] = {}
        self._days: list[str] = []
        self._flights: list[tuple[str, str]] = []
        """Origin and leg, in the order in which they were sent."""
        self.settings = {
            "FLIGHTS_GRACE": str(GRACE),
            "STREAMZ_MAX_TASK_IDLE": "20",
        }

    def __str__(self) -> str:
        return f"{len(self._flights):,} flights of {len(self._days)} days"

    async def prepare(self, kafka: Transport) -> None:
        compacted = {"cleanup.policy": "compact"}
        specs = [
            TopicSpec(name, count, config=FOREVER if count > 1 else compacted) for name, count in COUNTS.items()
        ]
        await kafka.admin.create(specs)
        await self._deliver(kafka, iter([plan.reference()]))
        self._year = await asyncio.to_thread(by_day, self._seed)  # the proxies live on this loop: nothing may hold it

    async def feed(self, kafka: Transport) -> None:
        await self._deliver(kafka, self._runs())

    def finish(self) -> None:
        self._over.set()

    def _runs(self) -> Iterator[list[Arrival]]:
        """Day by day; when it is to finish, what is left of the day comes at once, and each day is one to its end."""
        for date, day in self._year.items():
            if self._over.is_set():
                return
            self._days.append(date)
            arrivals = iter(day)
            while run := list(itertools.islice(arrivals, 1_000 if self._over.is_set() else PACE)):
                self._flights.extend((one.key, one.value.leg) for one in run if one.topic == "flights")  # type: ignore[union-attr]
                yield run

    async def _deliver(self, kafka: Transport, runs: Iterator[list[Arrival]]) -> None:
        topics = declare(App("flights-feeder"))
        producer = kafka.producer("flights-load")
        await producer.start()
        try:
            for run in runs:
                # The weather first: it is there when the flights of its hours are.
                await send(producer, topics, [one for one in run if one.topic == "weather"])
                await send(producer, topics, [one for one in run if one.topic != "weather"])
                if not self._over.is_set():
                    await asyncio.sleep(PAUSE)
        finally:
            await producer.stop()

    async def violations(self, kafka: Transport, *, exact: bool) -> list[str]:
        found = await results(kafka)
        wanted = await asyncio.to_thread(truth_of, self._days)
        wrong = list(self._disordered(found["enriched"]))
        for name, want in wanted.items():
            wrong += unlike(name, found[name], want) if exact else too_low(name, found[name], want)
        return wrong

    def _disordered(self, enriched: list[Any]) -> Iterator[str]:
        """Flights of one airport that came out for the first time after later ones."""
        for origin in sorted({row[3] for row in enriched}):
            seen = list(dict.fromkeys(f"{row[1]}{row[2]}@{row[0]}" for row in enriched if row[3] == origin))
            sent = [named(leg) for place, leg in self._flights if place == origin]
            if seen != sent:
                at = next((n for n, (one, other) in enumerate(zip(seen, sent, strict=False)) if one != other), -1)
                yield f"flights of {origin} came out in another order, from the {at}th on: {seen[at : at + SHOWN]}"

    async def remarks(self, kafka: Transport) -> list[str]:
        return []


async def send(producer: Producer, topics: Topics, arrivals: list[Arrival]) -> None:
    sent = []
    for one in arrivals:
        key, value = one.key.encode(), topics.named(one.topic).value_schema.encode(one.value)
        place = partition_of(key, COUNTS[one.topic])
        sent.append(producer.send(one.topic, place, [key], [value], [one.timestamp]))
    await asyncio.gather(*sent)


def by_day(seed: int, days: int = DAYS) -> dict[str, list[Arrival]]:
    """The first days of the year, each with its flights, landings and weather reports by event time."""
    flights, weather = defaultdict(list), defaultdict(list)
    last = NEW_YEAR + days * DAY
    for flight in data.flights():
        if flight.scheduled < last:
            flights[day(flight.scheduled)].append(flight)
    for report in data.weather():
        if report.observed < last:
            weather[day(report.observed)].append(report)
    return {
        date: plan.events(flights[date], weather[date], disorder=DISORDER, seed=seed) for date in sorted(flights)
    }


def day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")


def named(leg: str) -> str:
    """A flight's leg, its time written as the truth writes it."""
    flight, _, scheduled = leg.partition("@")
    return f"{flight}@{datetime.fromtimestamp(int(scheduled) / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


async def latest(kafka: Transport, name: str, kind: Any) -> dict[Any, Any]:
    """The last value of each key of a topic."""
    schema = declare(App("flights-reader")).named(name).key_schema
    last: dict[Any, Any] = {}
    for key, value, _ in await timed_contents(kafka, name):
        last[schema.decode(key)] = value
    return {key: convert(value, kind) for key, value in last.items() if value is not None}


async def results(kafka: Transport) -> dict[str, Any]:
    """What came of the flights, in the shape of the truth's rows."""
    async def rows(name: str, kind: Any, row: Callable[[Any], Any]) -> list[Any]:
        return [row(convert(value, kind)) for _, value, _ in await timed_contents(kafka, name)]

    async def kept(name: str, kind: Any) -> Mapping[str, Any]:
        return {key: convert(row, kind) for key, row in (await table(kafka, f"flights-{name}-changelog")).items()}

    return {
        "carriers": carrier_rows(await kept("carriers", CarrierStats)),
        "routes": route_rows(await kept("routes", RouteStats)),
        "enriched": await rows("enriched", Enriched, enriched_row),
        "alerts": await rows("alerts", Alert, alert_row),
        "hours": hour_rows(await latest(kafka, "hours", Hour)),
        "rotations": rotation_rows(await latest(kafka, "rotations", Rotation)),
        "legs": await rows("legs", Leg, leg_row),
    }


def truth_of(days: list[str]) -> dict[str, Any]:
    with Truth(data.data_folder(), only=days) as truth:
        return {
            "carriers": truth.carriers(),
            "routes": truth.routes(),
            "enriched": truth.enriched(),
            "alerts": truth.alerts(),
            "hours": truth.hours(),
            "rotations": truth.rotations(),
            "legs": truth.legs(),
        }


def unlike(name: str, found: Any, wanted: Any) -> list[str]:
    """Where tables and outputs are not exactly what they must be."""
    if isinstance(wanted, dict):
        keys = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        shown = {key: (found.get(key), wanted.get(key)) for key in keys[:SHOWN]}
        return [f"{name}: {len(keys)} of {len(wanted)} rows are wrong; found and wanted: {shown}"] if keys else []
    more, less = Counter(found) - Counter(wanted), Counter(wanted) - Counter(found)
    return [
        f"{name}: {kind} {sum(rows.values())}, such as {list(rows.items())[:SHOWN]}"
        for kind, rows in (("too many:", more), ("missing:", less))
        if rows
    ]


def too_low(name: str, found: Any, wanted: Any) -> list[str]:
    """Where something is lost: counts below the truth, outputs that never came. Of counts the first column is told."""
    if not isinstance(wanted, dict):
        lost: set[Hashable] = set(wanted) - set(found)
        return [f"{name}: {len(lost)} never came, such as {sorted(map(str, lost))[:SHOWN]}"] if lost else []
    low = sorted(key for key in wanted if key not in found or counted(name, found[key]) < counted(name, wanted[key]))
    shown = {key: (found.get(key), wanted[key]) for key in low[:SHOWN]}
    return [f"{name}: {len(low)} of {len(wanted)} rows are too low; found and wanted: {shown}"] if low else []


def counted(name: str, row: Any) -> int:
    """How many flights are in a row."""
    return int(row[1] if name == "rotations" else row[0])
