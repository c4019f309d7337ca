"""Finds the shortest schedule that still violates what a longer one violates, by leaving actions out."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from streamz_actors.testing import Faults
from tests.simulation.runs import Outcome, simulate
from tests.simulation.schedules import Action, Schedule

Fails = Callable[[Schedule], bool]
"""Whether the schedule still violates the same."""

TRIES = 150
"""Runs that it may take."""


def shrunk(outcome: Outcome) -> Outcome:
    """The same violation, by the shortest schedule found."""
    schedule = shrink(outcome.schedule, lambda shorter: simulate(shorter).invariant == outcome.invariant)
    return simulate(schedule)


def shrink(schedule: Schedule, fails: Fails, *, tries: int = TRIES) -> Schedule:
    """A part of `schedule`, perhaps on a better network, of which `fails` holds as it does of the whole.

    Chunks of actions are left out, half of them at first, then smaller ones (delta debugging, Zeller 1999).
    """
    budget = _Budget(fails, tries)
    schedule = _quieter(schedule, budget)
    chunk = max(1, len(schedule.actions) // 2)
    while budget.left:
        shorter = _without_chunks(schedule, chunk, budget)
        if chunk == 1 and shorter is schedule:
            break
        chunk = max(1, chunk // 2) if shorter is schedule else min(chunk, max(1, len(shorter.actions) // 2))
        schedule = shorter
    return _quieter(schedule, budget)


class _Budget:
    def __init__(self, fails: Fails, tries: int) -> None:
        self._fails, self.left = fails, tries

    def fails(self, schedule: Schedule) -> bool:
        """False as well when no try is left."""
        if not self.left:
            return False
        self.left -= 1
        return self._fails(schedule)


def _without_chunks(schedule: Schedule, size: int, budget: _Budget) -> Schedule:
    """Leaves out every chunk of this size that is not needed, the last ones first; the same object if none can go."""
    actions: Sequence[Action] = schedule.actions
    for start in reversed(range(0, len(actions), size)):
        fewer = replace(schedule, actions=(*schedule.actions[:start], *schedule.actions[start + size :]))
        if budget.fails(fewer):
            schedule = fewer
    return schedule


def _quieter(schedule: Schedule, budget: _Budget) -> Schedule:
    """With fewer faults, where that is enough."""
    faults = schedule.faults
    for name in ("refused", "lost", "unanswered", "late", "repeated", "slow", "split"):
        if getattr(faults, name):
            quieter = replace(schedule, faults=replace(faults, **{name: 0.0}))
            if budget.fails(quieter):
                schedule, faults = quieter, quieter.faults
    if faults.delay > Faults().delay:
        quicker = replace(schedule, faults=replace(faults, delay=Faults().delay))
        schedule = quicker if budget.fails(quicker) else schedule
    return schedule
