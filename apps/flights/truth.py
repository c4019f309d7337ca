"""What the application must come to, computed from the CSV files with SQL: another way to the same numbers.

Nothing of the application is used here, not even its readers: rows go into sqlite as text, and SQL does the rest.
Times come out as "2013-01-01T10:15:00Z", so they sort and compare as text.
"""

import csv
import io
import sqlite3
import zipfile
from collections.abc import Iterable
from pathlib import Path

CarrierRow = tuple[int, int, int, int]
RouteRow = tuple[int, int | None]
EnrichedRow = tuple[str, str, int, str, str, str | None, str | None, str | None, int | None, str | None]
AlertRow = tuple[str, str, int, str, str, int, float, str]
HourRow = tuple[int, int, int]
RotationRow = tuple[str, int, int]
LegRow = tuple[str, str, int, str, str, str, int | None]
WorstRow = tuple[str, int, int]

PREPARE = """
CREATE TEMP VIEW departures AS SELECT
    rowid AS id, carrier, CAST(flight AS INTEGER) AS flight, origin, dest, NULLIF(tailnum, 'NA') AS tailnum,
    substr(time_hour, 1, 14) || printf('%02d', minute) || ':00Z' AS scheduled,
    CAST(NULLIF(dep_time, 'NA') AS INTEGER) AS dep_time,
    CAST(NULLIF(dep_delay, 'NA') AS INTEGER) AS dep_delay,
    CAST(NULLIF(arr_delay, 'NA') AS INTEGER) AS arr_delay,
    CAST(NULLIF(air_time, 'NA') AS INTEGER) AS air_time
FROM flights;
CREATE UNIQUE INDEX hours ON weather (origin, time_hour);
CREATE UNIQUE INDEX tails ON planes (tailnum);
CREATE UNIQUE INDEX codes ON airports (faa);
"""

CARRIERS = """
SELECT carrier, count(*), count(*) - count(dep_time), total(dep_delay), count(dep_delay) FROM departures GROUP BY 1
"""

ROUTES = "SELECT origin || '-' || dest, count(*), max(arr_delay) FROM departures GROUP BY 1"

ENRICHED = """
SELECT d.scheduled, d.carrier, d.flight, d.origin, d.dest, d.tailnum, airlines.name, planes.model,
       CAST(planes.seats AS INTEGER), airports.name
FROM departures AS d
LEFT JOIN airlines ON airlines.carrier = d.carrier
LEFT JOIN planes ON planes.tailnum = d.tailnum
LEFT JOIN airports ON airports.faa = d.dest
"""

ALERTS = """
SELECT d.origin, d.carrier, d.flight, d.dest, d.scheduled, d.dep_delay, CAST(w.visib AS REAL), w.time_hour
FROM departures AS d JOIN weather AS w ON w.origin = d.origin AND w.time_hour = (
    SELECT max(time_hour) FROM weather WHERE origin = d.origin AND time_hour <= d.scheduled)
WHERE d.dep_delay > 60 AND CAST(w.visib AS REAL) < 2
"""

HOURS = """
SELECT origin, substr(scheduled, 1, 13) || ':00:00Z', count(*), total(dep_delay), count(dep_delay)
FROM departures GROUP BY 1, 2
"""

ROTATIONS = """
WITH begun AS (
    SELECT tailnum, scheduled, air_time,
           coalesce(strftime('%s', scheduled) - strftime('%s', lag(scheduled) OVER tail) > 3 * 3600, 1) AS first
    FROM departures WHERE tailnum IS NOT NULL AND dep_time IS NOT NULL
    WINDOW tail AS (PARTITION BY tailnum ORDER BY scheduled)),
numbered AS (
    SELECT *, sum(first) OVER (PARTITION BY tailnum ORDER BY scheduled ROWS UNBOUNDED PRECEDING) AS number FROM begun)
SELECT tailnum, min(scheduled), max(scheduled), count(*), total(air_time) FROM numbered GROUP BY tailnum, number
"""

LEGS = """
SELECT scheduled, carrier, flight, origin, dest,
       strftime('%Y-%m-%dT%H:%M:%SZ', scheduled, (dep_delay + air_time) || ' minutes'), arr_delay
FROM departures WHERE dep_delay IS NOT NULL AND air_time IS NOT NULL
"""

WORST = """
WITH days AS (
    SELECT substr(scheduled, 1, 10) AS day, origin || '-' || dest AS route, sum(arr_delay) AS late, count(*) AS n
    FROM departures WHERE arr_delay IS NOT NULL GROUP BY 1, 2),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY day ORDER BY CAST(late AS REAL) / n DESC, route) AS place FROM days)
SELECT day, route, late, n FROM ranked WHERE place <= 10 ORDER BY day, place
"""


class Truth:
    """The data set in memory; `only` keeps the flights of these UTC days ("2013-02-08"), None all of them."""

    def __init__(self, folder: Path, only: Iterable[str] | None = None) -> None:
        self._database = sqlite3.connect(":memory:")
        for name in ("flights", "weather", "airlines", "airports", "planes"):
            self._load(folder, name)
        if only is not None:
            days = list(only)
            marks = ", ".join("?" * len(days))
            self._database.execute(f"DELETE FROM flights WHERE substr(time_hour, 1, 10) NOT IN ({marks})", days)
        self._database.executescript(PREPARE)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Truth":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def carriers(self) -> dict[str, CarrierRow]:
        """Per carrier code: flights, cancelled, sum and number of departure delays."""
        return {
            carrier: (flights, cancelled, int(delay_sum), delay_count)
            for carrier, flights, cancelled, delay_sum, delay_count in self._database.execute(CARRIERS)
        }

    def routes(self) -> dict[str, RouteRow]:
        """Per "EWR-IAH": flights and worst arrival delay."""
        return {route: (flights, worst) for route, flights, worst in self._database.execute(ROUTES)}

    def enriched(self) -> list[EnrichedRow]:
        """scheduled, carrier, flight, origin, dest, tailnum, airline, model, seats, destination; in no order."""
        return self._database.execute(ENRICHED).fetchall()

    def alerts(self) -> list[AlertRow]:
        """origin, carrier, flight, dest, scheduled, delay, visibility, hour of the report; in no order."""
        return self._database.execute(ALERTS).fetchall()

    def hours(self) -> dict[tuple[str, str], HourRow]:
        """Per airport and hour: departures, sum and number of their delays."""
        return {
            (origin, hour): (flights, int(delay_sum), delay_count)
            for origin, hour, flights, delay_sum, delay_count in self._database.execute(HOURS)
        }

    def rotations(self) -> dict[tuple[str, str], RotationRow]:
        """Per tail number and first departure: last departure, flights, minutes in the air."""
        return {
            (tail, first): (last, flights, int(air_time))
            for tail, first, last, flights, air_time in self._database.execute(ROTATIONS)
        }

    def legs(self) -> list[LegRow]:
        """scheduled, carrier, flight, origin, dest, landed, arrival delay; in no order."""
        return self._database.execute(LEGS).fetchall()

    def worst(self) -> dict[str, list[WorstRow]]:
        """Per day its ten worst routes, the worst first: route, sum and number of arrival delays."""
        days: dict[str, list[WorstRow]] = {}
        for day, *row in self._database.execute(WORST):
            days.setdefault(day, []).append((row[0], row[1], row[2]))
        return days

    def _load(self, folder: Path, name: str) -> None:
        rows = csv.reader(io.StringIO(file_text(folder, name), newline=""))
        columns = next(rows)
        marks = ", ".join("?" * len(columns))
        self._database.execute(f"CREATE TABLE {name} ({', '.join(f'{column} TEXT' for column in columns)})")
        self._database.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)


def file_text(folder: Path, name: str) -> str:
    packed = folder / f"{name}.csv.zip"
    if not packed.exists():
        return (folder / f"{name}.csv").read_text(encoding="utf-8")
    with zipfile.ZipFile(packed) as archive:
        return archive.read(f"{name}.csv").decode()
