"""The system's clock, and the one that moves only when it is told to."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.clock import ManualClock, SystemClock


def test_the_system_clock_tells_milliseconds_and_never_goes_back() -> None:
    clock = SystemClock()
    assert clock.now() > 1_600_000_000_000
    assert clock.monotonic() <= clock.monotonic()


async def test_the_system_clock_calls_later() -> None:
    clock = SystemClock()
    await clock.sleep(0)
    cancelled = clock.call_later(0, lambda: called.append("never"))
    cancelled.cancel()
    called: list[str] = []
    done = asyncio.Event()
    clock.call_later(0, done.set)
    await done.wait()
    assert called == []


def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(start=5_000)
    assert (clock.now(), clock.monotonic()) == (5_000, 5.0)
    assert clock.advance_to_next(7.5) is False
    assert (clock.now(), clock.monotonic()) == (7_500, 7.5)
    assert clock.advance_to_next(1.0) is False
    assert clock.now() == 7_500


def test_a_cancelled_timer_does_not_fire_and_does_not_stop_the_clock() -> None:
    clock = ManualClock()
    clock.call_later(1, lambda: fired.append("cancelled")).cancel()
    fired: list[str] = []
    assert clock.advance_to_next(2) is False
    assert fired == []
    assert clock.monotonic() == 2


async def test_a_sleeper_wakes_when_its_time_has_come_and_leaves_no_timer_when_it_is_cancelled() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(1.0))
    other = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert clock.advance_to_next(5) is True
    await sleeper
    assert clock.monotonic() == 1.0
    assert clock.advance_to_next(5) is False


async def test_a_timer_that_fires_as_its_sleeper_ends_otherwise_does_no_harm() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0)
    sleeper.cancel()
    clock.advance_to_next(5)
    await asyncio.gather(sleeper, return_exceptions=True)
    assert sleeper.cancelled()


def test_a_wait_that_is_not_over_takes_time_however_short_it_is() -> None:
    clock = ManualClock()
    waits = 0

    def wait() -> None:
        nonlocal waits
        left = 1e-12 - clock.monotonic()
        waits += 1
        if left > 0:
            clock.call_later(left, wait)

    wait()
    while clock.advance_to_next(1):
        assert waits < 5
    assert waits == 2


@given(st.lists(st.floats(0, 100, allow_nan=False), max_size=20), st.floats(0, 120))
def test_timers_fire_in_the_order_of_their_times_then_of_their_making(delays: list[float], until: float) -> None:
    clock = ManualClock()
    fired: list[tuple[int, int]] = []
    micros = [max(round(delay * 1e6), int(delay > 0)) for delay in delays]
    for number, delay in enumerate(delays):
        clock.call_later(delay, lambda number=number: fired.append((micros[number], number)))  # type: ignore[misc]  # bound now
    while clock.advance_to_next(until):
        assert fired[-1][0] == round(clock.monotonic() * 1e6)
    due = ((when, number) for number, when in enumerate(micros))
    assert fired == sorted(timer for timer in due if timer[0] <= round(until * 1e6))
