"""Calls to something outside: how many at once, how long each may take, how often they may begin and are repeated."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from streamz_actors.clock import Clock
from streamz_actors.dataflow.policies import Retry
from streamz_actors.errors import TopologyError

BURST: Final = 0.05
"""Seconds whose calls may begin together: a timer for each would cost more than the call."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`timeout` is for each attempt, in seconds if it is a number. `rate` is attempts a second."""

    concurrency: int
    timeout: float | timedelta | None = None
    retry: Retry | None = None
    rate: float | None = None

    def check(self, what: str) -> None:
        """Raises TopologyError for what makes no sense."""
        if self.concurrency < 1:
            raise TopologyError(f"{what}: concurrency={self.concurrency} must be at least 1")
        for name, given in (("timeout", self.seconds), ("rate_limit", self.rate)):
            if given is not None and given <= 0:
                raise TopologyError(f"{what}: {name}={given:g} must be above 0")
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise TopologyError(f"{what}: retry={self.retry!r} must be Retry(...)")

    @property
    def seconds(self) -> float | None:
        """The timeout."""
        return self.timeout.total_seconds() if isinstance(self.timeout, timedelta) else self.timeout


class Pace:
    """`waits` is how many wait for a timer of the framework now."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._rate, self._seconds, self._clock = limits.rate, limits.seconds, clock
        self._next = clock.monotonic()
        """When the next call may begin, were they spread evenly."""
        self.waits = 0

    async def turn(self) -> None:
        """Returns when a call may begin."""
        rate = self._rate
        if rate is None:
            return
        now = self._clock.monotonic()
        at = max(self._next, now)
        self._next = at + 1 / rate
        ahead = at - now
        if ahead > BURST - 1 / rate and ahead > 0:
            await self.sleep(ahead)

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        try:
            await self._clock.sleep(seconds)
        finally:
            self.waits -= 1

    async def timed(self, call: Awaitable[Any]) -> Any:
        """What a call gives. Raises TimeoutError for one that takes too long; it is cancelled, and waited for."""
        seconds = self._seconds
        if seconds is None:
            return await call
        task = asyncio.current_task()
        assert task is not None
        cancelled = task.cancelling()
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = True
            task.cancel()

        timer = self._clock.call_later(seconds, expire)
        try:
            return await call
        except asyncio.CancelledError:
            if expired and task.uncancel() <= cancelled:
                raise TimeoutError(f"no result within {seconds:g} s") from None
            raise
        finally:
            timer.cancel()
