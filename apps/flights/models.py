"""What the topics and tables of the flights application hold, under the data set's names; times are epoch ms."""

from streamz_actors import Record


class Flight(Record, frozen=True):
    """A flight that left New York in 2013, or was meant to.

    `scheduled` is the scheduled departure and the record's event time. `dep_time`, `arr_time` and the like are local
    clock times written as hhmm (1545); delays and `air_time` are minutes, `distance` miles. A flight without a
    departure time was cancelled; one without an arrival delay was cancelled or diverted.
    """

    carrier: str
    flight: int
    origin: str
    dest: str
    scheduled: int
    sched_dep_time: int
    sched_arr_time: int
    distance: int
    tailnum: str | None = None
    dep_time: int | None = None
    dep_delay: int | None = None
    arr_time: int | None = None
    arr_delay: int | None = None
    air_time: int | None = None

    @property
    def cancelled(self) -> bool:
        return self.dep_time is None

    @property
    def route(self) -> str:
        return f"{self.origin}-{self.dest}"

    @property
    def leg(self) -> str:
        """What its departure and its arrival have in common: no other flight of the year has it."""
        return f"{self.carrier}{self.flight}@{self.scheduled}"


class Landing(Record, frozen=True):
    """An arrival. `landed` is its event time: scheduled departure, delay and time in the air together."""

    leg: str
    landed: int
    arr_delay: int | None = None


class Weather(Record, frozen=True):
    """One hour's observation at an airport: degrees Fahrenheit, miles and miles per hour, inches, millibars."""

    origin: str
    observed: int
    precip: float
    visib: float
    temp: float | None = None
    dewp: float | None = None
    humid: float | None = None
    wind_dir: float | None = None
    wind_speed: float | None = None
    wind_gust: float | None = None
    pressure: float | None = None


class Airline(Record, frozen=True):
    carrier: str
    name: str


class Airport(Record, frozen=True):
    """`alt` is in feet, `tz` the offset from UTC in hours, `dst` how it changes: A(merican), U(nknown) or N(one)."""

    faa: str
    name: str
    lat: float
    lon: float
    alt: int
    tz: int
    dst: str
    tzone: str | None = None


class Plane(Record, frozen=True):
    tailnum: str
    type: str
    manufacturer: str
    model: str
    engines: int
    seats: int
    engine: str
    year: int | None = None
    speed: int | None = None


class Enriched(Record, frozen=True):
    """A flight with what the reference tables know about it; None where they know nothing."""

    flight: Flight
    airline: str | None = None
    model: str | None = None
    seats: int | None = None
    destination: str | None = None


class Alert(Record, frozen=True):
    """A flight that left more than an hour late while its airport could not see two miles.

    `observed` is the hour of the weather report that says so.
    """

    origin: str
    dest: str
    carrier: str
    flight: int
    scheduled: int
    dep_delay: int
    visib: float
    observed: int


class CarrierStats(Record, frozen=True):
    """A carrier so far. The mean departure delay is `dep_delay_sum / dep_delay_count` minutes."""

    flights: int = 0
    cancelled: int = 0
    dep_delay_sum: int = 0
    dep_delay_count: int = 0

    def including(self, flight: Flight) -> "CarrierStats":
        delay = flight.dep_delay
        return CarrierStats(
            self.flights + 1,
            self.cancelled + flight.cancelled,
            self.dep_delay_sum + (delay or 0),
            self.dep_delay_count + (delay is not None),
        )


class RouteStats(Record, frozen=True):
    """A route so far; `worst_arr_delay` is in minutes, None until a flight has arrived."""

    flights: int = 0
    worst_arr_delay: int | None = None

    def including(self, flight: Flight) -> "RouteStats":
        delays = [delay for delay in (self.worst_arr_delay, flight.arr_delay) if delay is not None]
        return RouteStats(self.flights + 1, max(delays, default=None))


class Conditions(Record, frozen=True):
    """The last weather reports of one airport, oldest first.

    More than the very last is kept because flights may arrive out of order: one that comes hours late is judged by the
    weather of its own hour, so that alerts do not depend on how the two topics happened to interleave.
    """

    reports: tuple[Weather, ...] = ()

    def including(self, report: Weather, keep: int) -> "Conditions":
        """With one more report, of which the newest `keep` stay. A second report of one hour replaces the first."""
        others = [known for known in self.reports if known.observed != report.observed]
        return Conditions(tuple(sorted([*others, report], key=lambda known: known.observed)[-keep:]))

    def at(self, timestamp: int) -> Weather | None:
        """The last report that was out at `timestamp`; None if those kept are all younger."""
        return next((report for report in reversed(self.reports) if report.observed <= timestamp), None)


class Hour(Record, frozen=True):
    """The departures of one airport in one hour. The mean delay is None until one has left."""

    flights: int = 0
    dep_delay_sum: int = 0
    dep_delay_count: int = 0

    @property
    def mean_delay(self) -> float | None:
        """Minutes."""
        return self.dep_delay_sum / self.dep_delay_count if self.dep_delay_count else None

    def including(self, flight: Flight) -> "Hour":
        delay = flight.dep_delay
        return Hour(self.flights + 1, self.dep_delay_sum + (delay or 0), self.dep_delay_count + (delay is not None))


class Rotation(Record, frozen=True):
    """A stretch of work of one aircraft: departures with less than three hours between two. `air_time` in minutes."""

    flights: int = 0
    air_time: int = 0

    def including(self, flight: Flight) -> "Rotation":
        return Rotation(self.flights + 1, self.air_time + (flight.air_time or 0))

    def joined(self, other: "Rotation") -> "Rotation":
        return Rotation(self.flights + other.flights, self.air_time + other.air_time)


class Leg(Record, frozen=True):
    """A departure with its arrival."""

    origin: str
    dest: str
    carrier: str
    flight: int
    scheduled: int
    landed: int
    arr_delay: int | None = None


class RouteDay(Record, frozen=True):
    """A route on one day; delays of those flights that arrived, in minutes."""

    route: str = ""
    arr_delay_sum: int = 0
    arr_delay_count: int = 0

    @property
    def mean_delay(self) -> float:
        return self.arr_delay_sum / self.arr_delay_count

    def including(self, flight: Flight) -> "RouteDay":
        return RouteDay(flight.route, self.arr_delay_sum + (flight.arr_delay or 0), self.arr_delay_count + 1)


class Worst(Record, frozen=True):
    """The routes of one day with the longest mean delay on arrival, the worst first."""

    routes: tuple[RouteDay, ...] = ()

    def including(self, day: RouteDay, keep: int) -> "Worst":
        """With one more route, or the later figures of one, of which the worst `keep` stay."""
        others = [known for known in self.routes if known.route != day.route]
        ranked = sorted([*others, day], key=lambda known: (-known.mean_delay, known.route))
        return Worst(tuple(ranked[:keep]))
