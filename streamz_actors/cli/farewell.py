"""What is done in the group's name for a process that died: it is taken out of the group, and its producer is fenced.

So the others have its tasks with their next heartbeat, where else they would wait for its session to time out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from streamz_actors.cli.control import Place
from streamz_actors.errors import TransportError
from streamz_actors.transport.abc import Transport

logger = logging.getLogger("streamz_actors.cli")

PATIENCE: Final = 5.0
"""Seconds for all of it: its next life waits meanwhile, so that nothing done here meets that one."""


class Farewell:
    """`connect` makes a transport, which lives no longer than a farewell takes."""

    def __init__(self, connect: Callable[[], Transport]) -> None:
        self._connect = connect

    async def __call__(self, number: int, place: Place) -> None:
        """Never raises: what fails is logged, and then the session times out."""
        try:
            async with asyncio.timeout(PATIENCE), self._connect() as transport:
                await asyncio.gather(*(_tried(number, what, step) for what, step in _steps(transport, place)))
        except TimeoutError:
            logger.warning("process %d: its group is not told within %g s; it finds out by itself", number, PATIENCE)
        except TransportError as error:
            logger.warning("process %d: its group cannot be told: %s; it finds out by itself", number, error)


def _steps(transport: Transport, place: Place) -> list[tuple[str, Awaitable[None]]]:
    leave = transport.admin.remove_member(place.group, place.member, place.instance)
    steps: list[tuple[str, Awaitable[None]]] = [(f"leaving group {place.group!r} for it", leave)]
    if place.transactional is not None:
        steps.append((f"fencing its producer {place.transactional!r}", transport.fence(place.transactional)))
    return steps


async def _tried(number: int, what: str, step: Awaitable[None]) -> None:
    """One that fails does not keep the other from being done."""
    try:
        await step
    except TransportError as error:
        logger.warning("process %d: %s failed: %s", number, what, error)
    else:
        logger.info("process %d: %s: done", number, what)
