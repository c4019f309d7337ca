"""Who runs which task, and who keeps copies of it: one pure function of what there is and of what members say.

The outcome is, in this order:

    allowed     a member gets only tasks whose source topics it subscribes to (two releases of an application may meet)
    complete    every task that somebody may have has exactly one owner
    warm        a task with changelogs runs where its state is near the head, if that is so anywhere, else where it is
                least behind, if anything is there
    balanced    over the members, the numbers of tasks differ by one at the most; those of tasks with state, which cost
                most to keep and to move, do so among themselves as well
    sticky      of all such outcomes, one that moves the fewest tasks away from who holds them

A task is all its source partitions, so what is co-partitioned stays together. Where members subscribe to different
topics, balance is as good as moving single tasks can make it. The order of the arguments does not matter.

Where being warm stands against balance, balance comes later: the member that a task should move to brings up a copy of
it (a warm-up), says so when it is near the head, and the next plan moves the task. Kafka Streams does the same
(KIP-441), but looks every ten minutes whether one is ready. A member that keeps no copies, as one of an older release,
gets its tasks at once. Standbys are chosen for where tasks run now, and move in the same way: see `standbys`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streamz_actors.assignment.balance import balanced
from streamz_actors.assignment.copies import Copies
from streamz_actors.assignment.model import Candidate, TaskId, Work
from streamz_actors.assignment.moving import Warmups, owners
from streamz_actors.assignment.standbys import Standbys

ACCEPTABLE_LAG: Final = 10_000
"""Records that a copy may be behind and still be near the head: they are restored in a fraction of a second."""
MAX_WARMUPS: Final = 2
"""Warm-ups that one member has at a time: more of them would each take longer, and be in the way of its tasks.

Kafka Streams allows two in the whole group; here they do not add up anywhere, for each member reads by itself.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who has what, as member ids."""

    owners: Mapping[TaskId, str]
    """A task that no member may have is missing."""
    standbys: Mapping[TaskId, tuple[str, ...]] = field(default_factory=dict)
    """Those that keep a copy, where some are wanted."""
    warmups: Mapping[TaskId, tuple[str, ...]] = field(default_factory=dict)
    """Those whose copy is brought up for a move, of the task or of a standby; one may be a standby as well."""


def plan(
    tasks: Collection[Work],
    members: Collection[Candidate],
    *,
    acceptable_lag: int = ACCEPTABLE_LAG,
    max_warmups: int = MAX_WARMUPS,
) -> Plan:
    """Shares `tasks` and copies of them out: first where they should be in the end, then what of that can be now."""
    ordered = sorted(members, key=lambda member: member.id)
    copies = Copies(tasks, ordered, acceptable_lag)
    goal = balanced(tasks, ordered, copies)
    now = owners(tasks, goal, ordered, copies)
    warmups = Warmups(max_warmups)
    warmups.grant([(task, goal[task.id]) for task in tasks if task.id in now and now[task.id] != goal[task.id]], copies)
    standbys = Standbys(tasks, now, ordered, copies)
    chosen = standbys.choose()
    warmups.grant(standbys.soften(), copies)
    ids = [member.id for member in ordered]
    return Plan(
        {task: ids[number] for task, number in now.items()},
        {task: tuple(ids[number] for number in numbers) for task, numbers in chosen.items() if numbers},
        {task: tuple(ids[number] for number in numbers) for task, numbers in warmups.granted.items()},
    )


def ready(lags: Iterable[int | None]) -> bool:
    """Whether a member is to ask for a rebalance, given how far its warm-ups are behind (None: not known)."""
    return any(lag is not None and lag <= ACCEPTABLE_LAG for lag in lags)
