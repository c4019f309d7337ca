"""A standby: a copy of a task's stores that follows their changelogs, and can become the task's own at any moment.

It writes only what its task does not take back. What it has read and may not write yet waits in memory:

    exactly-once        nothing waits: the reader gives it only committed records
    at-least-once       it writes up to where the changelogs ended for the commit that stands, as the note says that is
                        kept with the offsets (`tasks/coverage`); a log without notes, of an older release, as it comes
    a table of a topic  it writes up to what the group has committed: what is behind comes to the task as records

So whoever takes over the stores restores what is missing from their offsets, as after any restart.
"""

import logging
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.stores.abc import Shelf, Store
from streamz_actors.stores.logged import FIRST, MOMENT, unstamp
from streamz_actors.stores.segments import SHORTEST, START
from streamz_actors.tasks.coverage import read_note
from streamz_actors.tasks.restore import apply
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.restore")

WAITING: Final = 100_000
"""Records of one changelog partition that wait at the most; what is more is read again when it may be written."""

KEPT: Final = 5
"""Retentions after which a copy forgets: its task has erased by then what begins so long ago, however wide the stretch
of time is that lies under one key (`stores/bundles`: four retentions at the most).
"""

Pause = Callable[[], Awaitable[None]]


class Copy:
    """One table of a standby: a changelog partition on its way into a store."""

    def __init__(self, spec: StoreSpec, store: Store, place: TopicPartition) -> None:
        self.spec, self.store, self.place = spec, store, place
        self.position = 0
        """Read up to here; the store may be behind."""
        self.end = 0
        """Where it is to come, as it was last heard."""
        self.limit: int | None = 0
        """What is at or behind this may not be written yet; None: everything may."""
        self.rests = False
        """More waited than there is room for: nothing is read until the limit has moved beyond `position`."""
        self._waiting: list[RawBatch] = []
        self._erased = FIRST

    def begin(self, begin: int, end: int) -> None:
        """Reads on from where the store ends; one that the log does not continue is emptied. `end`: of the log."""
        start = self.store.offset
        if start is not None and not begin <= start <= end:
            logger.warning(
                "the copy of %s ends at changelog offset %d, but the log holds %d to %d: it is made anew",
                self.place,
                start,
                begin,
                end,
            )
            self.store.clear()
            start = None
        self.position = begin if start is None else start
        self._waiting.clear()

    @property
    def lag(self) -> int:
        return max(0, self.end - self.position)

    @property
    def reads(self) -> bool:
        """Whether there is use in reading on."""
        return not self.rests or self.limit is None or self.limit > self.position

    def take(self, raw: RawBatch) -> None:
        """Takes in what was read, in order; what has been read before is nothing new."""
        if raw.next_offset <= self.position or self.rests:
            return
        self._waiting.append(raw)
        self.position = raw.next_offset

    def check_room(self) -> None:
        """Lets go of what waits if it is too much."""
        if sum(map(len, self._waiting)) > WAITING:
            self.rests = True
            self.position = _first(self._waiting[0])
            self._waiting.clear()

    async def write(self, pause: Pause) -> None:
        """Writes what may be written, in chunks with a pause behind each, which may raise."""
        until = self.position if self.limit is None else min(self.limit, self.position)
        while self._waiting and _first(self._waiting[0]) < until:
            raw = self._waiting[0]
            await apply(self.store, raw, until, pause)
            if raw.next_offset > until:
                self._waiting[0] = _from(raw, until)
                break
            del self._waiting[0]
        if until > (self.store.offset or 0):
            self.store.write((), until)

    def expire(self) -> None:
        """Forgets by time what the task has erased: its changelog does not say so, but notes the stream time."""
        retention = self.spec.retention
        noted = None if retention is None else self.store.get(MOMENT)
        if retention is None or noted is None:
            return
        below = START.pack(max(0, unstamp(noted)[0] - KEPT * retention - 2 * SHORTEST))
        step = FIRST if self._erased == FIRST else START.pack(START.unpack(self._erased)[0] + retention)
        if below > step:  # not each time: every range that is erased has its price for those who read
            self.store.erase(self._erased, below)
            self._erased = below


class StandbyTask:
    """The copy of one task. `committed_only`: what it is given to read is committed."""

    def __init__(self, sub: SubTopology, partition: int, shelf: Shelf, *, committed_only: bool) -> None:
        self.sub, self.partition, self.shelf = sub, partition, shelf
        self.name = sub.task_name(partition)
        self.copies = {
            copy.place: copy
            for spec in sub.stores
            if spec.changelog is not None
            for copy in [Copy(spec, shelf.stores[spec.name], TopicPartition(spec.changelog.name, partition))]
        }
        waits = not committed_only or any(copy.spec.source for copy in self.copies.values())
        self.sources = frozenset(
            TopicPartition(topic, partition) for topic, count in sub.topics.items() if waits and partition < count
        )
        """The source partitions on whose committed offsets it depends what may be written."""
        self.begun = False
        """Whether it is known where it begins."""
        self.gone = False
        """Its shelf is somebody else's now: nothing may be written any more."""
        self._committed_only = committed_only

    @property
    def lag(self) -> int | None:
        """Records between it and the ends of its changelogs; None before it has begun."""
        return sum(copy.lag for copy in self.copies.values()) if self.begun else None

    def begin(self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        """Knows now where its changelogs begin and end."""
        for place, copy in self.copies.items():
            copy.begin(begins[place], ends[place])
        self.begun = True

    def hear(
        self,
        ends: Mapping[TopicPartition, int],
        committed: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str],
    ) -> None:
        """Where its changelogs end now, what the group has committed, and what is noted with that."""
        limits = self._limits(committed, notes)
        for place, copy in self.copies.items():
            if copy.spec.source:
                copy.limit = committed.get(place, 0)
                copy.end = min(ends[place], copy.limit)
            else:
                copy.end = ends[place]
                copy.limit = limits.get(place.topic, copy.limit) if limits is not None else None

    def _limits(
        self, committed: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]
    ) -> Mapping[str, int] | None:
        """By changelog: up to where it may be written, as far as that is known; None: everything may be."""
        if self._committed_only:
            return None
        at = {place.topic: committed[place] for place in self.sources if place in committed}
        texts = {notes[place] for place in self.sources if place in notes}
        if at and not texts:
            return None
        limits: dict[str, int] = {}
        for note in map(read_note, texts):
            if note is not None and note.at == at:  # else the offsets have moved on since
                limits |= {log: max(end, limits.get(log, end)) for log, end in note.ends.items()}
        return limits

    def rested(self) -> bool:
        """Whether something that rested may be read again; it rests no longer."""
        again = [copy for copy in self.copies.values() if copy.rests and copy.reads]
        for copy in again:
            copy.rests = False
        return bool(again)

    def reads(self) -> dict[TopicPartition, int]:
        """The positions of what it reads on."""
        return {place: copy.position for place, copy in self.copies.items() if copy.reads}

    async def write(self, pause: Pause) -> None:
        """Writes what nobody takes back any more; forgets what is past."""
        for copy in self.copies.values():
            await copy.write(pause)
            copy.check_room()
            copy.expire()


def _first(raw: RawBatch) -> int:
    """Where a run begins; one without records, just before its end."""
    return raw.offsets[0] if len(raw) else raw.next_offset - 1


def _from(raw: RawBatch, start: int) -> RawBatch:
    """The records from an offset on."""
    rows = slice(bisect_left(raw.offsets, start), None)
    return RawBatch(
        raw.topic,
        raw.partition,
        raw.keys[rows],
        raw.values[rows],
        raw.timestamps[rows],
        raw.offsets[rows],
        None if raw.headers is None else raw.headers[rows],
        raw.next_offset,
    )
