"""The plan: every word of its docstring, as a property."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.assignment.model import Candidate, TaskId, Work
from streamz_actors.assignment.plan import plan

Owners = Mapping[TaskId, str]
IN = frozenset({"in"})
MORE = frozenset({"in", "more"})


def works(stateful: int, stateless: int, subs: int = 1) -> list[Work]:
    kinds = [("kept", True)] * stateful + [("free", False)] * stateless
    return [
        Work(TaskId(f"{name}{number % subs}", number // subs), IN, state) for number, (name, state) in enumerate(kinds)
    ]


def members(*holds: Sequence[TaskId], topics: frozenset[str] = IN) -> list[Candidate]:
    return [Candidate(f"m{number:02}", topics, frozenset(held)) for number, held in enumerate(holds)]


@st.composite
def groups(draw: st.DrawFn, most_tasks: int = 30, most_members: int = 7) -> tuple[list[Work], list[Candidate]]:
    """Tasks and members of one release; some tasks are held, some by nobody, some by members that say so wrongly."""
    tasks = works(
        draw(st.integers(0, most_tasks // 2)), draw(st.integers(0, most_tasks // 2)), draw(st.integers(1, 3))
    )
    count = draw(st.integers(1, most_members))
    holds: list[list[TaskId]] = [[] for _ in range(count)]
    for task in tasks:
        for holder in draw(st.lists(st.integers(-1, count - 1), max_size=2)):
            if holder >= 0:
                holds[holder].append(task.id)
    holds[0].append(TaskId("gone", 0))
    generations = draw(st.lists(st.integers(-1, 3), min_size=count, max_size=count))
    named = members(*holds)
    return tasks, [
        Candidate(member.id, member.topics, member.holds, generation)
        for member, generation in zip(named, generations, strict=True)
    ]


def holders(tasks: Sequence[Work], candidates: Sequence[Candidate]) -> dict[TaskId, str]:
    """Who has what beforehand: of several that say so, the one of the latest generation, then the first by id."""
    found: dict[TaskId, str] = {}
    for member in sorted(candidates, key=lambda member: (-member.generation, member.id)):
        for task in tasks:
            if task.id in member.holds and task.topics <= member.topics:
                found.setdefault(task.id, member.id)
    return found


def moves(tasks: Sequence[Work], candidates: Sequence[Candidate], outcome: Owners) -> int:
    return sum(outcome[task] != holder for task, holder in holders(tasks, candidates).items())


def spread(outcome: Owners, candidates: Sequence[Candidate], tasks: Sequence[Work]) -> int:
    """By how much the loads of the members differ, counting only `tasks`."""
    counts = Counter({member.id: 0 for member in candidates})
    counts.update(outcome[task.id] for task in tasks)
    return max(counts.values()) - min(counts.values())


@given(groups())
def test_every_task_has_exactly_one_owner_and_nothing_else_is_given_out(
    group: tuple[list[Work], list[Candidate]],
) -> None:
    tasks, candidates = group
    outcome = plan(tasks, candidates).owners
    assert outcome.keys() == {task.id for task in tasks}
    assert set(outcome.values()) <= {member.id for member in candidates}


@given(groups())
def test_loads_differ_by_one_at_the_most_in_all_and_of_tasks_with_state(
    group: tuple[list[Work], list[Candidate]],
) -> None:
    tasks, candidates = group
    outcome = plan(tasks, candidates).owners
    assert spread(outcome, candidates, tasks) <= 1
    assert spread(outcome, candidates, [task for task in tasks if task.stateful]) <= 1


@given(groups(most_tasks=8, most_members=3))
def test_no_balanced_outcome_moves_fewer_tasks(group: tuple[list[Work], list[Candidate]]) -> None:
    tasks, candidates = group
    before = holders(tasks, candidates)
    fewest = len(tasks)
    for owners in product([member.id for member in candidates], repeat=len(tasks)):
        other = {task.id: owner for task, owner in zip(tasks, owners, strict=True)}
        moved = sum(other[task] != holder for task, holder in before.items())
        if moved < fewest and spread(other, candidates, tasks) <= 1:
            stateful = [task for task in tasks if task.stateful]
            fewest = moved if spread(other, candidates, stateful) <= 1 else fewest
    assert moves(tasks, candidates, plan(tasks, candidates).owners) <= fewest


@given(groups())
def test_a_plan_that_is_carried_out_stays_as_it_is(group: tuple[list[Work], list[Candidate]]) -> None:
    tasks, candidates = group
    outcome = plan(tasks, candidates).owners
    after = [
        Candidate(member.id, member.topics, frozenset(task for task, owner in outcome.items() if owner == member.id))
        for member in candidates
    ]
    assert plan(tasks, after).owners == outcome


@given(groups(), st.randoms(use_true_random=False))
def test_the_order_of_the_arguments_does_not_matter(group: tuple[list[Work], list[Candidate]], random: object) -> None:
    tasks, candidates = group
    outcome = plan(tasks, candidates).owners
    random.shuffle(tasks)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    random.shuffle(candidates)  # type: ignore[attr-defined]
    assert plan(tasks, candidates).owners == outcome


@given(groups(), st.data())
def test_nobody_gets_what_it_does_not_subscribe_to_and_all_that_somebody_may_have_is_given_out(
    group: tuple[list[Work], list[Candidate]], data: st.DataObject
) -> None:
    tasks, candidates = group
    topics = st.sampled_from([IN, frozenset({"more"}), MORE])
    reads = {sub: data.draw(topics) for sub in sorted({task.id.sub for task in tasks})}
    tasks = [Work(task.id, reads[task.id.sub], task.stateful) for task in tasks]
    candidates = [Candidate(member.id, data.draw(topics), member.holds) for member in candidates]
    outcome = plan(tasks, candidates).owners
    by_id = {member.id: member for member in candidates}
    for task in tasks:
        if any(task.topics <= member.topics for member in candidates):
            assert task.topics <= by_id[outcome[task.id]].topics
        else:
            assert task.id not in outcome
    counts = Counter({member.id: 0 for member in candidates})
    counts.update(outcome.values())
    for task in tasks:
        if task.id in outcome and not task.stateful:
            lightest = min(counts[member.id] for member in candidates if task.topics <= member.topics)
            assert counts[outcome[task.id]] - lightest <= 1, "moving this task alone would balance better"


def test_what_is_given_up_comes_from_the_sub_topology_of_which_the_member_has_most() -> None:
    tasks = works(0, 0) + [Work(TaskId("large", number), IN, False) for number in range(6)]
    tasks += [Work(TaskId("small", number), IN, False) for number in range(2)]
    outcome = plan(tasks, members([task.id for task in tasks], [])).owners
    assert Counter(task.sub for task, owner in outcome.items() if owner == "m01") == {"large": 4}


def test_without_members_nothing_is_given_out() -> None:
    assert plan(works(2, 2), []).owners == {}


def test_the_partitions_of_each_sub_topology_are_spread_at_a_first_start() -> None:
    tasks = [Work(TaskId(sub, number), IN, False) for sub in ("a", "b") for number in range(4)]
    outcome = plan(tasks, members([], [])).owners
    assert Counter((task.sub, owner) for task, owner in outcome.items()) == Counter(
        {(sub, member): 2 for sub in ("a", "b") for member in ("m00", "m01")}
    )
