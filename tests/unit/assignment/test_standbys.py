"""Plans with copies: where tasks run while state is brought up, who keeps standbys, and that it comes to an end."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.assignment.copies import Copies
from streamz_actors.assignment.model import UNKNOWN_LAG, Candidate, TaskId, Work
from streamz_actors.assignment.plan import ACCEPTABLE_LAG, MAX_WARMUPS, Plan, plan, ready
from tests.unit.assignment.worlds import FAR, IN, LAGS, MORE, World, worlds

slow = settings(deadline=None, max_examples=60)


def settled(world: World) -> tuple[World, Plan, list[Plan]]:
    """Carries plans out until they stay as they are; raises AssertionError if they do not."""
    plans: list[Plan] = []
    for _ in range(2 * len(world.tasks) + 8):
        plans.append(plan(world.tasks, world.members))
        world = world.after(plans[-1])
        if len(plans) > 1 and plans[-1] == plans[-2] and not plans[-1].warmups:
            return world, plans[-1], plans
    raise AssertionError(f"no end: {plans[-3:]}")


def racks_of(world: World, members: list[str]) -> set[str]:
    return {member.rack for member in world.members if member.id in members}


# -- where tasks run


@slow
@given(worlds())
def test_each_task_has_one_owner(world: World) -> None:
    outcome = plan(world.tasks, world.members)
    assert outcome.owners.keys() == {task.id for task in world.tasks}
    assert set(outcome.owners.values()) <= {member.id for member in world.members}


@slow
@given(worlds())
def test_a_task_runs_where_its_state_is_near_the_head_if_that_is_anywhere_else_where_it_is_least_behind(
    world: World,
) -> None:
    outcome = plan(world.tasks, world.members)
    without = {member.id for member in world.members if member.copies is None}
    for task in world.tasks:
        lags, owner = world.lags(task), outcome.owners[task.id]
        lags = {one: lag for one, lag in lags.items() if lag < UNKNOWN_LAG}
        if not task.logged or not lags or world.small(task) or owner in without:
            continue
        assert owner in lags
        assert lags[owner] <= ACCEPTABLE_LAG or lags[owner] == min(lags.values())


@slow
@given(worlds())
def test_who_runs_a_task_and_is_up_to_date_loses_it_only_to_who_is_near_the_head_or_keeps_no_copies(
    world: World,
) -> None:
    outcome = plan(world.tasks, world.members)
    without = {member.id for member in world.members if member.copies is None}
    for task in world.tasks:
        holder, owner = world.holders().get(task.id), outcome.owners[task.id]
        if not task.logged or holder in (None, owner) or world.small(task):
            continue
        assert owner in without or world.lags(task).get(owner, FAR) <= ACCEPTABLE_LAG or world.lags(task)[holder]


@slow
@given(worlds())
def test_where_nobody_keeps_copies_tasks_move_at_once(world: World) -> None:
    bare = [Candidate(one.id, one.topics, one.holds, one.generation, None, one.small) for one in world.members]
    outcome = plan(world.tasks, bare)
    assert not outcome.standbys
    assert not outcome.warmups
    counts = Counter({member.id: 0 for member in bare})
    counts.update(outcome.owners.values())
    assert max(counts.values()) - min(counts.values()) <= 1


@slow
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_arguments_does_not_matter(world: World, random: object) -> None:
    outcome = plan(world.tasks, world.members)
    random.shuffle(world.tasks)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    random.shuffle(world.members)  # type: ignore[attr-defined]
    assert plan(world.tasks, world.members) == outcome


# -- warm-ups and where they lead to


@slow
@given(worlds())
def test_warm_ups_are_few_and_never_beside_their_task(world: World) -> None:
    outcome = plan(world.tasks, world.members)
    counts = Counter(one for members in outcome.warmups.values() for one in members)
    assert max(counts.values(), default=0) <= MAX_WARMUPS
    keepers = {member.id for member in world.keepers()}
    for task, members in outcome.warmups.items():
        assert outcome.owners[task] not in members
        assert set(members) <= keepers
        assert len(set(members)) == len(members)


@slow
@given(worlds())
def test_once_the_warm_ups_are_done_all_is_balanced_and_stays_as_it_is(world: World) -> None:
    end, outcome, _ = settled(world)
    for kind in (True, None):
        counts = Counter({member.id: 0 for member in end.members})
        counts.update(outcome.owners[task.id] for task in end.tasks if kind is None or task.stateful)
        assert max(counts.values()) - min(counts.values()) <= 1


@slow
@given(worlds())
def test_no_task_that_runs_moves_more_often_than_balance_asks(world: World) -> None:
    """Each at most once, and all together no more than there is to give away or to get."""
    kept = World([task for task in world.tasks if task.logged], world.members)
    holders = kept.holders()
    up_to_date = [
        Candidate(one.id, one.topics, one.holds, one.generation, None if one.copies is None else {}, rack=one.rack)
        for one in kept.members
    ]
    _, outcome, _ = settled(World(kept.tasks, up_to_date))
    counts = Counter({member.id: 0 for member in kept.members})
    counts.update(holders.values())
    least, rest = divmod(len(kept.tasks), len(kept.members))
    surplus = sum(max(0, count - least - (rest > 0)) for count in counts.values())
    lack = sum(max(0, least - count) for count in counts.values())
    missing = len(kept.tasks) - len(holders)
    moved = sum(outcome.owners[task] != holder for task, holder in holders.items())
    assert moved <= max(surplus, lack - missing, 0)


@slow
@given(worlds(), st.data())
def test_a_warm_up_that_has_begun_goes_on_until_it_is_ready(world: World, data: st.DataObject) -> None:
    """Whatever is ready first: the plan does not turn to other tasks or other members in the meantime."""
    first = plan(world.tasks, world.members)
    world = world.after(first)
    first = plan(world.tasks, world.members)
    for _ in range(3):
        lags = {(one, task): data.draw(LAGS) for task, members in first.warmups.items() for one in members}
        world = world.after(first, lags)
        second = plan(world.tasks, world.members)
        for (one, task), lag in lags.items():
            if lag > ACCEPTABLE_LAG and first.owners[task] == second.owners[task]:
                assert one in second.warmups.get(task, ()) or one in second.standbys.get(task, ())
        first = second


def test_a_new_member_gets_its_tasks_when_their_state_is_there() -> None:
    tasks = [Work(TaskId("t", number), IN, True, True) for number in range(6)]
    old = Candidate("old", IN, frozenset(task.id for task in tasks), 3, {})
    new = Candidate("new", IN, copies={})
    first = plan(tasks, [old, new])
    assert set(first.owners.values()) == {"old"}
    assert list(first.warmups.values()) == [("new",)] * MAX_WARMUPS
    _, outcome, plans = settled(World(tasks, [old, new]))
    assert Counter(outcome.owners.values()) == {"old": 3, "new": 3}
    assert [Counter(one.owners.values())["new"] for one in plans] == [0, 2, 3, 3]


def test_what_is_small_moves_at_once() -> None:
    tasks = [Work(TaskId("t", number), IN, True, True) for number in range(4)]
    held = frozenset(task.id for task in tasks)
    outcome = plan(tasks, [Candidate("old", IN, held, 3, {}, held), Candidate("new", IN, copies={})])
    assert Counter(outcome.owners.values()) == {"old": 2, "new": 2}
    assert not outcome.warmups


def test_a_task_that_is_being_restored_goes_to_a_copy_that_is_near_the_head() -> None:
    task = Work(TaskId("t", 0), IN, True, True)
    restoring = Candidate("a", IN, frozenset({task.id}), 3, {task.id: FAR})
    assert plan([task], [restoring, Candidate("b", IN, copies={task.id: 3})]).owners == {task.id: "b"}
    assert plan([task], [restoring, Candidate("b", IN, copies={task.id: FAR + 1})]).owners == {task.id: "a"}


def test_tasks_that_have_not_begun_to_be_restored_are_shared_with_who_comes_next() -> None:
    """As when all workers are started together: the first has got everything, and nothing of it is there yet."""
    tasks = [Work(TaskId("t", number), IN, True, True) for number in range(6)]
    held = frozenset(task.id for task in tasks)
    first = Candidate("first", IN, held, 1, dict.fromkeys(held, UNKNOWN_LAG))
    outcome = plan(tasks, [first, Candidate("next", IN, copies={})])
    assert Counter(outcome.owners.values()) == {"first": 3, "next": 3}
    assert not outcome.warmups


# -- promotion and standbys


def test_when_the_owner_is_gone_the_standby_that_is_least_behind_takes_over() -> None:
    tasks = [Work(TaskId("t", number), IN, True, True, 2) for number in range(3)]
    one = Candidate("a", IN, frozenset({tasks[0].id}), 3, {tasks[2].id: 40})
    two = Candidate("b", IN, frozenset({tasks[1].id}), 3, {tasks[2].id: 2})
    outcome = plan(tasks, [one, two, Candidate("c", IN, copies={})])
    assert outcome.owners == {tasks[0].id: "a", tasks[1].id: "b", tasks[2].id: "b"}
    assert outcome.warmups == {tasks[2].id: ("c",)}, "which takes the task over when it is ready, for balance"


def test_the_standbys_of_one_that_is_gone_are_spread_over_the_others() -> None:
    tasks = [Work(TaskId("t", number), IN, True, True, 1) for number in range(40)]
    world, outcome, _ = settled(World(tasks, [Candidate(f"m{number}", IN, copies={}) for number in range(5)]))
    left = World(tasks, world.members[1:])
    after = plan(tasks, left.members)
    moved = Counter(owner for task, owner in after.owners.items() if outcome.owners[task] == "m0")
    assert moved == {"m1": 2, "m2": 2, "m3": 2, "m4": 2}
    assert all(after.owners[task] in outcome.standbys[task] for task in after.owners if outcome.owners[task] == "m0")


@slow
@given(worlds())
def test_there_are_as_many_standbys_as_are_wanted_and_none_beside_its_task(world: World) -> None:
    for outcome in settled(world)[2]:
        for task in world.tasks:
            owner, standbys = outcome.owners[task.id], outcome.standbys.get(task.id, ())
            others = {member.id for member in world.keepers()} - {owner}
            assert set(standbys) <= others
            assert len(set(standbys)) == len(standbys) == (min(task.standbys, len(others)) if task.logged else 0)


@slow
@given(worlds())
def test_a_task_and_its_standbys_are_on_as_many_racks_as_can_be(world: World) -> None:
    end, outcome, _ = settled(world)
    for task in end.tasks:
        standbys = outcome.standbys.get(task.id, ())
        stand = racks_of(end, [outcome.owners[task.id], *standbys])
        there = racks_of(end, [outcome.owners[task.id], *(member.id for member in end.keepers())])
        assert len(stand) == min(1 + len(standbys), len(there))


@slow
@given(worlds(racks=0))
def test_standbys_are_as_even_as_moving_one_of_them_can_make_it(world: World) -> None:
    _, outcome, _ = settled(world)
    counts = Counter({member.id: 0 for member in world.keepers()})
    counts.update(one for members in outcome.standbys.values() for one in members)
    for task, members in outcome.standbys.items():
        free = counts.keys() - {outcome.owners[task], *members}
        assert all(counts[one] - counts[other] <= 1 for one in members for other in free)


@slow
@given(worlds())
def test_a_copy_near_the_head_is_not_given_up_for_one_that_is_not(world: World) -> None:
    """As many standbys are near the head as are wanted, if there are that many copies that are."""
    outcome = plan(world.tasks, world.members)
    keepers = {member.id for member in world.keepers()}
    for task in world.tasks:
        if task.logged and not world.small(task):
            lags = world.lags(task)
            near = {one for one in keepers - {outcome.owners[task.id]} if lags.get(one, FAR) <= ACCEPTABLE_LAG}
            standbys = outcome.standbys.get(task.id, ())
            assert len(near & set(standbys)) == min(len(near), len(standbys))


def test_a_copy_that_moves_stays_until_the_new_one_is_near() -> None:
    """One of two members that keep all copies gets a third beside them."""
    tasks = [Work(TaskId("t", number), IN, True, True, 1) for number in range(12)]
    world, before, _ = settled(World(tasks, [Candidate("a", IN, copies={}), Candidate("b", IN, copies={})]))
    world = World(tasks, [*world.members, Candidate("c", IN, copies={})])
    first = plan(tasks, world.members)
    assert first.owners == before.owners
    assert first.standbys == before.standbys
    assert sum(map(len, first.warmups.values())) == MAX_WARMUPS
    _, outcome, _ = settled(world)
    assert Counter(one for members in outcome.standbys.values() for one in members) == {"a": 4, "b": 4, "c": 4}


def test_a_task_without_changelogs_has_no_copies() -> None:
    task = Work(TaskId("t", 0), IN, True, False, 3)
    outcome = plan([task], [Candidate("a", IN, copies={}), Candidate("b", IN, copies={task.id: 0})])
    assert not outcome.standbys
    assert Copies([task], [Candidate("b", IN, copies={task.id: 0})], 0).lags == {}


def test_members_that_do_not_read_what_a_task_reads_keep_no_copies_of_it() -> None:
    task = Work(TaskId("t", 0), frozenset({"in", "new"}), True, True, 2)
    both = Candidate("a", frozenset({"in", "new"}), copies={})
    outcome = plan([task], [both, Candidate("b", IN, copies={task.id: 0}), Candidate("c", both.topics, copies={})])
    assert outcome.owners == {task.id: "a"}
    assert outcome.standbys == {task.id: ("c",)}


@slow
@given(worlds(), st.data())
def test_members_of_two_releases_have_only_what_they_read_and_it_comes_to_an_end(
    world: World, data: st.DataObject
) -> None:
    topics = st.sampled_from([IN, MORE])
    reads = {sub: data.draw(topics) for sub in sorted({task.id.sub for task in world.tasks})}
    mixed = World(
        [replace(task, topics=reads[task.id.sub]) for task in world.tasks],
        [replace(member, topics=data.draw(topics)) for member in world.members],
    )
    by_id = {member.id: member.topics for member in mixed.members}
    for outcome in settled(mixed)[2]:
        for task in mixed.tasks:
            allowed = {one for one, topics in by_id.items() if task.topics <= topics}
            assert (task.id in outcome.owners) is bool(allowed)
            assert {outcome.owners.get(task.id), *outcome.standbys.get(task.id, ())} - {None} <= allowed
            assert set(outcome.warmups.get(task.id, ())) <= allowed


def test_while_two_releases_meet_tasks_move_to_copies_as_well() -> None:
    tasks = [Work(TaskId("t", number), IN, True, True) for number in range(4)]
    held = frozenset(task.id for task in tasks)
    near = {tasks[0].id: 0, tasks[2].id: 0}
    members = [Candidate("old", IN, held, 1, {}), Candidate("new", MORE, copies=near)]
    assert {task for task, owner in plan(tasks, members).owners.items() if owner == "new"} == set(near)


def test_a_member_asks_when_one_of_its_warm_ups_is_near() -> None:
    assert ready([FAR, ACCEPTABLE_LAG])
    assert not ready([FAR, None])
    assert not ready([])
