"""The commit, in numbered steps. Offsets move only here, and only after everything that they caused is delivered.

    1  let changes of tables reach those who follow them; a task stands between two steps   (the caller: `Task.follow`)
    2  hand on what finished events have yielded; take the committable offsets, then the overlays: what is written from
       now on belongs to the next commit. 1 and 2 are one turn of the loop; then tasks go on
    3  wait for every send that is outstanding now, and check each one
    4  before a task's first: commit where it began, with a note of where its changelogs ended there. Then
       send the overlays to the changelogs, marked with the offsets that they cover; wait for them, and check each one
    5  commit the offsets, with a note of where the changelogs end now
    6  apply the overlays to the stores, in chunks with the changelog position that each covers

A crash after 2 or 3 loses nothing: changelogs and offsets are those of the last commit, and what was sent since comes
again. In 4, the changelogs hold a part of a flush: a restart takes it back, for the note says where it begins and the
mark that it is not whole. After 4 the flush is whole, and what it covers is sent: a restart takes it for committed.
After 5 the stores are behind the changelog, and a restart replays it from the stored position. So a store never holds
what its changelog lacks, and no record is counted in it twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamz_actors.errors import ProduceError
from streamz_actors.stores.logged import CHUNK
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.coverage import Coverage, headers
from streamz_actors.tasks.ledger import Ledger
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import Delivery
from streamz_actors.types import Headers, TopicPartition

CommitOffsets = Callable[[Mapping[TopicPartition, int], Mapping[TopicPartition, str]], Awaitable[None]]
"""Commits positions; some have a note, to be kept with them."""


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
    deliveries: "list[list[asyncio.Future[Delivery]]]"
    """By chunk of `CHUNK` keys."""
    covered: int | None = None
    """The position to store where nothing is sent: the table's input is its changelog."""


async def commit(
    tasks: Sequence[Task],
    collector: RecordCollector,
    committed: Mapping[TopicPartition, int],
    commit_offsets: CommitOffsets,
    ledger: Ledger,
    watch: Watcher = unwatched,
) -> dict[TopicPartition, int]:
    """Commits all tasks together and returns the positions that are committed now.

    Raises ProduceError (steps 3 and 4) and CommitError (4 and 5); the tasks' uncommitted state must then be dropped.
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
    flushes = {task: taken for task in tasks if (taken := begin(task, offsets))}
    watch("taken")
    if not moved and not flushes and collector.idle:
        return dict(committed)
    # 3
    await collector.drain()
    watch("delivered")
    # 4
    committed = {**committed, **await _note_first(flushes, committed, commit_offsets, ledger)}
    for task, taken in flushes.items():
        _send_marked(task, taken, offsets, collector, ledger)
    await check([flush for taken in flushes.values() for flush in taken])
    for task, taken in flushes.items():
        _enter(task, taken, ledger)
    watch("sent")
    # 5
    now = {**committed, **moved}
    notes = {task: note for task in tasks if (note := ledger.note(task, now)) is not None}
    noted = _noted(notes, flushes, moved, now)
    if moved or noted:
        await commit_offsets({**{place: now[place] for place in noted}, **moved}, noted)
    for task in notes:
        at = {place: now[place] for place in task.partitions if place in now}
        ledger.committed(task, at, noted=bool(noted.keys() & task.partitions))
    watch("committed")
    # 6
    for taken in flushes.values():
        for flush in taken:
            await apply(flush)
    watch("applied")
    return now


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


def send(flush: Flush, collector: RecordCollector, coverage: Coverage | None = None) -> None:
    """Hands a table's changes to its changelog, the first and the last with what they cover, if that is given."""
    if flush.changelog is None:
        return
    total = len(flush.keys)
    for start in range(0, total, CHUNK):
        stop = min(start + CHUNK, total)
        if coverage is None:
            flush.deliveries.append([_log(flush, collector, start, stop, ())])
            continue
        opens, closes = headers(coverage)
        first, last = start == 0, stop == total
        if total == 1:
            flush.deliveries.append([_log(flush, collector, 0, 1, opens + closes)])
            continue
        # Marked records go by themselves: records beside one with headers take longer.
        parts = [(start, start + 1, opens)] if first else []
        parts.append((start + first, stop - last, ()))
        parts += [(stop - 1, stop, closes)] if last else []
        flush.deliveries.append([_log(flush, collector, *part) for part in parts if part[0] < part[1]])


def _log(
    flush: Flush, collector: RecordCollector, start: int, stop: int, told: Headers
) -> "asyncio.Future[Delivery]":
    assert flush.changelog is not None
    rows = slice(start, stop)
    columns = flush.keys[rows], flush.values[rows], flush.timestamps[rows]
    return collector.log(flush.changelog, *columns, [told] * (stop - start) if told else None)


async def _note_first(
    flushes: Iterable[Task],
    committed: Mapping[TopicPartition, int],
    commit_offsets: CommitOffsets,
    ledger: Ledger,
) -> dict[TopicPartition, int]:
    """Commits where tasks began of whose changelogs no note says where they ended there: at their first flush."""
    offsets: dict[TopicPartition, int] = {}
    notes: dict[TopicPartition, str] = {}
    for task in flushes:
        began = ledger.unnoted(task, committed)
        offsets |= began
        notes |= dict.fromkeys(began, ledger.note(task, {**committed, **began}) or "")
    if offsets:
        await commit_offsets(offsets, notes)
    return offsets


def _send_marked(
    task: Task,
    flushes: Sequence[Flush],
    offsets: Mapping[TopicPartition, int],
    collector: RecordCollector,
    ledger: Ledger,
) -> None:
    """Hands what a task writes in one commit to its changelogs, as one flush that covers these offsets."""
    rows = {flush.changelog.topic: len(flush.keys) for flush in flushes if flush.changelog is not None}
    covered = {place: offsets[place] for place in task.partitions if place in offsets}
    marks = ledger.mark(task, rows, covered)
    for flush in flushes:
        send(flush, collector, None if flush.changelog is None else marks.get(flush.changelog.topic))


async def check(flushes: Sequence[Flush]) -> None:
    """Waits for every changelog record and raises the first failure, once none is under way any longer."""
    results = await asyncio.gather(
        *(future for flush in flushes for chunk in flush.deliveries for future in chunk), return_exceptions=True
    )
    for result in results:
        if isinstance(result, ProduceError):
            raise result
        if isinstance(result, BaseException):
            raise ProduceError(f"a changelog record was not delivered: {result}") from result


def _enter(task: Task, flushes: Sequence[Flush], ledger: Ledger) -> None:
    for flush in flushes:
        if flush.changelog is not None:
            arrived = [future.result() for chunk in flush.deliveries for future in chunk]
            ledger.delivered(task, flush.changelog.topic, arrived)


def _noted(
    notes: Mapping[Task, str],
    flushed: Container[Task],
    moved: Container[TopicPartition],
    now: Mapping[TopicPartition, int],
) -> dict[TopicPartition, str]:
    """The note of each task, at those of its partitions that are to be committed: where none has moved, at one."""
    noted: dict[TopicPartition, str] = {}
    for task, note in notes.items():
        known = sorted(place for place in task.partitions if place in now)
        places = [place for place in known if place in moved] or (known[:1] if task in flushed else [])
        noted |= dict.fromkeys(places, note)
    return noted


async def apply(flush: Flush) -> None:
    """Writes the store in the changelog's order, giving the loop a turn between chunks."""
    logged = flush.state.logged
    for number, start in enumerate(range(0, len(flush.keys), CHUNK)):
        rows = slice(start, start + CHUNK)
        last = start + CHUNK >= len(flush.keys)
        covered = (
            flush.deliveries[number][-1].result().next_offset
            if flush.deliveries
            else (flush.covered if last else None)
        )
        logged.apply(flush.keys[rows], flush.values[rows], flush.timestamps[rows], covered)
        await asyncio.sleep(0)
    logged.end_flush()
