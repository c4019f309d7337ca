"""How far each task may go in event time, so that those of one sub-topology go together: `max_time_drift`."""

import math
from collections.abc import Collection, Iterable

from streamz_actors.tasks.task import Task, TaskStatus


class Alignment:
    """The tasks of one sub-topology on this worker; `drift` is in seconds.

    A task stands where its next record does. None is stepped beyond where the last of its siblings stands, plus the
    drift. One whose next record may be on its way holds all its siblings up; one that has nothing more does not, nor
    does one that does not run. So the last always goes on, or waits for what the broker will send.
    """

    def __init__(self, drift: float) -> None:
        self._drift = round(drift * 1_000)
        self._stands: dict[Task, float] = {}
        """Of those that run, as of the last turn."""

    def align(self, tasks: Iterable[Task]) -> None:
        """Says to the buffer of each where its runs end. To be called in each turn, before the tasks are stepped."""
        running = [task for task in tasks if task.status is TaskStatus.RUNNING and not task.frozen]
        self._stands = {task: self._stand(task) for task in running}
        siblings: dict[str, list[Task]] = {}
        for task in running:
            siblings.setdefault(task.sub.name, []).append(task)
        for group in siblings.values():
            self._bound(group)

    def _stand(self, task: Task) -> float:
        """What is in the middle of a step is not beyond it yet."""
        if task.stepping and task in self._stands:
            return self._stands[task]
        return task.buffer.head_time()

    def _bound(self, group: Collection[Task]) -> None:
        """The last is bound by the last but one, all others by it."""
        last = min(group, key=self._stands.__getitem__)
        others = min((self._stands[task] for task in group if task is not last), default=math.inf)
        for task in group:
            task.buffer.bound = (others if task is last else self._stands[last]) + self._drift
