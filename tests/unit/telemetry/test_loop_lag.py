"""The lag is what a clock says beyond the interval; what the system says of the process is plausible."""

import asyncio
from collections.abc import Callable

from streamz_actors.clock import ManualClock, Timer
from streamz_actors.telemetry.loop_lag import EVERY, LoopLag
from streamz_actors.telemetry.process import cpu_seconds, resident_bytes


class LateClock(ManualClock):
    """Fires every timer `late` seconds after its time."""

    late = 0.0

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return super().call_later(seconds + self.late, callback)


async def turns(clock: ManualClock, seconds: float) -> None:
    until = clock.monotonic() + seconds
    await asyncio.sleep(0)
    while clock.advance_to_next(until):
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_a_loop_in_time_has_no_lag() -> None:
    clock = ManualClock()
    lag = LoopLag(clock)
    assert (lag.last, lag.worst) == (0.0, 0.0)
    lag.start()
    await turns(clock, 10 * EVERY)
    assert (lag.last, lag.worst) == (0.0, 0.0)
    await lag.stop()


async def test_the_worst_lag_is_remembered_for_a_minute() -> None:
    clock = LateClock()
    lag = LoopLag(clock)
    clock.late = 2.0
    lag.start()
    await turns(clock, EVERY + 2.0)
    assert lag.last == 2.0
    clock.late = 0.0
    await turns(clock, 10.0)
    assert (lag.last, lag.worst) == (0.0, 2.0)
    await turns(clock, 60.0)
    assert lag.worst == 0.0
    await lag.stop()
    await lag.stop()


def test_the_process_has_used_time_and_memory() -> None:
    assert cpu_seconds() > 0
    held = resident_bytes()
    assert held is None or held > 1_000_000
