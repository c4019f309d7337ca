"""A start while no broker answers: it is tried again, until one does or the worker is stopped.

A worker that is started again in an outage, which its state on this machine shows, rides it out like one that was
running. What waiting does not mend (a password that is refused, a certificate that is not trusted, a topic that is
not as declared) fails at once.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from streamz_actors.clock import Clock
from streamz_actors.errors import BrokerUnavailable, TransportError

logger = logging.getLogger("streamz_actors.worker")

FIRST: Final = 0.5
LONGEST: Final = 5.0
"""Seconds between two tries: at first, and at most."""

Step = Callable[[], Coroutine[Any, Any, None]]
"""May be called again after it has raised BrokerUnavailable."""


class Reaching:
    """Of one worker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopped = asyncio.Event()
        self.patient = True
        """Whether anything is tried again."""
        self.trouble = ""
        """Why the start does not get on; "" if nothing is known to be in its way."""

    def stop(self) -> None:
        """Nothing is tried any more."""
        self._stopped.set()

    async def through(self, *steps: Step) -> bool:
        """Takes the steps one after the other. False if it was stopped before the last was done.

        Raises what they do, but BrokerUnavailable only if it is not patient.
        """
        for step in steps:
            if not await self._done(step):
                return False
        return True

    async def _done(self, step: Step) -> bool:
        pause = FIRST
        while not self._stopped.is_set():
            try:
                done = await self._unless_stopped(step())
            except BrokerUnavailable as error:
                if not self.patient:
                    raise
                self.trouble = str(error)
                logger.warning("%s; it is tried again in %g s", error, pause)
            else:
                self.trouble = ""
                return done
            await self._unless_stopped(self._clock.sleep(pause))
            pause = min(2 * pause, LONGEST)
        return False

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it came to its end."""
        task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
            return False
        finally:
            stopped.cancel()
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, TransportError):
                    await task
