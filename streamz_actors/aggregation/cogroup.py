"""Several groups aggregated into one table: an operator for each group over the same store, and their results together.

As in Kafka Streams, each group has a stream time of its own: what is late for one need not be late for another. What is
out of retention is counted from the newest entry of the store, whichever group made it.
"""

from collections.abc import Callable
from dataclasses import replace
from struct import Struct
from typing import Any, Final
from weakref import WeakKeyDictionary

from streamz_actors.aggregation.bundled import entries_of
from streamz_actors.aggregation.entries import Entries, Results
from streamz_actors.aggregation.folding import Folding
from streamz_actors.aggregation.lines import Lines, spread_of
from streamz_actors.aggregation.sessions import session
from streamz_actors.aggregation.sliding_windows import sliding
from streamz_actors.aggregation.spans import Part
from streamz_actors.aggregation.time_windows import Aligned, Timeline
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.lateness import Lateness, OnLate
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec
from streamz_actors.dataflow.topics import Topic
from streamz_actors.stores.logged import MOMENT, NEVER, LoggedStore, unstamp
from streamz_actors.stores.spans import SpanStore
from streamz_actors.windows.definitions import Session, Sliding

_TIME: Final = Struct(">q")

NOWHERE: Final = b"\xff" * 9
"""A key that no window has: it would begin in the year 584 million."""


def together(parents: tuple[Node, ...], name: str) -> Node:
    """The results of all groups, in the order in which they come about."""
    return Node(
        name, "cogroup", lambda _: Together(), parents, reads_keys=False, reads_values=False, passes_olds=True,
        updates=True,
    )


class Together(Operator):
    async def process(self, batch: Batch) -> Batch:
        return batch


def parted(node: Node) -> Node:
    """The operator of one group: its results are no table's updates before they have met with the others'."""
    return replace(node, updates=False)


def spans_parts(
    parents: tuple[Node, ...], spec: StoreSpec, window: Session | Sliding, foldings: list[Folding], on_late: OnLate
) -> list[Node]:
    """Groups in sessions or sliding windows: parents and foldings go in step."""
    stores: WeakKeyDictionary[Any, SpanStore] = WeakKeyDictionary()

    def share(state: Any, make: Callable[[], SpanStore]) -> SpanStore:
        if state not in stores:
            stores[state] = make()
        return stores[state]

    def node(writer: int, parent: Node, folding: Folding) -> Node:
        part = Part(share, writer, len(parents))
        if isinstance(window, Session):
            return session(parent, spec, window, folding, emit="update", on_late=on_late, close_on_idle=None, part=part)
        return sliding(parent, spec, window, folding, emit="update", on_late=on_late, close_on_idle=None, part=part)

    return [
        parted(node(writer, parent, folding))
        for writer, (parent, folding) in enumerate(zip(parents, foldings, strict=True))
    ]


def time_parts(
    parents: tuple[Node, ...], spec: StoreSpec, window: Aligned, foldings: list[Folding], on_late: OnLate
) -> list[Node]:
    """Groups in windows of one size."""
    clocks: WeakKeyDictionary[Any, Times] = WeakKeyDictionary()

    def node(writer: int, parent: Node, folding: Folding) -> Node:
        def build(place: Place) -> Operator:
            state = place.states[spec.name]
            if state not in clocks:
                clocks[state] = Times(state.logged, len(parents))
            lateness = Lateness(folding.what, place, on_late)
            entries = entries_of(state.logged, spec, folding, window.advance)
            return GroupWindows(entries, GroupTimeline(entries, spec, window, lateness, clocks[state], writer), window)

        return Node(
            spec.name,
            folding.kind,
            build,
            (parent,),
            stores=(spec,),
            sends=(on_late,) if isinstance(on_late, Topic) else (),
            asynchronous=folding.asynchronous,
            copartitioned=True,
        )

    return [
        node(writer, parent, folding) for writer, (parent, folding) in enumerate(zip(parents, foldings, strict=True))
    ]


class Times:
    """The times of a store of windows of one size that several groups write: kept, logged and restored with it.

    Under MOMENT: the newest start, then each group's stream time, 8 bytes each, signed, big-endian, ms.
    """

    def __init__(self, logged: LoggedStore, groups: int) -> None:
        self._logged = logged
        self._read = False
        self.observed, self.newest = [NEVER] * groups, NEVER

    def read(self) -> None:
        """Takes up what was saved; not before the store has its content."""
        if self._read:
            return
        self._read = True
        stored = self._logged.store.get(MOMENT)
        times = [] if stored is None else [time for (time,) in _TIME.iter_unpack(unstamp(stored)[1])]
        if times:
            self.newest, *observed = times
            self.observed[: len(observed)] = observed[: len(self.observed)]

    def save(self) -> None:
        raw = b"".join(map(_TIME.pack, (self.newest, *self.observed)))
        self._logged.overlay[MOMENT] = (None, raw, max(self.observed))


class GroupTimeline(Timeline):
    """The stream time of one group."""

    def __init__(
        self, entries: Entries, spec: StoreSpec, window: Aligned, lateness: Lateness, times: Times, writer: int
    ) -> None:
        super().__init__(entries, spec, window, lateness)
        self._times, self._writer = times, writer

    @property
    def moment(self) -> int:
        if self._moment is None:
            self._times.read()
            self._moment = self._noted = self._times.observed[self._writer]
        return self._moment

    @property
    def newest(self) -> int:
        """The newest start that any group has written."""
        return self._times.newest

    @property
    def oldest(self) -> int:
        """The oldest start that is still kept."""
        return self._times.newest - self._kept + 1

    def wrote(self, start: int) -> None:
        self._times.newest = max(self._times.newest, start)

    def settle(self) -> None:
        times = self._times
        if self.moment > self._noted:
            self._noted = times.observed[self._writer] = self.moment
            times.save()
        self._expire(self.oldest)


class GroupWindows(Operator):
    """Each change leaves at once."""

    def __init__(self, entries: Entries, timeline: GroupTimeline, window: Aligned) -> None:
        self._entries, self._timeline, self._size = entries, timeline, window.size
        self._spread = spread_of(window)

    async def process(self, batch: Batch) -> Batch | None:
        entries, timeline, size = self._entries, self._timeline, self._size
        batch, raws = entries.keyed(self.guard, batch)
        if not len(batch):
            return None
        lines = timeline.live(batch, self._spread(batch.timestamps))
        if not len(lines):
            timeline.settle()
            return None
        results = await self._fold(batch, lines, raws)
        timeline.settle()
        return None if self.silent else entries.changes(batch, lines, raws, results, lambda start: start + size)

    async def _fold(self, batch: Batch, lines: Lines, raws: list[bytes]) -> Results:
        entries, timeline, highest = self._entries, self._timeline, lines.highest
        if min(lines.firsts) >= timeline.oldest + max(0, highest - timeline.newest):
            timeline.wrote(highest)
            return await entries.fold(self.guard, batch, lines, entries.keys(lines, raws), self.olds)
        results = Results([], [], [])
        for row, start in zip(lines.of(range(len(batch))), lines.starts, strict=True):
            one = lines.one(row, start)
            if start >= timeline.oldest:
                part = await entries.fold(self.guard, batch, one, entries.keys(one, raws), self.olds)
            else:
                # Another group is so far ahead that the store keeps this window no longer: it begins anew each time.
                part = await entries.fold(self.guard, batch, one, [NOWHERE], self.olds)
                entries.logged.overlay.pop(NOWHERE, None)
            timeline.wrote(start)
            results.add(part)
        return results
