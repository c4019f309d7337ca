"""How tasks come to rest before the last commit: what actors have got is worked off, then what is in hand.

Nothing is stepped any more but changes of tables, which still flow to those who follow them. A task in which something
is left behind its state when the time is up is not committed: what it has done since its last commit comes again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from streamz_actors.clock import Clock
from streamz_actors.errors import StreamzError
from streamz_actors.tasks.task import Task

logger = logging.getLogger("streamz_actors.worker")

DRAIN = 10.0
"""Seconds in all; what is not done by then is left to the next start."""
LOOK = 0.05
"""Seconds between two looks."""


async def come_to_rest(
    tasks: Sequence[Task], clock: Clock, wakeup: asyncio.Event, failed: Callable[[BaseException], None]
) -> None:
    """Returns when no actor of `tasks` has anything in hand, or the time is up. `wakeup` is set when one has moved."""
    deadline = clock.monotonic() + DRAIN
    for task in tasks:
        task.buffer.clear()
        task.barrier.hold()

    def worked_off(task: Task) -> bool:
        stuck = task.failure is not None  # what has failed is left, whatever waits for it
        return task.spoilt or (task.idle and (stuck or task.barrier.clear))

    await _until(lambda: all(map(worked_off, tasks)), tasks, clock, wakeup, failed, deadline)
    for task in tasks:
        task.drain()
    await _until(lambda: all(task.drained or task.spoilt for task in tasks), tasks, clock, wakeup, failed, deadline)
    for task in tasks:
        if not task.spoilt and not task.drained:
            _tell(task)
    left = [task.name for task in tasks if not task.spoilt and not task.barrier.clear]
    if left:
        logger.warning("not done in time: what tasks %s did since their last commit comes again", ", ".join(left))


def _tell(task: Task) -> None:
    for agent, leg in task.agents.items():
        for (topic, partition), offset in leg.in_hand():
            where = f"topic {topic!r}, partition {partition}, offset {offset}"
            logger.warning("agent %r was not done with %s within %g s: it comes again", agent, where, DRAIN)


async def _until(
    done: Callable[[], bool],
    tasks: Sequence[Task],
    clock: Clock,
    wakeup: asyncio.Event,
    failed: Callable[[BaseException], None],
    deadline: float,
) -> None:
    while not done() and clock.monotonic() < deadline:
        wakeup.clear()
        followed = [_follow(task, failed) for task in tasks]
        if any(followed):
            continue
        timer = clock.call_later(LOOK, wakeup.set)
        await wakeup.wait()
        timer.cancel()


def _follow(task: Task, failed: Callable[[BaseException], None]) -> bool:
    try:
        return not task.broken and task.step()
    except StreamzError as error:
        failed(error)
        return False
