"""What a worker knows of its tasks' changelogs: how far each goes, and what the flush before covered.

A task is entered when it is restored; what it flushes is marked with what it covers, and what is committed with it is
noted beside the offsets (`tasks/coverage`). Whatever stands in a changelog between two flushes of its task was written
by somebody else: by a worker that stood still, and that has not noticed yet that its task is another's.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from weakref import WeakKeyDictionary

from streamz_actors.errors import CommitError
from streamz_actors.tasks.coverage import Coverage, Note
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import Delivery
from streamz_actors.types import TopicPartition


@dataclass(slots=True)
class Entry:
    """What is known of one task."""

    covered: dict[TopicPartition, int]
    """By source partition: below it, everything is in the state that the changelogs hold."""
    ends: dict[str, int]
    """By changelog topic: where it ends."""
    noted: bool
    """Whether a note stands beside the committed offsets that says so."""
    before: dict[str, int] = field(default_factory=dict)
    """Of those that a flush is under way to: where they ended. One that does not come to its end leaves that open."""


class Ledger:
    def __init__(self) -> None:
        self._entries: WeakKeyDictionary[Task, Entry] = WeakKeyDictionary()
        self._writer = token_hex(6)
        self._numbers = itertools.count(1)

    def enter(
        self, task: Task, covered: Mapping[TopicPartition, int], ends: Mapping[str, int], *, noted: bool
    ) -> None:
        """The task has been restored: it stands at `covered`, its changelogs end at `ends`."""
        if ends:
            self._entries[task] = Entry(dict(covered), dict(ends), noted)

    def unnoted(self, task: Task, committed: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The positions that are to be committed with a note before the task writes anything: else nothing would tell
        a part of its first flush from what belongs to them. Mostly none.
        """
        entry = self._entries.get(task)
        if entry is None or entry.noted or not self.note(task, entry.covered):
            return {}
        fresh = {place: at for place, at in entry.covered.items() if committed.get(place) != at}
        return fresh or dict([min(entry.covered.items())])

    def mark(self, task: Task, rows: Mapping[str, int], offsets: Mapping[TopicPartition, int]) -> dict[str, Coverage]:
        """What the task's next flush says in each changelog of which `rows` gives the number of records.

        Nothing for a task of which nothing is known.
        """
        entry = self._entries.get(task)
        if entry is None:
            return {}
        entry.before = {changelog: entry.ends.pop(changelog) for changelog in rows if changelog in entry.ends}
        name, until = f"{self._writer}-{next(self._numbers)}", {**entry.covered, **offsets}
        since, stores, ends = dict(entry.covered), tuple(rows), entry.before
        return {
            changelog: Coverage(name, stores, until, since, count, ends.get(changelog))
            for changelog, count in rows.items()
        }

    def delivered(self, task: Task, changelog: str, deliveries: Sequence[Delivery]) -> None:
        """A flush has arrived in one of its changelogs. Raises CommitError if it is not all that has."""
        entry = self._entries.get(task)
        if entry is None:
            return
        end = entry.before.get(changelog)
        for first, count in [run for delivery in deliveries for run in delivery.runs]:
            if end is not None and first != end:
                raise CommitError(
                    f"{TopicPartition(changelog, task.partition)}: somebody else has written offsets {end} to "
                    f"{first - 1}, a worker that takes this task for its own"
                )
            end = first + count
        if end is not None:
            entry.ends[changelog] = end

    def note(self, task: Task, committed: Mapping[TopicPartition, int]) -> str | None:
        """What is to be kept with the offsets that make these positions the committed ones; None: nothing."""
        entry = self._entries.get(task)
        if entry is None:
            return None
        at = {place.topic: committed[place] for place in sorted(task.partitions) if place in committed}
        return Note(at, entry.ends).write()

    def committed(self, task: Task, offsets: Mapping[TopicPartition, int], *, noted: bool) -> None:
        """These positions are committed now; `noted`: with the task's newest note."""
        entry = self._entries.get(task)
        if entry is not None:
            entry.covered |= offsets
            entry.noted = entry.noted or noted
