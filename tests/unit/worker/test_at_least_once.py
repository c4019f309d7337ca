"""When a commit is due under at-least-once."""

from types import SimpleNamespace
from typing import Any, cast

from streamz_actors.worker.at_least_once import AtLeastOnce
from streamz_actors.worker.committing import Parts


class FakeTask:
    name, dirty, settled, committable_now = "t-0", 0, False, False

    def __init__(self) -> None:
        self.barrier = SimpleNamespace(held=False, hold=lambda: None)

    def follow(self) -> bool:
        return False


def committing(running: list[FakeTask], there: dict[str, FakeTask]) -> AtLeastOnce:
    assigned = SimpleNamespace(running=lambda: running, by_name=there, drop_all=lambda: None)
    members = SimpleNamespace(rebalancing=False, pending=False, assigned=None)
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    parts: Any = SimpleNamespace(assigned=assigned, members=members, clock=clock, interval=1.0, wake=lambda: None)
    made = AtLeastOnce(cast(Parts, parts))
    made.begin()
    return made


def test_a_task_that_was_in_the_middle_of_a_step_makes_a_commit_due_when_it_can_be_committed() -> None:
    task = FakeTask()
    commits = committing([task], {task.name: task})
    assert not commits._stands(cast(Any, task), waits=False)
    assert not commits.due
    task.committable_now = True
    assert commits.due


def test_one_of_the_same_name_that_is_being_restored_makes_none_due() -> None:
    task, restored = FakeTask(), FakeTask()
    restored.committable_now = True
    running = [task]
    commits = committing(running, {task.name: restored})
    assert not commits._stands(cast(Any, task), waits=False)
    running.clear()
    assert not commits.due
