"""Brings the stores of new tasks up to their changelogs, beside the loop, in large batches, with progress.

    1  where the changelogs begin and end. The ends come after the committed offsets, and are those of all that was ever
       written: what a transaction has open there is waited for, and left out if it is aborted
    2  what of a commit that did not end counts, and so where each task begins        (`tasks/survey`)
    3  what is to be replayed, from where to where; a store that the changelog does not continue is cleared
    4  the replay. A table made of a topic is replayed to where its task begins
    5  what was left out is to be written over by the task's next commit; it is entered in the ledger, and runs
"""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from typing import cast

from streamz_actors.clock import Clock
from streamz_actors.errors import OffsetOutOfRange
from streamz_actors.stores.abc import Pair, Store
from streamz_actors.stores.logged import CHUNK, stamped
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.ledger import Ledger
from streamz_actors.tasks.survey import POLL, Bounds, Verdict, bounds_of, changelogs, survey
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import RawBatch, Reader, Transport
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.restore")
PAUSE = 0.005
"""Seconds between two chunks while other tasks work: they then wait some 4 ms for their turn, not 20 to 50."""
REPORT = 5.0
"""Seconds between two lines of progress in the log."""


@dataclass(slots=True)
class Replay:
    """One changelog partition on its way into its store."""

    task: Task
    store: Store
    position: int
    end: int
    left_out: Sequence[range] = ()
    """Offsets that do not count."""

    @property
    def settled(self) -> int:
        """The position that the store may be said to cover: what is left out may be needed again."""
        return min(self.end, self.left_out[0].start) if self.left_out else self.end

    @property
    def remaining(self) -> int:
        return max(0, self.end - self.position)


@dataclass(slots=True)
class Progress:
    """Of everything being restored. Records are counted as offsets, so that gaps of compaction count too."""

    started: float
    total: int = 0
    done: int = 0
    bytes: int = 0
    tables: dict[str, int] = field(default_factory=dict)
    """Records remaining, by changelog partition."""

    def rate(self, now: float) -> float:
        """Records a second since the start."""
        return self.done / max(1e-9, now - self.started)

    def eta(self, now: float) -> float | None:
        """Seconds to go; None while the rate is unknown."""
        rate = self.rate(now)
        return None if not self.done else (self.total - self.done) / rate

    def describe(self, now: float) -> str:
        eta = self.eta(now)
        left = "" if eta is None else f", {eta:.0f} s to go"
        return f"{self.done:,} of {self.total:,} records ({self.bytes / 1e6:.1f} MB), {self.rate(now):,.0f}/s{left}"


class Restorer:
    """Restores one set of tasks at a time; `restored` is called for each as soon as it is up to date.

    `begins` is called before that for one that begins elsewhere than where it is committed, with the positions. `busy`
    says whether other tasks work meanwhile, and are to be left room.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        restored: Callable[[Task], None],
        begins: Callable[[Task, Mapping[TopicPartition, int]], None],
        ledger: Ledger,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._transport, self._clock, self._restored, self._begins = transport, clock, restored, begins
        self._ledger, self._busy = ledger, busy
        self.progress: Progress | None = None

    async def run(
        self,
        tasks: Sequence[Task],
        committed: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str],
        begun: Mapping[TopicPartition, int],
    ) -> None:
        """Restores `tasks` and returns. `committed`, with the `notes` beside it, says what belongs to their state;
        `begun`, where they begin, also in partitions of which nothing is committed.
        """
        # 1, 2
        bounds, verdicts = await self._look(tasks, committed, notes)
        for task, verdict in verdicts.items():
            if any(committed.get(place) != at for place, at in verdict.covered.items()):
                self._begins(task, verdict.covered)
        # 3
        replays = plan(verdicts, bounds)
        finish = partial(self._finish, verdicts, bounds, begun)
        # 4, 5
        progress = self.progress = Progress(
            self._clock.monotonic(), sum(replay.remaining for replay in replays.values())
        )
        waiting = {task.name: task for task in tasks}
        self._release(waiting, replays, finish)
        if replays:
            if progress.total:
                logger.info("restoring %d tables: %s", len(replays), progress.describe(progress.started))
            await self._replay(waiting, replays, progress, finish)
            if progress.total:
                logger.info("restored: %s", progress.describe(self._clock.monotonic()))
        self.progress = None

    async def _look(
        self, tasks: Sequence[Task], committed: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]
    ) -> tuple[dict[TopicPartition, Bounds], dict[Task, Verdict]]:
        places = [place for task in tasks for place in changelogs(task, sources=True)]
        bounds = await bounds_of(self._transport.admin, places)
        while True:
            reader = self._transport.reader(read_committed=True)
            try:
                return bounds, await survey(reader, tasks, committed, notes, bounds)
            except OffsetOutOfRange:  # the log moved on while we read
                bounds = await bounds_of(self._transport.admin, places)

    def _finish(
        self,
        verdicts: Mapping[Task, Verdict],
        bounds: Mapping[TopicPartition, Bounds],
        begun: Mapping[TopicPartition, int],
        task: Task,
    ) -> None:
        verdict = verdicts[task]
        for state in task.own.values():
            if state.spec.changelog is not None and not state.spec.source:
                state.logged.rewrite(verdict.keys.get(state.spec.changelog.name, {}))
        ends = {place.topic: bounds[place].end for place in changelogs(task)}
        covered = {place: begun[place] for place in task.partitions} | verdict.covered
        self._ledger.enter(task, covered, ends, noted=verdict.noted)
        self._restored(task)

    def _release(
        self, waiting: dict[str, Task], replays: Mapping[TopicPartition, Replay], finish: Callable[[Task], None]
    ) -> None:
        busy = {replay.task.name for replay in replays.values()}
        for name in [name for name in waiting if name not in busy]:
            finish(waiting.pop(name))

    async def _replay(
        self,
        waiting: dict[str, Task],
        replays: dict[TopicPartition, Replay],
        progress: Progress,
        finish: Callable[[Task], None],
    ) -> None:
        reader = self._transport.reader(read_committed=True)
        await reader.start()
        reported = self._clock.monotonic()
        try:
            reader.assign({place: replay.position for place, replay in replays.items()})
            while replays:
                await self._turn(reader, replays, progress)
                self._release(waiting, replays, finish)
                now = self._clock.monotonic()
                if now - reported >= REPORT:
                    logger.info("restoring: %s", progress.describe(now))
                    reported = now
        finally:
            await reader.stop()

    async def _turn(self, reader: Reader, replays: dict[TopicPartition, Replay], progress: Progress) -> None:
        try:
            batches = await reader.poll(POLL)
        except OffsetOutOfRange as error:
            await self._start_over(reader, replays, error)
            return
        for raw in batches:
            replay = replays.get(TopicPartition(raw.topic, raw.partition))
            if replay is not None:
                await self._apply(replay, raw)
                progress.bytes += sum(map(len, filter(None, raw.values)))
        for place, replay in list(replays.items()):
            position = reader.position(place)
            progress.done += max(0, min(position, replay.end) - replay.position)
            replay.position = position
            progress.tables[str(place)] = replay.remaining
            if position >= replay.end:
                replay.store.write((), replay.settled)
                del replays[place]
                progress.tables.pop(str(place))

    async def _apply(self, replay: Replay, raw: RawBatch) -> None:
        settled = replay.settled
        if not replay.left_out or raw.next_offset <= settled:
            await apply(replay.store, raw, replay.end, self._pause)
            return
        await apply(replay.store, raw, settled, self._pause)
        counts = [settled <= at < replay.end and not any(at in part for part in replay.left_out) for at in raw.offsets]
        keys, values = list(compress(raw.keys, counts)), list(compress(raw.values, counts))
        timestamps = list(compress(raw.timestamps, counts))
        for start in range(0, len(keys), CHUNK):
            rows = slice(start, start + CHUNK)
            replay.store.write(_pairs(keys[rows], values[rows], timestamps[rows]))
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(PAUSE if self._busy() else 0)  # of the process, not of the application: no clock's affair

    async def _start_over(self, reader: Reader, replays: dict[TopicPartition, Replay], error: OffsetOutOfRange) -> None:
        """The log moved on while we read: what it no longer holds is read from its new beginning."""
        beginnings = await self._transport.admin.beginning_offsets(list(replays))
        logger.warning("%s; restoring from the beginning", error)
        for place, replay in replays.items():
            if replay.position < beginnings[place]:
                replay.store.clear()
                replay.position = beginnings[place]
        reader.assign({place: replay.position for place, replay in replays.items()})


def plan(verdicts: Mapping[Task, Verdict], bounds: Mapping[TopicPartition, Bounds]) -> dict[TopicPartition, Replay]:
    """What is to be replayed, from where to where. A store that the changelog does not continue is cleared."""
    replays = {}
    for task, verdict in verdicts.items():
        for state in task.own.values():
            if state.spec.changelog is None:
                continue
            place = TopicPartition(state.spec.changelog.name, task.partition)
            replay = _replay(task, state, place, verdict, bounds[place])
            if replay.position < replay.end:
                replays[place] = replay
    return replays


def _replay(task: Task, state: State, place: TopicPartition, verdict: Verdict, bounds: Bounds) -> Replay:
    begin, end = bounds
    store = state.logged.store
    if state.spec.source:
        end = min(end, verdict.covered.get(place, begin))
    replay = Replay(task, store, begin, end, verdict.left_out.get(place.topic, ()))
    start = store.offset
    if start is None:
        return replay
    if begin <= start <= max(replay.settled, begin):
        replay.position = start
        return replay
    logger.warning(
        "the local state of %s ends at changelog offset %d, but what counts of the log is %d to %d: it is rebuilt",
        place,
        start,
        begin,
        replay.settled,
    )
    store.clear()
    return replay


async def _turn_of_the_loop() -> None:
    await asyncio.sleep(0)


async def apply(
    store: Store,
    raw: RawBatch,
    end: int | None = None,
    pause: Callable[[], Awaitable[None]] = _turn_of_the_loop,
) -> None:
    """Writes a run of changelog records into a store, those below `end`, with a pause after each chunk."""
    size = len(raw) if end is None else bisect_left(raw.offsets, end)
    for start in range(0, size, CHUNK):
        stop = min(size, start + CHUNK)
        covered = raw.next_offset if stop == len(raw) else raw.offsets[stop]
        rows = slice(start, stop)
        store.write(_pairs(raw.keys[rows], raw.values[rows], raw.timestamps[rows]), covered)
        await pause()


def _pairs(
    keys: Sequence[bytes | None], values: Sequence[bytes | None], timestamps: Sequence[int]
) -> Iterable[Pair]:
    """What is to be written: of a key that comes more than once, the last; of a record without a key, nothing."""
    latest = dict(zip(keys, stamped(timestamps, values), strict=True))
    latest.pop(None, None)
    return cast("Iterable[Pair]", latest.items())
