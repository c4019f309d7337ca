"""Where state is at hand, and how far behind it is. Members are numbers here: places in the order of their ids."""

from collections.abc import Collection, Mapping, Sequence

from streamz_actors.assignment.model import Candidate, TaskId, Work


class Copies:
    """`holders` has for each task that somebody runs who that is; `lags` for each task that is logged the copies of it
    that are where it may be, with their lags: those of holders included.
    """

    def __init__(self, tasks: Collection[Work], members: Sequence[Candidate], acceptable_lag: int) -> None:
        by_id = {task.id: task for task in tasks}
        self._acceptable = acceptable_lag
        self._small = frozenset[TaskId]().union(*(member.small for member in members))
        self.holders = _holders(by_id, members)
        self.lags = _lags(by_id, members)
        for held, number in self.holders.items():
            if by_id[held].logged:
                self.lags.setdefault(held, {}).setdefault(number, 0)

    def of(self, task: Work) -> Mapping[int, int]:
        return self.lags.get(task.id, {})

    def near(self, task: Work, number: int) -> bool:
        """Whether a member could run a task at once, or nearly so."""
        if not task.logged or task.id in self._small:
            return True
        lag = self.of(task).get(number)
        return lag is not None and lag <= self._acceptable


def _holders(tasks: Mapping[TaskId, Work], members: Sequence[Candidate]) -> dict[TaskId, int]:
    """Who runs each task now, if it may: of several that say so, who knows of the latest generation."""
    holders: dict[TaskId, int] = {}
    for number, member in sorted(enumerate(members), key=lambda pair: (-pair[1].generation, pair[0])):
        for held in sorted(member.holds):  # equal input gives equal output, whatever this process hashes by
            task = tasks.get(held)
            if task is not None and held not in holders and task.topics <= member.topics:
                holders[held] = number
    return holders


def _lags(tasks: Mapping[TaskId, Work], members: Sequence[Candidate]) -> dict[TaskId, dict[int, int]]:
    lags: dict[TaskId, dict[int, int]] = {}
    for number, member in enumerate(members):
        for copied, lag in (member.copies or {}).items():
            task = tasks.get(copied)
            if task is not None and task.logged and task.topics <= member.topics:
                lags.setdefault(copied, {})[number] = lag
    return lags
