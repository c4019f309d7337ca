"""The feeder's pace: order, bounds, event time against a clock that stands still until it is moved."""

import asyncio

import pytest

from apps.flights.models import Weather
from apps.flights.pace import IN_FLIGHT, deliver
from apps.flights.plan import Arrival
from streamz_actors.clock import ManualClock

HOUR = 3_600_000


class Outlet:
    """Takes records; delivers them when it is told to, or at once."""

    def __init__(self, held: bool = False) -> None:
        self.held = held
        self.sent: list[Arrival] = []
        self.futures: list[asyncio.Future[None]] = []

    def send(self, arrival: Arrival) -> "asyncio.Future[None]":
        self.sent.append(arrival)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        if not self.held:
            future.set_result(None)
        return future

    def release(self) -> None:
        for future in self.futures:
            if not future.done():
                future.set_result(None)


def hours(*ats: int) -> list[Arrival]:
    return [Arrival(at * HOUR, "weather", "EWR", Weather("EWR", at * HOUR, 0.0, 10.0), at * HOUR) for at in ats]


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_as_fast_as_it_can_it_sends_all_in_order_and_tells_of_each_run() -> None:
    outlet, runs = Outlet(), list[int]()
    arrivals = hours(*range(2 * IN_FLIGHT + 10))
    await deliver(arrivals, outlet.send, clock=ManualClock(), on_delivered=runs.append)
    assert outlet.sent == arrivals
    assert runs == [IN_FLIGHT, IN_FLIGHT, 10]


async def test_no_more_than_the_bound_is_under_way() -> None:
    outlet = Outlet(held=True)
    arrivals = hours(*range(IN_FLIGHT + 1))
    feeding = asyncio.create_task(deliver(arrivals, outlet.send, clock=ManualClock()))
    await turns()
    assert len(outlet.sent) == IN_FLIGHT
    outlet.release()
    await turns()
    assert len(outlet.sent) == IN_FLIGHT + 1
    outlet.release()
    await feeding


async def test_with_a_speed_each_record_waits_for_its_event_time() -> None:
    outlet, clock = Outlet(), ManualClock(start=5_000)
    feeding = asyncio.create_task(deliver(hours(7, 7, 8, 10), outlet.send, clock=clock, speed=3600))
    await turns()
    sent = [len(outlet.sent)]
    for seconds in (5.5, 6.5, 7.5, 8.5):
        while clock.advance_to_next(until=seconds):
            await turns()
        sent.append(len(outlet.sent))
    await feeding
    assert sent == [2, 2, 3, 3, 4]


async def test_a_delivery_that_fails_ends_the_feeding() -> None:
    async def refuse(arrival: Arrival) -> None:
        raise ConnectionError(arrival.key)

    with pytest.raises(ConnectionError, match="EWR"):
        await deliver(hours(1, 2), refuse, clock=ManualClock())


async def test_nothing_to_send_is_nothing_to_wait_for() -> None:
    await deliver([], Outlet().send, clock=ManualClock(), speed=1.0)
