"""The commit, in numbered steps. Offsets move only here, and only after everything that they caused is delivered.

    1  let changes of tables reach those who follow them; a task stands between two steps   (the caller: `Task.follow`)
    2  hand on what finished events have yielded; take the committable offsets, then the overlays: what is written from
       now on belongs to the next commit. 1 and 2 are one turn of the loop; then tasks go on
    3  send the overlays to the changelogs; wait for every send that is outstanding now, and check each one
    4  commit the offsets
    5  apply the overlays to the stores, in chunks with the changelog position that each covers

A crash after 2 loses nothing: the changelog and the offsets are those of the last commit, and what was sent since comes
again. After 3 the changelog is ahead of the offsets: records are handled twice, never not at all. After 4 the stores
are behind the changelog: restart replays it from the stored position. So a store never holds what its changelog lacks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamz_actors.errors import ProduceError
from streamz_actors.stores.logged import CHUNK
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import Delivery
from streamz_actors.types import TopicPartition

CommitOffsets = Callable[[Mapping[TopicPartition, int]], Awaitable[None]]


class Watcher(Protocol):
    """Told after each step of a commit; a test may crash there."""

    def __call__(self, step: str) -> None: ...


def unwatched(step: str) -> None:
    """Nobody looks."""


@dataclass(slots=True)
class Flush:
    """What one table writes in this commit."""

    state: State
    changelog: TopicPartition | None
    keys: list[bytes]
    values: list[bytes | None]
    timestamps: list[int]
    deliveries: "list[asyncio.Future[Delivery]]"
    covered: int | None = None
    """The position to store where nothing is sent: the table's input is its changelog."""


async def commit(
    tasks: Sequence[Task],
    collector: RecordCollector,
    committed: Mapping[TopicPartition, int],
    commit_offsets: CommitOffsets,
    watch: Watcher = unwatched,
) -> dict[TopicPartition, int]:
    """Commits all tasks together and returns the positions that are committed now.

    Raises ProduceError (step 3) and CommitError (step 4); the tasks' uncommitted state must then be dropped.
    """
    # 1: the caller has seen to it in this turn of the loop.
    watch("stopped")
    # 2
    for task in tasks:
        task.flush()
    offsets: dict[TopicPartition, int] = {}
    for task in tasks:
        offsets |= task.committable()
    moved = {place: offset for place, offset in offsets.items() if committed.get(place) != offset}
    flushes = [flush for task in tasks for flush in begin(task, offsets)]
    watch("taken")
    if not moved and not flushes and collector.idle:
        return dict(committed)
    # 3
    for flush in flushes:
        send(flush, collector)
    await collector.drain()
    await check(flushes)
    watch("sent")
    # 4
    if moved:
        await commit_offsets(moved)
    watch("committed")
    # 5
    for flush in flushes:
        await apply(flush)
    watch("applied")
    return {**committed, **moved}


def begin(task: Task, offsets: Mapping[TopicPartition, int]) -> list[Flush]:
    """Takes the overlays of a task's tables."""
    flushes = []
    for state in task.own.values():
        if not state.logged.dirty:
            continue
        keys, values, timestamps = state.logged.begin_flush()
        flush = Flush(state, None, keys, values, timestamps, [])
        spec = state.spec
        if spec.changelog is not None:
            place = TopicPartition(spec.changelog.name, state.partition)
            if spec.source:
                flush.covered = offsets.get(place)
            else:
                flush.changelog = place
        flushes.append(flush)
    return flushes


def send(flush: Flush, collector: RecordCollector) -> None:
    """Hands a table's changes to its changelog."""
    if flush.changelog is None:
        return
    for start in range(0, len(flush.keys), CHUNK):
        rows = slice(start, start + CHUNK)
        flush.deliveries.append(
            collector.log(flush.changelog, flush.keys[rows], flush.values[rows], flush.timestamps[rows])
        )


async def check(flushes: Sequence[Flush]) -> None:
    """Waits for every changelog record and raises the first failure, once none is under way any longer."""
    results = await asyncio.gather(
        *(future for flush in flushes for future in flush.deliveries), return_exceptions=True
    )
    for result in results:
        if isinstance(result, ProduceError):
            raise result
        if isinstance(result, BaseException):
            raise ProduceError(f"a changelog record was not delivered: {result}") from result


async def apply(flush: Flush) -> None:
    """Writes the store in the changelog's order, giving the loop a turn between chunks."""
    logged = flush.state.logged
    for number, start in enumerate(range(0, len(flush.keys), CHUNK)):
        rows = slice(start, start + CHUNK)
        last = start + CHUNK >= len(flush.keys)
        covered = (
            flush.deliveries[number].result().next_offset if flush.deliveries else (flush.covered if last else None)
        )
        logged.apply(flush.keys[rows], flush.values[rows], flush.timestamps[rows], covered)
        await asyncio.sleep(0)
    logged.end_flush()
