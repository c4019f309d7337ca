"""How late the event loop is: what wants to run waits that long for what holds the loop."""

import asyncio

from streamz_actors.clock import Clock

EVERY = 0.25
"""Seconds between two measurements."""

MEMORY = 240
"""Measurements that `worst` looks back at: one minute."""


class LoopLag:
    """Measures between `start` and `stop`, by being late itself. Times are in seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: list[float] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._measure(), name="loop lag")

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    @property
    def last(self) -> float:
        return self._seen[-1] if self._seen else 0.0

    @property
    def worst(self) -> float:
        """Of the last minute."""
        return max(self._seen, default=0.0)

    async def _measure(self) -> None:
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(EVERY)
            self._seen.append(max(0.0, self._clock.monotonic() - before - EVERY))
            del self._seen[:-MEMORY]
