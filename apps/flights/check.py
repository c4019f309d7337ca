"""Compares the tables with the truth: `python -m apps.flights.check [--url http://127.0.0.1:6066]`.

The tables are asked of one worker over HTTP, the truth is computed by SQL from the CSV files.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from apps.flights import data
from apps.flights.models import CarrierStats, RouteStats
from apps.flights.remote import Refused, Remote
from apps.flights.rows import carrier_rows, route_rows
from apps.flights.truth import Truth

DEFAULT_URL = "http://127.0.0.1:6066"
SHOWN = 5
"""Differences that are written out."""


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs between two tables, a line for each key."""
    return [
        f"{key}: {found.get(key, 'missing')}, not {wanted.get(key, 'there at all')}"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]


async def tables(url: str) -> dict[str, Mapping[str, Any] | None]:
    """The tables of the worker at `url`, in the shape of the truth's rows; None for one that it can't tell now."""
    async with aiohttp.ClientSession() as session:
        remote = Remote(session, lambda: [url])
        carriers = await remote.table("carriers", CarrierStats)
        routes = await remote.table("routes", RouteStats)
    return {
        "carriers": None if carriers is None else carrier_rows(carriers),
        "routes": None if routes is None else route_rows(routes),
    }


def report(found: Mapping[str, Mapping[str, Any] | None], wanted: Mapping[str, Mapping[str, Any]]) -> bool:
    """Prints what is the same and what is not; whether all is."""
    right = True
    for name, rows in wanted.items():
        held = found[name]
        if held is None:
            print(f"{name}: nobody can tell now; ask again in a moment")
            right = False
            continue
        different = differences(held, rows)
        print(f"{name}: {len(held):,} rows, {len(different):,} of them unlike the CSV files")
        for line in different[:SHOWN]:
            print(f"  {line}")
        right = right and not different
    return right


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m apps.flights.check", description=__doc__)
    parser.add_argument("--url", default=DEFAULT_URL, help="of any worker (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        found = asyncio.run(tables(options.url.rstrip("/")))
        with Truth(data.data_folder()) as truth:
            return 0 if report(found, {"carriers": truth.carriers(), "routes": truth.routes()}) else 1
    except (Refused, data.DataMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
