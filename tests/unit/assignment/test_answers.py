"""What members are told of a plan: their own copies always, those of others if there is room, whom to fence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest

from streamz_actors import App
from streamz_actors.assignment.answers import FENCERS, LARGEST_GENERATION
from streamz_actors.assignment.assignor import GroupAssignor
from streamz_actors.assignment.wire import Member, Ownership, pack, unpack_ownership
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.transport.abc import Offer, Share

EVENTS = frozenset({"events"})


def application(**tables: int | None) -> App:
    """One sub-topology with a table for each of `tables`, which says how many standbys it wants."""
    app = App("large")
    events = app.topic("events", key_type=str, value_type=int)
    made = [app.table(name, key_type=str, value_type=int, standby_replicas=wanted) for name, wanted in tables.items()]

    @app.agent(events, tables=made)
    async def follow(stream: object) -> None:
        """Never runs."""

    return app


class Group:
    """Members that hear what the first of them has planned, and say next time what they were told."""

    def __init__(self, *members: Member, standbys: int = 1, app: App | None = None) -> None:
        self.members = {member.worker: member for member in members}
        self.told: dict[str, Ownership] = {}
        self.shares: Mapping[str, Share] = {}
        topology = (app or application(counts=None)).frozen()

        def subs(counts: Mapping[str, int]) -> Sequence[SubTopology]:
            return split(topology, counts, 8)

        self._subs, self._standbys = subs, standbys

    @property
    def offers(self) -> list[Offer]:
        return [Offer(f"{one.worker}-id", EVENTS, pack(one)) for one in self.members.values()]

    def rebalance(self, partitions: int) -> None:
        def told(ownership: Ownership | None, generation: int, member_id: str, leader: bool) -> None:
            """What is told does not matter."""

        leader = GroupAssignor(lambda: next(iter(self.members.values())), self._subs, told, self._standbys)
        self.shares = leader.assign(self.offers, {"events": partitions})
        for name in self.members:
            share = self.shares[f"{name}-id"]
            ownership = unpack_ownership(share.user_data)
            assert ownership is not None
            self.told[name] = ownership

    def carry_out(self) -> None:
        """All is up to date, and everybody has fenced whom it was to fence."""
        for name, member in self.members.items():
            own = self.told[name].own
            kept: dict[int, int] = {}
            for copies in (own.standbys, own.warmups):
                kept |= dict.fromkeys(copies.get("events", ()), 0)
            runs = tuple(sorted(self.given(name)))
            self.members[name] = replace(
                member, generation=5, tasks={"events": runs}, copies={"events": kept}, known=own.peers
            )

    def given(self, name: str) -> set[int]:
        """The tasks that a member was given."""
        return {place.partition for place in self.shares[f"{name}-id"].partitions}

    @property
    def size(self) -> int:
        """Bytes of the generation, without what Kafka adds."""
        said = sum(len(offer.user_data) + sum(map(len, offer.topics)) for offer in self.offers)
        return said + sum(len(share.user_data) + 4 * len(share.partitions) for share in self.shares.values())


def member(worker: str, rack: str = "", transactional: bool = True) -> Member:
    id_ = f"large-{worker}" if transactional else ""
    return Member(worker, f"http://{worker}", 1_700_000_000_000, -1, {}, 0, {}, {}, rack, id_)


def crowd(count: int, partitions: int, *, transactional: bool = True) -> Group:
    """A large group in which everybody has tasks and copies in no order, most copies with some lag."""
    tasks = list(range(partitions))
    Random(7).shuffle(tasks)
    chance = Random(8)
    members = [
        replace(
            member(f"worker-{number:04}.example.org-6066", f"zone-{number % 3}", transactional),
            generation=41,
            tasks={"events": tuple(tasks[number::count])},
            copies={"events": {place: chance.randrange(3_000) for place in tasks[(number + 1) % count :: count]}},
            known=tuple(f"large-worker-{(number + other) % count:04}.example.org-6066" for other in range(1, 5)),
        )
        for number in range(count)
    ]
    return Group(*members)


# -- copies


def test_everybody_is_told_its_own_copies_and_those_of_all() -> None:
    group = Group(member("a"), member("b"), member("c"))
    group.rebalance(9)
    for name, told in group.told.items():
        mine = {number for number in range(9) if name in [host.worker for host in told.standbys("events", number)]}
        assert mine == set(told.own.standbys["events"])
        assert told.own.warmups == {}
    assert sum(len(told.own.standbys["events"]) for told in group.told.values()) == 9


def test_warm_ups_are_told_to_who_is_to_bring_them_up() -> None:
    group = Group(member("a"), member("b"))
    group.rebalance(6)
    group.carry_out()
    group.members["c"] = member("c")
    group.rebalance(6)
    warmups = group.told["c"].own.warmups["events"]
    assert len(warmups) == 2
    assert group.given("c") == set()
    for number in warmups:
        assert group.told["a"].standbys("events", number)[-1].worker == "c"
    group.carry_out()
    group.rebalance(6)
    assert group.given("c") == set(warmups)


@pytest.mark.parametrize(
    ("setting", "tables", "expected"),
    [(2, {"counts": None}, 2), (2, {"counts": 0}, 0), (0, {"counts": 1, "names": None}, 1), (1, {"a": 0, "b": 3}, 3)],
)
def test_a_task_has_as_many_standbys_as_the_table_that_wants_most(
    setting: int, tables: Mapping[str, int | None], expected: int
) -> None:
    group = Group(*map(member, "abcde"), standbys=setting, app=application(**tables))
    group.rebalance(4)
    assert {len(group.told["a"].standbys("events", place)) for place in range(4)} == {expected}


def test_nobody_keeps_a_copy_of_what_is_not_there() -> None:
    group = Group(member("a"), member("b"))
    group.rebalance(2)
    told = group.told["a"]
    assert [told.standbys("events", place) for place in (-1, 2)] == [(), ()]
    assert told.standbys("other", 0) == ()


# -- size


@pytest.mark.parametrize(("workers", "partitions"), [(10, 1_000), (60, 4_000), (150, 1_500), (1_000, 10_000)])
@pytest.mark.parametrize("transactional", [False, True])
def test_a_generation_stays_below_what_kafka_takes_in_one_record(
    workers: int, partitions: int, transactional: bool
) -> None:
    group = crowd(workers, partitions, transactional=transactional)
    group.rebalance(partitions)
    assert group.size + 150 * workers < 950_000
    assert sum(len(share.partitions) for share in group.shares.values()) == partitions


def test_in_a_group_too_large_all_are_told_their_own_copies_and_the_leader_all() -> None:
    group = crowd(1_000, 10_000)
    group.rebalance(10_000)
    leader, *others = group.told.values()
    assert len(leader.hosts) == 1_000
    copies: dict[int, int] = {}
    for told in group.told.values():
        for place in told.own.standbys["events"]:
            copies[place] = copies.get(place, 0) + 1
    assert copies == dict.fromkeys(range(10_000), 1)
    for told in others:
        assert not told.tasks
        assert not told.copies
        assert [host.worker for host in told.hosts] == [told.leader] == [leader.leader]


def test_before_that_the_copies_of_others_are_left_out() -> None:
    group = crowd(150, 1_500)
    group.rebalance(1_500)
    leader, *others = group.told.values()
    assert len(leader.copies["events"]) == 1_500
    for told in others:
        assert told.copies == {}
        assert len(told.tasks["events"]) == 1_500
        assert told.own.standbys["events"]
    small = crowd(50, 1_000)
    small.rebalance(1_000)
    assert {len(told.copies["events"]) for told in small.told.values()} == {1_000}
    assert small.size < LARGEST_GENERATION


# -- whom to fence


def test_who_is_gone_is_fenced_by_some_of_those_who_take_its_tasks_over() -> None:
    group = Group(*(member(name) for name in "abcdefgh"))
    group.rebalance(32)
    assert {told.own.fence for told in group.told.values()} == {()}
    group.carry_out()
    del group.members["a"], group.members["b"]  # a led
    before = {name: one.tasks["events"] for name, one in group.members.items()}
    group.rebalance(32)
    fencers = {name: told.own.fence for name, told in group.told.items() if name in group.members and told.own.fence}
    fenced = [one for fence in fencers.values() for one in fence]
    assert sorted(fenced) == sorted(["large-a", "large-b"] * FENCERS)
    for name in fencers:
        assert group.given(name) - set(before[name])


def test_who_has_fenced_it_does_not_say_it_again_and_who_has_not_does() -> None:
    group = Group(*(member(name) for name in "abc"))
    group.rebalance(6)
    group.carry_out()
    del group.members["c"]
    group.rebalance(6)
    unfenced = next(name for name in "ab" if group.told[name].own.fence == ("large-c",))
    group.carry_out()
    last = group.members[unfenced]
    group.members[unfenced] = replace(last, known=(*last.known, "large-c"), tasks={})
    group.rebalance(6)
    assert ("large-c",) in {told.own.fence for name, told in group.told.items() if name in group.members}
    group.carry_out()
    group.rebalance(6)
    assert {group.told[name].own.fence for name in "ab"} == {()}


def test_who_came_back_under_its_id_is_not_fenced() -> None:
    group = Group(*(member(name) for name in "abc"))
    group.rebalance(6)
    group.carry_out()
    group.members["c"] = replace(member("c"), since=1_700_000_000_001)
    group.rebalance(6)
    assert {told.own.fence for told in group.told.values()} == {()}


def test_without_transactions_nobody_is_to_be_remembered() -> None:
    group = Group(*(member(name, transactional=False) for name in "abc"))
    group.rebalance(6)
    assert {told.own.peers for told in group.told.values()} == {()}


def test_everybody_is_remembered_by_others_and_nobody_by_itself() -> None:
    group = Group(*(member(name) for name in "abcdefghij"))
    group.rebalance(10)
    for name, told in group.told.items():
        assert f"large-{name}" not in told.own.peers
        assert sum(f"large-{name}" in other.own.peers for other in group.told.values()) == 4
