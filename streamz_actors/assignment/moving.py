"""From where tasks are to where they should be: a task moves when its state is there, brought up beforehand."""

from collections.abc import Collection, Mapping, Sequence

from streamz_actors.assignment.copies import Copies
from streamz_actors.assignment.model import UNKNOWN_LAG, Candidate, TaskId, Work


def owners(
    tasks: Collection[Work], goal: Mapping[TaskId, int], members: Sequence[Candidate], copies: Copies
) -> dict[TaskId, int]:
    """Who runs each task until the goal can be reached."""
    found: dict[TaskId, int] = {}
    for task in tasks:
        target = goal.get(task.id)
        if target is not None:
            waits = members[target].copies is not None and not copies.near(task, target)
            found[task.id] = _meanwhile(task, target, copies) if waits else target
    return found


def _meanwhile(task: Work, target: int, copies: Copies) -> int:
    """Who has the task until its target is ready: who runs it if up to date, else the copy that is least behind."""
    holder = copies.holders.get(task.id)
    if holder is not None and copies.near(task, holder):
        return holder
    lags = {number: lag for number, lag in copies.of(task).items() if lag < UNKNOWN_LAG}
    return min(lags, key=lambda number: (lags[number], number != holder, number), default=target)


class Warmups:
    """Copies that are brought up for moves, at most so many for each member at a time; those least behind first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[int, int] = {}
        self.granted: dict[TaskId, tuple[int, ...]] = {}

    def grant(self, wanted: Collection[tuple[Work, int]], copies: Copies) -> None:
        """`wanted` are tasks and the members that they, or standbys of them, are to move to."""
        for _, _, task, number in sorted(
            (number not in copies.of(task), copies.of(task).get(number, 0), task.id, number) for task, number in wanted
        ):
            if self._counts.get(number, 0) < self._most and number not in self.granted.get(task, ()):
                self._counts[number] = self._counts.get(number, 0) + 1
                self.granted[task] = (*self.granted.get(task, ()), number)
