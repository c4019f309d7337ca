"""How a worker ends: what actors have got is worked off, then what is in hand, then all is committed; in bounded time.

Nothing is stepped any more but changes of tables, which still flow to those who follow them. A task in which something
is left behind its state when the time is up is not committed: what it has done since its last commit comes again.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, Final

from streamz_actors.clock import Clock
from streamz_actors.errors import CommitError, StreamzError
from streamz_actors.tasks.task import Task
from streamz_actors.types import TopicPartition
from streamz_actors.worker.assigned import AssignedTasks
from streamz_actors.worker.committing import Committing

logger = logging.getLogger("streamz_actors.worker")

DRAIN: Final = 10.0
"""Seconds in all for what is in hand; what is not done by then is left to the next start."""
LAST: Final = 10.0
"""Seconds for the last commit: as long as the broker has to answer any other. Waiting longer loses nothing less."""
LOOK: Final = 0.05
"""Seconds between two looks."""
NAMED: Final = 10
"""Partitions that are named at the most."""


async def end(
    assigned: AssignedTasks,
    committing: Committing,
    clock: Clock,
    wakeup: asyncio.Event,
    failed: Callable[[BaseException], None],
) -> CommitError | None:
    """Lets the tasks come to rest, and commits; what is wrong if not everything that they have done is committed.

    `wakeup` is set when a task has moved.
    """
    deadline = clock.monotonic() + DRAIN
    in_time = await within(DRAIN, committing.pause(), clock)
    if in_time:
        tasks = [task for task in assigned.running() if not task.spoilt and not task.frozen]
        await come_to_rest(tasks, clock, wakeup, failed, deadline)
        in_time = await within(LAST, committing.hand_over(), clock)
    undone = assigned.undone()
    if undone or (not in_time and any(task.dirty for task in assigned.running())):
        late = f"the last commit did not end within {LAST:g} s{committing.awaited}"
        error = CommitError(_told(undone, "the log says why" if in_time else late))
        logger.log(logging.INFO if in_time else logging.WARNING, "%s", error)  # else it has been warned of already
        return error
    return None


async def within(seconds: float, work: Coroutine[Any, Any, None], clock: Clock) -> bool:
    """Whether it ended in time; else it is cancelled."""
    running = asyncio.create_task(work)
    timer = clock.call_later(seconds, lambda: _cancel(running))
    try:
        await asyncio.wait((running,))
    finally:
        timer.cancel()
        if not running.done():  # its caller is cancelled
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    if running.cancelled():
        return False
    running.result()
    return True


def _cancel(running: "asyncio.Task[None]") -> None:
    running.cancel()


def _told(undone: Mapping[TopicPartition, int], why: str) -> str:
    if not undone:
        return f"stopped, but what was written to tables since the last commit is not committed: {why}"
    named = [
        f"topic {topic!r}, " + ", ".join(f"partition {place.partition}: {undone[place]}" for place in places)
        for topic, places in groupby(islice(sorted(undone), NAMED), key=lambda place: place.topic)
    ]
    if len(undone) > NAMED:
        named.append(f"and {len(undone) - NAMED} partitions more")
    count = sum(undone.values())
    what = "record is not committed and comes" if count == 1 else "records are not committed and come"
    return f"stopped, but {count} {what} again ({'; '.join(named)}): {why}"


async def come_to_rest(
    tasks: Sequence[Task],
    clock: Clock,
    wakeup: asyncio.Event,
    failed: Callable[[BaseException], None],
    deadline: float,
) -> None:
    """Returns when no actor of `tasks` has anything in hand, or the time is up. `wakeup` is set when one has moved."""
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
