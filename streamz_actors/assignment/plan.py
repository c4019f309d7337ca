"""Who runs which task: one pure function of the tasks there are and of what the members say they hold.

The outcome is, in this order:

    allowed     a member gets only tasks whose source topics it subscribes to (two releases of an application may meet)
    complete    every task that somebody may have has exactly one owner
    balanced    over the members, the numbers of tasks differ by one at the most; those of tasks with state, which cost
                most to keep and to move, do so among themselves as well
    sticky      of all such outcomes, one that moves the fewest tasks away from who holds them

A task is all its source partitions, so what is co-partitioned stays together. Where members subscribe to different
topics, balance is as good as moving single tasks can make it. The order of the arguments does not matter.
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

ACCEPTABLE_LAG: Final = 10_000
"""Records that a copy may be behind and still be near the head: they are restored in a fraction of a second."""


class TaskId(NamedTuple):
    sub: str
    """The name of its sub-topology."""
    partition: int


@dataclass(frozen=True, slots=True)
class Work:
    """A task that somebody is to run."""

    id: TaskId
    topics: frozenset[str]
    """What must be subscribed to in order to run it: the same for all tasks of a sub-topology."""
    stateful: bool
    logged: bool = False
    """Whether its state can be copied elsewhere: some of it is in changelogs."""
    standbys: int = 0
    """How many copies are wanted beside its own."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of the group. `generation` decides between two that say they hold the same task: the later one does."""

    id: str
    topics: frozenset[str]
    holds: frozenset[TaskId] = frozenset()
    generation: int = -1
    copies: Mapping[TaskId, int] | None = None
    """The lag, in records, of each copy that it has; what it holds and does not name here is up to date. None: it
    keeps no copies.
    """
    small: frozenset[TaskId] = frozenset()
    """What is so little that a copy is no matter."""
    rack: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who has what, as member ids."""

    owners: Mapping[TaskId, str]
    """A task that no member may have is missing."""
    standbys: Mapping[TaskId, tuple[str, ...]] = field(default_factory=dict)
    """Those that keep a copy, where some are wanted."""
    warmups: Mapping[TaskId, tuple[str, ...]] = field(default_factory=dict)
    """Those whose copy is brought up for a move, of the task or of a standby; one may be a standby as well."""


def ready(lags: Iterable[int | None]) -> bool:
    """Whether a member is to ask for a rebalance, given how far its warm-ups are behind (None: not known)."""
    return any(lag is not None and lag <= ACCEPTABLE_LAG for lag in lags)


def plan(tasks: Collection[Work], members: Collection[Candidate]) -> Plan:
    """Shares `tasks` out: first those with state, then the others, each time keeping, filling up and evening out."""
    ordered = sorted(members, key=lambda member: member.id)
    loads = [_Load(number, member) for number, member in enumerate(ordered)]
    kept = _kept(tasks, loads)
    waiting = sorted((task for task in tasks if task.id not in kept), key=lambda task: task.id)
    for stateful in (True, False):
        desk = _Desk(loads, stateful=stateful)
        for task in waiting:
            if task.stateful is stateful:
                desk.place(task)
        desk.even_out()
    return Plan({task.id: load.member.id for load in loads for task in load.tasks()})


class _Load:
    """What one member has so far, by sub-topology."""

    def __init__(self, number: int, member: Candidate) -> None:
        self.number, self.member = number, member
        self.total = 0
        self.with_state = 0
        self.by_sub: dict[bool, dict[str, list[Work]]] = {True: {}, False: {}}

    def add(self, task: Work) -> None:
        self.by_sub[task.stateful].setdefault(task.id.sub, []).append(task)
        self.total += 1
        self.with_state += task.stateful

    def give_up(self, task: Work) -> None:
        """Takes away one that is on offer."""
        self.by_sub[task.stateful][task.id.sub].pop()
        self.total -= 1
        self.with_state -= task.stateful

    def tasks(self) -> Iterator[Work]:
        for subs in self.by_sub.values():
            for tasks in subs.values():
                yield from tasks

    def on_offer(self, *, stateful: bool) -> list[Work]:
        """One task of each sub-topology, in the order in which it would give them up: where it has most comes first."""
        subs = sorted(self.by_sub[stateful].values(), key=lambda tasks: -len(tasks))
        return [tasks[-1] for tasks in subs if tasks]


def _kept(tasks: Collection[Work], loads: list[_Load]) -> set[TaskId]:
    """Leaves every task where it is, if it may be there."""
    by_id = {task.id: task for task in tasks}
    kept: set[TaskId] = set()
    for load in sorted(loads, key=lambda load: (-load.member.generation, load.number)):
        member = load.member
        for held in sorted(member.holds):
            task = by_id.get(held)
            if task is not None and held not in kept and task.topics <= member.topics:
                load.add(task)
                kept.add(held)
    return kept


Rank = tuple[int, int, int]
"""The number of tasks that counts now, the number of all, and the member's own number."""


class _Desk:
    """Deals with the tasks of one kind. Members of equal subscriptions stand in one row, the least loaded in front."""

    def __init__(self, loads: list[_Load], *, stateful: bool) -> None:
        self._loads, self._stateful = loads, stateful
        self._rows: dict[frozenset[str], list[Rank]] = {}
        for load in loads:
            insort(self._rows.setdefault(load.member.topics, []), self._rank(load))
        self._allowed: dict[frozenset[str], list[list[Rank]]] = {}

    def _rank(self, load: _Load) -> Rank:
        counts = load.with_state if self._stateful else load.total
        return counts, load.total, load.number

    def place(self, task: Work) -> None:
        """Gives a task to the least loaded of those who may have it."""
        receiver = self._lightest(task.topics)
        if receiver is not None:
            self._change(receiver, add=task)

    def even_out(self) -> None:
        """Moves single tasks from the most to the least loaded, as long as the two differ by more than one."""
        stuck: set[int] = set()
        while (giver := self._heaviest(stuck)) is not None:
            moved = self._relieve(giver)
            if not moved:
                stuck.add(giver.number)
            elif any(self._rank(self._loads[number])[0] - self._rank(giver)[0] > 1 for number in stuck):
                stuck.clear()  # who found nobody to give to finds the giver now

    def _relieve(self, giver: _Load) -> bool:
        """Takes one task from a member, if there is somebody who has two fewer and may have it."""
        for task in giver.on_offer(stateful=self._stateful):
            receiver = self._lightest(task.topics)
            if receiver is not None and self._rank(giver)[0] - self._rank(receiver)[0] > 1:
                self._change(giver, take=task)
                self._change(receiver, add=task)
                return True
        return False

    def _lightest(self, topics: frozenset[str]) -> _Load | None:
        rows = self._allowed.get(topics)
        if rows is None:
            rows = self._allowed[topics] = [row for subscribed, row in self._rows.items() if topics <= subscribed]
        return self._loads[min(row[0] for row in rows)[-1]] if rows else None

    def _heaviest(self, stuck: set[int]) -> _Load | None:
        """The most loaded of those that are not stuck; None if nobody has two fewer."""
        least = min(row[0] for row in self._rows.values())[0] if self._rows else 0
        tops = [next((rank for rank in reversed(row) if rank[-1] not in stuck), None) for row in self._rows.values()]
        top = max((rank for rank in tops if rank is not None), default=None)
        return self._loads[top[-1]] if top is not None and top[0] - least > 1 else None

    def _change(self, load: _Load, *, add: Work | None = None, take: Work | None = None) -> None:
        row = self._rows[load.member.topics]
        del row[bisect_left(row, self._rank(load))]
        if add is not None:
            load.add(add)
        if take is not None:
            load.give_up(take)
        insort(row, self._rank(load))
