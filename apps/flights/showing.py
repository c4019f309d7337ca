"""What both ways to run the demo do: count how far it is, show the carriers, stop when the user wants to."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from apps.flights import data
from apps.flights.feeder import Feed
from apps.flights.models import CarrierStats, Flight

LOOK_EVERY = 0.2
"""Seconds between two looks at how far the application is."""


async def until_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Does the work, or gives it up when the user wants to stop. Raises what the work raises."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def expected_of(feed: Feed) -> Counter[str]:
    """The flights of each carrier."""
    return Counter(arrival.value.carrier for arrival in feed.events if isinstance(arrival.value, Flight))


def counted_of(expected: Mapping[str, int], carriers: Mapping[str, CarrierStats]) -> int:
    """How many of the expected flights are counted. After a crash some may be counted twice (at-least-once): what one
    carrier has too many must not hide what another still lacks.
    """
    return sum(min(stats.flights, expected.get(carrier, 0)) for carrier, stats in carriers.items())


def show_carriers(console: Console, carriers: Mapping[str, CarrierStats]) -> None:
    grid = Grid("carrier", "airline", "flights", "cancelled", "mean departure delay", title="carriers")
    names = {airline.carrier: airline.name for airline in data.airlines()}
    for carrier, stats in sorted(carriers.items(), key=lambda item: -item[1].flights):
        mean = stats.dep_delay_sum / stats.dep_delay_count if stats.dep_delay_count else 0.0
        grid.add_row(carrier, names[carrier], f"{stats.flights:,}", f"{stats.cancelled:,}", f"{mean:.1f} min")
    console.print(grid)
