"""Where every task should be in the end: balanced, and as near as that allows to where it is or has a copy.

First the tasks with state, then the others: what somebody runs stays, what nobody runs goes to its best copy or else to
the least loaded, and then single tasks move until loads differ by one at the most: first to where copies of them are,
then to anywhere.
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Sequence

from streamz_actors.assignment.copies import Copies
from streamz_actors.assignment.model import Candidate, TaskId, Work


def balanced(tasks: Collection[Work], members: Sequence[Candidate], copies: Copies) -> dict[TaskId, int]:
    """The number of each task's member; a task that no member may have is missing."""
    loads = [_Load(number, member) for number, member in enumerate(members)]
    ordered = sorted(tasks, key=lambda task: task.id)
    waiting = []
    for task in ordered:
        holder = copies.holders.get(task.id)
        if holder is None:
            waiting.append(task)
        else:
            loads[holder].add(task)
    for stateful in (True, False):
        desk = _Desk(loads, stateful=stateful)
        mine = [task for task in waiting if task.stateful is stateful]
        for task in mine:
            desk.place_by_copy(task, copies)
        for task in mine:
            desk.place(task, copies)
        if stateful:
            desk.even_out_by_copies(ordered, copies)
        desk.even_out()
    return {task.id: load.number for load in loads for task in load.tasks()}


class _Load:
    """What one member has so far, by sub-topology."""

    def __init__(self, number: int, member: Candidate) -> None:
        self.number, self.member = number, member
        self.total = 0
        self.with_state = 0
        self.by_sub: dict[bool, dict[str, dict[TaskId, Work]]] = {True: {}, False: {}}

    def add(self, task: Work) -> None:
        self.by_sub[task.stateful].setdefault(task.id.sub, {})[task.id] = task
        self.total += 1
        self.with_state += task.stateful

    def take(self, task: Work) -> None:
        del self.by_sub[task.stateful][task.id.sub][task.id]
        self.total -= 1
        self.with_state -= task.stateful

    def tasks(self) -> Iterator[Work]:
        for subs in self.by_sub.values():
            for tasks in subs.values():
                yield from tasks.values()

    def on_offer(self, *, stateful: bool) -> list[Work]:
        """One task of each sub-topology, in the order in which it would give them up: where it has most comes first."""
        subs = sorted(self.by_sub[stateful].values(), key=lambda tasks: -len(tasks))
        return [next(reversed(tasks.values())) for tasks in subs if tasks]


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
        self._at = {task.id: load.number for load in loads for task in load.tasks() if task.stateful is stateful}

    def _rank(self, load: _Load) -> Rank:
        counts = load.with_state if self._stateful else load.total
        return counts, load.total, load.number

    def _count(self, number: int) -> int:
        return self._rank(self._loads[number])[0]

    # -- what nobody runs

    def place_by_copy(self, task: Work, copies: Copies) -> None:
        """Gives a task to whose copy of it is least behind, of equals to the least loaded."""
        lags = copies.of(task)
        if lags:
            best = min(lags, key=lambda number: (lags[number], self._rank(self._loads[number])))
            self._change(self._loads[best], add=task)

    def place(self, task: Work, copies: Copies) -> None:
        """Gives a task of which there is no copy to the least loaded of those who may have it."""
        receiver = None if copies.of(task) else self._lightest(task.topics)
        if receiver is not None:
            self._change(receiver, add=task)

    # -- evening out

    def even_out_by_copies(self, tasks: Collection[Work], copies: Copies) -> None:
        """Moves tasks from members that have too many to those with copies of them that have too few: nearest first.

        What nobody runs goes wherever that brings two members nearer to each other; of what somebody runs, no more
        moves than must. That is told by the surplus and the lack there are, if all members may have all tasks.
        """
        by_id = {task.id: task for task in tasks if task.stateful is self._stateful and task.id in self._at}
        moves = sorted(
            (copied in copies.holders, lag, copied, number)
            for copied, lags in copies.lags.items()
            if copied in by_id
            for number, lag in lags.items()
        )
        level = _Level([self._count(load.number) for load in self._loads]) if len(self._rows) == 1 else None
        for held, _, moved, number in moves:
            giver, receiver = self._loads[self._at[moved]], self._loads[number]
            more, less = self._count(giver.number), self._count(number)
            if more - less > 1 and (not held or level is None or level.needs(more, less)):
                self._change(giver, take=by_id[moved])
                self._change(receiver, add=by_id[moved])
                if level is not None:
                    level.moved(more, less)

    def even_out(self) -> None:
        """Moves single tasks from the most to the least loaded, as long as the two differ by more than one."""
        stuck: set[int] = set()
        while (giver := self._heaviest(stuck)) is not None:
            moved = self._relieve(giver)
            if not moved:
                stuck.add(giver.number)
            elif any(self._count(number) - self._count(giver.number) > 1 for number in stuck):
                stuck.clear()  # who found nobody to give to finds the giver now

    def _relieve(self, giver: _Load) -> bool:
        """Takes one task from a member, if there is somebody who has two fewer and may have it."""
        for task in giver.on_offer(stateful=self._stateful):
            receiver = self._lightest(task.topics)
            if receiver is not None and self._count(giver.number) - self._count(receiver.number) > 1:
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
            self._at[add.id] = load.number
        if take is not None:
            load.take(take)
        insort(row, self._rank(load))


class _Level:
    """How far loads are from level: `surplus` is what must be given away, `lack` what must be got, by somebody.

    The larger of the two is the number of moves that it takes; one of these is a move that lessens both or the larger.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._least, rest = divmod(sum(counts), max(len(counts), 1))
        self._most = self._least + (rest > 0)
        self._surplus = sum(max(0, count - self._most) for count in counts)
        self._lack = sum(max(0, self._least - count) for count in counts)

    def needs(self, more: int, less: int) -> bool:
        """Whether a move from a member with `more` to one with `less` tasks is one that must be."""
        gives, gets = more > self._most, less < self._least
        return (gives or self._lack > self._surplus) and (gets or self._surplus > self._lack)

    def moved(self, more: int, less: int) -> None:
        self._surplus -= more > self._most
        self._lack -= less < self._least
