"""Who keeps copies of which tasks: as many of each as are wanted, never beside it, and on other racks if there are any.

    keep      a copy that is there stays, the nearest first, unless it stands on a rack that has one already and another
              rack has none
    fill      what is missing goes to who has the fewest, of equals to another one for each task of a worker: if it is
              gone, its tasks go to many
    even out  single copies move until numbers differ by one or no move helps; no rack is lost by that
    soften    a copy that moves stays where it is until the new one is near: so long the new one is a warm-up
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set

from streamz_actors.assignment.copies import Copies
from streamz_actors.assignment.model import Candidate, TaskId, Work


class Standbys:
    def __init__(
        self, tasks: Collection[Work], owners: Mapping[TaskId, int], members: Sequence[Candidate], copies: Copies
    ) -> None:
        self._members, self._copies, self._owners = members, copies, owners
        self._racks = [member.rack for member in members]
        self._tasks = {task.id: task for task in sorted(tasks, key=lambda task: task.id) if _wants(task, owners)}
        self._rows = _Rows(members, {task.topics for task in self._tasks.values()})
        self._chosen: dict[TaskId, list[int]] = {task: [] for task in self._tasks}
        self._kept_by: dict[int, dict[TaskId, Work]] = {}

    def choose(self) -> dict[TaskId, list[int]]:
        """Where copies should be in the end."""
        for task in self._tasks.values():
            self._keep(task)
        turns: Counter[int] = Counter()
        for task in self._tasks.values():
            self._fill(task, turns)
        self._even_out_by_copies()
        self._even_out()
        return self._chosen

    def soften(self) -> list[tuple[Work, int]]:
        """Puts copies that are near in the place of those that are not there yet; gives these."""
        wanted = []
        for task in self._tasks.values():
            chosen = self._chosen[task.id]
            left = [one for one in self._present(task) if one not in chosen and self._copies.near(task, one)]
            for place, number in enumerate(chosen):
                if left and not self._copies.near(task, number):
                    chosen[place] = left.pop(0)
                    wanted.append((task, number))
        return wanted

    # -- keep

    def _present(self, task: Work) -> list[int]:
        """Who has a copy beside the owner: near ones first; of those who ran it until now last."""
        lags, holder, owner = self._copies.of(task), self._copies.holders.get(task.id), self._owners[task.id]
        return sorted(
            (one for one in lags if one != owner and self._members[one].copies is not None),
            key=lambda one: (not self._copies.near(task, one), one == holder, lags[one], one),
        )

    def _keep(self, task: Work) -> None:
        present = self._present(task)
        while present and len(self._chosen[task.id]) < task.standbys:
            used = self._used(task)
            apart = [one for one in present if self._racks[one] not in used]
            if not apart and self._lightest(task, used) is not None:
                return
            keeper = (apart or present)[0]
            present.remove(keeper)
            self._add(task, keeper)

    # -- fill

    def _fill(self, task: Work, turns: Counter[int]) -> None:
        owner = self._owners[task.id]
        while len(self._chosen[task.id]) < task.standbys:
            start = owner + 1 + turns[owner] % max(1, len(self._members) - 1)
            keeper = self._lightest(task, self._used(task), start)
            if keeper is None:
                keeper = self._lightest(task, frozenset(), start)
            if keeper is None:
                return
            turns[owner] += 1
            self._add(task, keeper)

    def _used(self, task: Work, without: int | None = None) -> frozenset[str]:
        """The racks of a task and its standbys."""
        stands = (self._owners[task.id], *self._chosen[task.id])
        return frozenset(self._racks[one] for one in stands if one != without)

    def _lightest(self, task: Work, avoid: Set[str], start: int = 0) -> int | None:
        taken = (self._owners[task.id], *self._chosen[task.id])
        return self._rows.lightest(task.topics, avoid, taken, start % len(self._members))

    def _add(self, task: Work, keeper: int) -> None:
        self._chosen[task.id].append(keeper)
        self._kept_by.setdefault(keeper, {})[task.id] = task
        self._rows.change(keeper, 1)

    def _move(self, task: Work, giver: int, receiver: int) -> None:
        chosen = self._chosen[task.id]
        chosen[chosen.index(giver)] = receiver
        del self._kept_by[giver][task.id]
        self._kept_by.setdefault(receiver, {})[task.id] = task
        self._rows.change(giver, -1)
        self._rows.change(receiver, 1)

    # -- even out

    def _even_out_by_copies(self) -> None:
        """Moves copies to members that have one already, of those who have two fewer: nearest first."""
        moves = sorted(
            (lag, task, number) for task in self._tasks for number, lag in self._copies.lags.get(task, {}).items()
        )
        for _, moved, number in moves:
            task = self._tasks[moved]
            if number == self._owners[moved] or number in self._chosen[moved] or self._members[number].copies is None:
                continue
            givers = [
                one
                for one in self._chosen[moved]
                if self._rows.counts[one] - self._rows.counts[number] > 1
                and self._racks[number] not in self._avoided(task, one)
            ]
            if givers:
                self._move(task, max(givers, key=lambda one: (self._rows.counts[one], one)), number)

    def _avoided(self, task: Work, giver: int) -> Set[str]:
        """The racks on which a copy of this one must not stand, for its rack would be lost."""
        others = self._used(task, without=giver)
        return frozenset() if self._racks[giver] in others else others

    def _even_out(self) -> None:
        stuck: set[int] = set()
        while (giver := self._rows.heaviest(stuck)) is not None:
            if not self._relieve(giver):
                stuck.add(giver)
            elif any(self._rows.counts[one] - self._rows.counts[giver] > 1 for one in stuck):
                stuck.clear()  # who found nobody to give to finds the giver now

    def _relieve(self, giver: int) -> bool:
        """Takes one copy from a member, if there is somebody who has two fewer and may have it."""
        for task in reversed(self._kept_by[giver].values()):
            receiver = self._lightest(task, self._avoided(task, giver))
            if receiver is not None and self._rows.counts[giver] - self._rows.counts[receiver] > 1:
                self._move(task, giver, receiver)
                return True
        return False


def _wants(task: Work, owners: Mapping[TaskId, int]) -> bool:
    return task.logged and task.standbys > 0 and task.id in owners


Rank = tuple[int, int]
"""The number of copies that a member keeps, and its own number."""


class _Rows:
    """The members that keep copies: for each set of topics those who may have them, by rack, fewest copies first."""

    def __init__(self, members: Sequence[Candidate], topics: Iterable[frozenset[str]]) -> None:
        keepers = [number for number, member in enumerate(members) if member.copies is not None]
        self.counts = dict.fromkeys(keepers, 0)
        self._all: list[Rank] = [(0, number) for number in keepers]
        allowed = {wanted: tuple(one for one in keepers if wanted <= members[one].topics) for wanted in topics}
        racks = {group: _Racks(members, group) for group in allowed.values()}
        self._of = {wanted: racks[group] for wanted, group in allowed.items()}
        self._with: dict[int, list[_Racks]] = {}
        for group, row in racks.items():
            for number in group:
                self._with.setdefault(number, []).append(row)

    def lightest(self, topics: frozenset[str], avoid: Set[str], taken: Collection[int], start: int) -> int | None:
        return self._of[topics].lightest(avoid, taken, start)

    def heaviest(self, stuck: Set[int]) -> int | None:
        """Who keeps most, of those not stuck; None if nobody keeps two fewer."""
        top = next((rank for rank in reversed(self._all) if rank[1] not in stuck), None)
        return top[1] if top is not None and top[0] - self._all[0][0] > 1 else None

    def change(self, number: int, more: int) -> None:
        before = self.counts[number]
        self.counts[number] = before + more
        _replace(self._all, (before, number), (before + more, number))
        for racks in self._with.get(number, ()):
            racks.change((before, number), (before + more, number))


class _Racks:
    """Members by rack; the racks themselves in the order of their first ones."""

    def __init__(self, members: Sequence[Candidate], group: Iterable[int]) -> None:
        self._rack = [member.rack for member in members]
        self._rows: dict[str, list[Rank]] = {}
        for number in group:
            self._rows.setdefault(members[number].rack, []).append((0, number))
        self._heads = sorted((row[0], rack) for rack, row in self._rows.items())

    def lightest(self, avoid: Set[str], taken: Collection[int], start: int) -> int | None:
        """Who keeps fewest, not on a rack to `avoid`; of equals on a rack the first from number `start` on."""
        best: Rank | None = None
        for head, rack in self._heads:
            if best is not None and head[0] >= best[0]:
                break
            if rack not in avoid and (rank := _first(self._rows[rack], taken, start)) is not None:
                best = rank if best is None else min(best, rank)
        return None if best is None else best[1]

    def change(self, before: Rank, after: Rank) -> None:
        rack = self._rack[before[1]]
        row = self._rows[rack]
        head = row[0]
        _replace(row, before, after)
        if row[0] != head:
            del self._heads[bisect_left(self._heads, (head, rack))]
            insort(self._heads, (row[0], rack))


def _first(row: Sequence[Rank], taken: Collection[int], start: int) -> Rank | None:
    """The first that is not taken, beginning among those who keep fewest with number `start`."""
    least = row[0][0]
    begin = bisect_left(row, (least, start))
    for place in range(begin, len(row)):
        if row[place][0] > least:
            break
        if row[place][1] not in taken:
            return row[place]
    return next((rank for rank in row if rank[1] not in taken), None)


def _replace(row: list[Rank], before: Rank, after: Rank) -> None:
    del row[bisect_left(row, before)]
    insort(row, after)
