"""Brings the stores of new tasks up to their changelogs, beside the loop, in large batches, with progress."""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from streamz_actors.clock import Clock
from streamz_actors.errors import OffsetOutOfRange
from streamz_actors.stores.abc import Pair, Store
from streamz_actors.stores.logged import CHUNK, stamped
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import Admin, RawBatch, Reader, Transport
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.restore")
POLL = 0.2
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

    `busy` says whether other tasks work meanwhile, and are to be left room.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        restored: Callable[[Task], None],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._transport, self._clock, self._restored, self._busy = transport, clock, restored, busy
        self.progress: Progress | None = None

    async def run(self, tasks: Sequence[Task], committed: Mapping[TopicPartition, int]) -> None:
        """Restores `tasks` and returns. `committed` says how far a table's own input topic is to be replayed."""
        replays = await plan(self._transport.admin, tasks, committed)
        progress = self.progress = Progress(
            self._clock.monotonic(), sum(replay.remaining for replay in replays.values())
        )
        waiting = {task.name: task for task in tasks}
        self._release(waiting, replays)
        if replays:
            if progress.total:
                logger.info("restoring %d tables: %s", len(replays), progress.describe(progress.started))
            await self._replay(waiting, replays, progress)
            if progress.total:
                logger.info("restored: %s", progress.describe(self._clock.monotonic()))
        self.progress = None

    def _release(self, waiting: dict[str, Task], replays: Mapping[TopicPartition, Replay]) -> None:
        busy = {replay.task.name for replay in replays.values()}
        for name in [name for name in waiting if name not in busy]:
            self._restored(waiting.pop(name))

    async def _replay(
        self, waiting: dict[str, Task], replays: dict[TopicPartition, Replay], progress: Progress
    ) -> None:
        reader = self._transport.reader()
        await reader.start()
        reported = self._clock.monotonic()
        try:
            reader.assign({place: replay.position for place, replay in replays.items()})
            while replays:
                await self._turn(reader, replays, progress)
                self._release(waiting, replays)
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
                await apply(replay.store, raw, replay.end, self._pause)
                progress.bytes += sum(map(len, filter(None, raw.values)))
        for place, replay in list(replays.items()):
            position = reader.position(place)
            progress.done += max(0, min(position, replay.end) - replay.position)
            replay.position = position
            progress.tables[str(place)] = replay.remaining
            if position >= replay.end:
                replay.store.write((), replay.end)
                del replays[place]
                progress.tables.pop(str(place))

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


async def plan(
    admin: Admin, tasks: Sequence[Task], committed: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Replay]:
    """What is to be replayed, from where to where. A store that the changelog does not continue is cleared."""
    stores: dict[TopicPartition, tuple[Task, Store, bool]] = {}
    for task in tasks:
        for state in task.own.values():
            if state.spec.changelog is not None:
                place = TopicPartition(state.spec.changelog.name, task.partition)
                stores[place] = (task, state.logged.store, state.spec.source)
    if not stores:
        return {}
    beginnings = await admin.beginning_offsets(list(stores))
    ends = await admin.end_offsets(list(stores))
    replays = {}
    for place, (task, store, source) in stores.items():
        begin, end = beginnings[place], ends[place]
        if source:
            end = min(end, committed.get(place, begin))
        start = store.offset
        if start is not None and not begin <= start <= max(end, begin):
            logger.warning(
                "the local state of %s ends at changelog offset %d, but the log holds %d to %d: it is rebuilt",
                place,
                start,
                begin,
                end,
            )
            store.clear()
            start = None
        position = begin if start is None else start
        if position < end:
            replays[place] = Replay(task, store, position, end)
    return replays


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
        store.write(_rows(raw, slice(start, stop)), covered)
        await pause()


def _rows(raw: RawBatch, rows: slice) -> Iterable[Pair]:
    """What is to be written: of a key that comes more than once, the last; of a record without a key, nothing."""
    values = stamped(raw.timestamps[rows], raw.values[rows])
    latest = dict(zip(raw.keys[rows], values, strict=True))
    latest.pop(None, None)
    return cast("Iterable[Pair]", latest.items())
