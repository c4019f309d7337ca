"""What a plan is made of: tasks, and members with what they have at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

UNKNOWN_LAG: Final = 1 << 40
"""The lag of a copy of which nobody knows how far it is, or in which there is next to nothing yet: as good as none."""


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
