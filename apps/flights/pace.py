"""Sends records at the speed of their event times, with a bounded number under way."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from apps.flights.plan import Arrival
from streamz_actors.clock import Clock

IN_FLIGHT = 1_000
"""Records sent before their delivery is awaited: bounds memory, and how long the loop is held."""

SHORTEST_PAUSE = 0.01
"""Seconds slept at least when the feeder is ahead of time, so that it sends runs of records and not single ones."""


async def deliver(
    arrivals: Sequence[Arrival],
    send: Callable[[Arrival], Awaitable[Any]],
    *,
    clock: Clock,
    speed: float | None = None,
    on_delivered: Callable[[int], None] = lambda count: None,
) -> None:
    """Sends all, in order, and returns when all is delivered.

    `send` queues one record at once and gives what to await for its delivery, whose errors are raised here. `speed` is
    seconds of event time per second, None: as fast as can be. `on_delivered` is told of each run how many it had.
    """
    started, sent = clock.monotonic(), 0
    while sent < len(arrivals):
        due = len(arrivals)
        if speed is not None:
            now = arrivals[0].at + (clock.monotonic() - started) * speed * 1000
            due = bisect_right(arrivals, now, lo=sent, key=lambda arrival: arrival.at)
            if due == sent:
                await clock.sleep(max(SHORTEST_PAUSE, (arrivals[sent].at - now) / (speed * 1000)))
                continue
        run = arrivals[sent : min(due, sent + IN_FLIGHT)]
        await asyncio.gather(*map(send, run))
        sent += len(run)
        on_delivered(len(run))
