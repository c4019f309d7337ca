"""All time comes from here: the system's clock, or one that moves only when it is told to."""

import asyncio
import heapq
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Something that will be called later, unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(ABC):
    @abstractmethod
    def now(self) -> int:
        """Wall-clock time, integer milliseconds since the epoch."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    @abstractmethod
    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Calls `callback` once, in the running loop, after `seconds`."""

    async def sleep(self, seconds: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()


class SystemClock(Clock):
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


class ManualTimer:
    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock(Clock):
    """Stands still until `advance_to_next` moves it to a due timer; starts at `start` ms."""

    def __init__(self, start: int = 0) -> None:
        self._micros = start * 1000
        self._timers: list[tuple[int, int, ManualTimer]] = []
        self._order = itertools.count()

    def now(self) -> int:
        return self._micros // 1000

    def monotonic(self) -> float:
        return self._micros / 1_000_000

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """What is left of a wait by an error of rounding still takes a microsecond: no time at all would never end."""
        timer = ManualTimer(callback)
        micros = max(round(seconds * 1_000_000), 1 if seconds > 0 else 0)
        heapq.heappush(self._timers, (self._micros + micros, next(self._order), timer))
        return timer

    def advance_to_next(self, until: float) -> bool:
        """Moves to the next timer due by `until` (a `monotonic()` time) and fires it; else moves to `until`: False."""
        limit = round(until * 1_000_000)
        while self._timers and self._timers[0][0] <= limit:
            due, _, timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            self._micros = max(self._micros, due)
            timer.callback()
            return True
        self._micros = max(self._micros, limit)
        return False
