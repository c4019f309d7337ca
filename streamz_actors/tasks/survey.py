"""What stands in a task's changelogs behind what is committed, and what of it counts: looked at before a restore.

A worker that dies in a commit leaves a flush there, whole or in part; one that stood still and does not know yet that
its task is another's adds one later. The note beside the committed offsets says where the changelogs ended with them.

    what stands behind that is             it
    ─────────────────────────────────────  ────────────────────────────────────────────────────────────────────────────
    a flush, whole in all its changelogs,  counts: all that came of its records was delivered before it was begun. The
    from where the task is committed on    task begins where it ends
    any other flush                        is left out: its records come again. Its keys are written anew with what they
                                           hold, lest a later restore, or compaction, takes them for the newest
    no part of a flush                     counts where there is no part of one: another release, or somebody's hand,
                                           wrote it. Else it is such a part, come between others' records

Where there is no note, or the offsets have been moved since, nothing is known and all counts, as it did before notes.
"""

import logging
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streamz_actors.tasks.coverage import Coverage, Note, coverages, openings, read_note
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import Admin, RawBatch, Reader
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.restore")
POLL = 0.2


class Bounds(NamedTuple):
    """Where a log begins and ends."""

    begin: int
    end: int


async def bounds_of(admin: Admin, places: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
    if not places:
        return {}
    begins, ends = await admin.beginning_offsets(places), await admin.end_offsets(places)
    return {place: Bounds(begins[place], ends[place]) for place in places}


@dataclass(slots=True)
class Tail:
    """One changelog behind what is committed."""

    position: int
    end: int
    opened: list[tuple[int, Coverage]] = field(default_factory=list)
    """The flushes that begin here, with the offsets of their first records."""
    closed: list[tuple[int, Coverage]] = field(default_factory=list)
    """Those that end here, with the offsets of their last records."""
    keys: list[bytes | None] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def add(self, raw: RawBatch) -> None:
        """Takes in what was read, up to the end."""
        rows = bisect_left(raw.offsets, self.end)
        self.opened += [(raw.offsets[row], coverage) for row, coverage in openings(raw) if row < rows]
        self.closed += [(raw.offsets[row], coverage) for row, coverage in coverages(raw) if row < rows]
        self.keys.extend(raw.keys[:rows])
        self.timestamps.extend(raw.timestamps[:rows])
        self.offsets.extend(raw.offsets[:rows])

    def whole(self) -> dict[str, range]:
        """The offsets of the flushes that are whole here: all of their records, and nobody else's between them or
        before them that their writer did not know of.
        """
        ended = {flush.id: at for at, flush in self.closed}
        starts = [at for at, _ in self.opened]
        found = {}
        for at, flush in self.opened:
            alone = bisect_left(starts, at + flush.rows) - bisect_left(starts, at) == 1
            known = flush.at is None or flush.at == at
            if known and alone and ended.get(flush.id) == at + flush.rows - 1:
                found[flush.id] = range(at, at + flush.rows)
        return found

    def besides(self, whole: Mapping[str, range]) -> list[range]:
        """What is left out besides whole flushes: everything, if there is a part of one that is not."""
        if all(flush.id in whole for _, flush in (*self.opened, *self.closed)):
            return []
        kept = sorted(whole.values(), key=lambda part: part.start)
        starts, stops = [self.position, *(part.stop for part in kept)], [*(part.start for part in kept), self.end]
        return [range(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]

    def keys_in(self, part: range) -> dict[bytes, int]:
        """The keys of some records, with the times of the last."""
        rows = slice(bisect_left(self.offsets, part.start), bisect_left(self.offsets, part.stop))
        return {key: at for key, at in zip(self.keys[rows], self.timestamps[rows], strict=True) if key is not None}


@dataclass(slots=True)
class Verdict:
    """Of one task."""

    covered: dict[TopicPartition, int]
    """Where it begins, by source partition; those are missing of which nothing is committed."""
    left_out: dict[str, list[range]] = field(default_factory=dict)
    """By changelog: the offsets that do not count."""
    keys: dict[str, dict[bytes, int]] = field(default_factory=dict)
    """By changelog: the keys there, with their times in ms."""
    noted: bool = False
    """Whether a note says what belongs to the committed offsets."""


def judge(tails: Mapping[str, Tail], committed: Mapping[TopicPartition, int], *, counts: bool) -> Verdict:
    """What of the flushes in `tails`, by changelog, belongs to the state. `counts`: whether any may."""
    whole = {changelog: tail.whole() for changelog, tail in tails.items()}
    flushes = {flush.id: flush for tail in tails.values() for _, flush in tail.opened}
    everywhere = [
        flush for name, flush in flushes.items() if all(name in whole.get(store, ()) for store in flush.stores)
    ]
    taken = follow(everywhere, committed) if counts else []
    verdict = Verdict({**committed, **(taken[-1].offsets if taken else {})})
    kept = {flush.id for flush in taken}
    for changelog, tail in tails.items():
        parts = [part for name, part in whole[changelog].items() if name not in kept]
        out = sorted([*parts, *tail.besides(whole[changelog])], key=lambda part: part.start)
        if out:
            verdict.left_out[changelog] = out
            verdict.keys[changelog] = {key: at for part in out for key, at in tail.keys_in(part).items()}
    return verdict


def follow(flushes: Sequence[Coverage], since: Mapping[TopicPartition, int]) -> list[Coverage]:
    """Those that go on from what is committed, one from the other, as far as any do.

    Two that go on from the same place are of one worker, the first of them written by timers; or of two releases that
    did not say where they took the changelog to end.
    """
    left, taken, position = list(flushes), [], dict(since)
    while following := [flush for flush in left if flush.since == position]:
        standing = [flush for flush in following if flush.offsets == position]  # timers wrote it, of no record
        chosen = standing[0] if standing else max(following, key=lambda flush: sum(flush.offsets.values()))
        left.remove(chosen)
        taken.append(chosen)
        position = dict(chosen.offsets)
    return taken


def newest_note(
    task: Task, committed: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]
) -> Note | None:
    """What is known of where the task's changelogs ended with what is committed."""
    at = {place.topic: committed[place] for place in task.partitions if place in committed}
    found = [read_note(notes[place]) for place in task.partitions if place in notes]
    known = [note for note in found if note is not None and note.at == at]
    return max(known, key=lambda note: sum(note.ends.values()), default=None)


async def read(reader: Reader, tails: Mapping[TopicPartition, Tail]) -> None:
    """Reads the tails to their ends, with a reader that was not started. Raises TransportError."""
    left = {place: tail for place, tail in tails.items() if tail.position < tail.end}
    if not left:
        return
    logger.info("reading what stands behind the last commit in %d changelogs", len(left))
    await reader.start()
    try:
        reader.assign({place: tail.position for place, tail in left.items()})
        while left:
            for raw in await reader.poll(POLL):
                tail = left.get(TopicPartition(raw.topic, raw.partition))
                if tail is not None:
                    tail.add(raw)
            left = {place: tail for place, tail in left.items() if reader.position(place) < tail.end}
    finally:
        await reader.stop()


async def survey(
    reader: Reader,
    tasks: Sequence[Task],
    committed: Mapping[TopicPartition, int],
    notes: Mapping[TopicPartition, str],
    bounds: Mapping[TopicPartition, Bounds],
) -> dict[Task, Verdict]:
    """What counts of each task's changelogs, which begin and end at `bounds`. Nothing is read that is committed."""
    known = {task: newest_note(task, committed, notes) for task in tasks}
    tails = {task: _tails(task, note, bounds) for task, note in known.items()}
    await read(reader, {place: tail for found in tails.values() for place, tail in found.items()})
    verdicts = {}
    for task, found in tails.items():
        at = {place: committed[place] for place in task.partitions if place in committed}
        logged = all(state.spec.changelog is not None for state in task.own.values())
        verdict = verdicts[task] = judge({place.topic: tail for place, tail in found.items()}, at, counts=logged)
        verdict.noted = known[task] is not None
        _tell(task, verdict, at)
    return verdicts


def _tails(task: Task, note: Note | None, bounds: Mapping[TopicPartition, Bounds]) -> dict[TopicPartition, Tail]:
    tails = {}
    for place in changelogs(task) if note is not None else ():
        begin, end = bounds[place]
        position = note.ends.get(place.topic, end) if note is not None else end
        if position <= end:
            tails[place] = Tail(max(begin, position), end)
    return tails


def changelogs(task: Task, *, sources: bool = False) -> list[TopicPartition]:
    """Those that it writes; with `sources`, the topics as well that tables are made of."""
    specs = [state.spec for state in task.own.values()]
    return [
        TopicPartition(spec.changelog.name, task.partition)
        for spec in specs
        if spec.changelog is not None and (sources or not spec.source)
    ]


def _tell(task: Task, verdict: Verdict, committed: Mapping[TopicPartition, int]) -> None:
    further = {place: at for place, at in verdict.covered.items() if committed.get(place) != at}
    if further:
        logger.info("the state of %s covers more than is committed: it begins at %s", task.name, _shown(further))
    if verdict.left_out:
        records = sum(len(part) for parts in verdict.left_out.values() for part in parts)
        logger.info("%d changelog records of %s are left out: of a commit that did not end", records, task.name)


def _shown(offsets: Mapping[TopicPartition, int]) -> str:
    return ", ".join(f"{place} {offset}" for place, offset in sorted(offsets.items()))
