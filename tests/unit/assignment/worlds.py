"""Groups to plan for, made up by hypothesis, and what becomes of them when a plan is carried out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from streamz_actors.assignment.model import UNKNOWN_LAG, Candidate, TaskId, Work
from streamz_actors.assignment.plan import ACCEPTABLE_LAG, Plan

IN = frozenset({"in"})
MORE = frozenset({"in", "more"})
FAR = ACCEPTABLE_LAG + 1
LAGS = st.sampled_from([0, 7, ACCEPTABLE_LAG, FAR, 5 * FAR, UNKNOWN_LAG])


@dataclass(frozen=True)
class World:
    tasks: list[Work]
    members: list[Candidate]

    def holders(self) -> dict[TaskId, str]:
        """Who has what beforehand: of several that say so, the one of the latest generation, then the first by id."""
        found: dict[TaskId, str] = {}
        for member in sorted(self.members, key=lambda member: (-member.generation, member.id)):
            for task in self.tasks:
                if task.id in member.holds and task.topics <= member.topics:
                    found.setdefault(task.id, member.id)
        return found

    def lags(self, task: Work) -> dict[str, int]:
        """What is known of a task's copies where it may run."""
        lags = {
            member.id: member.copies[task.id]
            for member in self.members
            if member.copies is not None and task.id in member.copies and task.topics <= member.topics
        }
        holder = self.holders().get(task.id)
        return lags if holder is None else {holder: 0, **lags}

    def small(self, task: Work) -> bool:
        return any(task.id in member.small for member in self.members)

    def keepers(self) -> list[Candidate]:
        return [member for member in self.members if member.copies is not None]

    def after(self, plan: Plan, lags: Mapping[tuple[str, TaskId], int] | None = None) -> "World":
        """The group when a plan has been carried out: copies are near the head, if `lags` does not say otherwise."""
        known = lags or {}
        held: dict[str, set[TaskId]] = {}
        copies: dict[str, dict[TaskId, int]] = {}
        for task, owner in plan.owners.items():
            held.setdefault(owner, set()).add(task)
        for kept in (plan.standbys, plan.warmups):
            for task, keepers in kept.items():
                for keeper in keepers:
                    copies.setdefault(keeper, {})[task] = known.get((keeper, task), 0)
        return World(
            self.tasks,
            [
                replace(
                    member,
                    holds=frozenset(held.get(member.id, ())),
                    generation=5,
                    copies=None if member.copies is None else copies.get(member.id, {}),
                )
                for member in self.members
            ],
        )


@st.composite
def worlds(draw: st.DrawFn, most_tasks: int = 16, most_members: int = 6, racks: int = 3) -> World:
    """Tasks of three kinds, members with and without copies of some; what they hold may contradict itself."""
    tasks = [
        Work(TaskId(f"{kind}{number % 2}", number // 2), IN, kind != "free", kind == "kept", standbys)
        for kind in ("kept", "lost", "free")
        for standbys in [draw(st.integers(0, 3)) if kind == "kept" else 0]
        for number in range(draw(st.integers(0, most_tasks if kind == "kept" else most_tasks // 4)))
    ]
    count = draw(st.integers(1, most_members))
    some = st.sets(st.sampled_from([task.id for task in tasks]), max_size=most_tasks) if tasks else st.just(set())
    rack = st.sampled_from(["", *(f"rack-{number}" for number in range(draw(st.integers(0, racks))))])
    members = [
        Candidate(
            f"m{number}",
            IN,
            frozenset({*draw(some), TaskId("gone", 0)}),
            draw(st.integers(-1, 3)),
            {task: draw(LAGS) for task in sorted(draw(some))} if draw(st.integers(0, 6)) else None,
            frozenset(draw(some)) if draw(st.integers(0, 4)) == 0 else frozenset(),
            draw(rack),
        )
        for number in range(count)
    ]
    return World(tasks, members)
