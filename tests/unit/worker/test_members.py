"""A worker's place in its group: when what it has may be kept, who leads, who does not know its address."""

from collections.abc import Collection

import pytest

from streamz_actors.assignment.wire import Host, Ownership
from streamz_actors.types import TopicPartition
from streamz_actors.worker.members import Membership

IN = TopicPartition("in", 0)
OTHER = TopicPartition("in", 1)


class Notes:
    """A consumer that writes down what it is told to do."""

    def __init__(self) -> None:
        self.paused: set[TopicPartition] = set()
        self.sought: dict[TopicPartition, int] = {}
        self.rejoined = 0

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self.paused |= set(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought[partition] = offset

    async def rejoin(self) -> None:
        self.rejoined += 1


async def nothing() -> None:
    """No tasks, nothing to bring to rest."""


def membership() -> tuple[Membership, Notes]:
    notes = Notes()
    members = Membership("me", nothing, lambda: {IN: 7, OTHER: 9}, lambda: None)
    members.consumer = notes  # type: ignore[assignment]  # as much of one as is asked for
    return members, notes


def ownership(*workers: str, leader: str = "me") -> Ownership:
    return Ownership(leader, tuple(Host(name, f"http://{name}") for name in workers), {"in": (0,)})


@pytest.mark.parametrize(
    ("generation", "member_id", "lost"),
    [(5, "a", False), (6, "a", False), (7, "a", True), (4, "a", True), (6, "b", True)],
)
async def test_what_it_has_is_kept_only_if_it_missed_no_generation(generation: int, member_id: str, lost: bool) -> None:
    members, notes = membership()
    members.told(ownership("me"), 5, "a", True)
    members.on_assigned(frozenset({IN}))
    assert notes.sought == {IN: 7}
    notes.sought.clear()
    await members.on_revoked(frozenset({IN}))
    members.told(ownership("me"), generation, member_id, True)
    members.on_assigned(frozenset({IN}))
    assert members.lost == lost
    assert notes.paused == {IN}
    assert notes.sought == ({} if lost else {IN: 7})
    assert members.member("", 0, {"in": (0,)}).tasks == ({} if lost else {"in": (0,)})


async def test_a_rebalance_lasts_from_the_revocation_to_the_assignment() -> None:
    members, _ = membership()
    members.told(ownership("me"), 1, "a", True)
    members.on_assigned(frozenset({IN}))
    members.pending = False
    await members.on_revoked(frozenset({IN}))
    assert (members.rebalancing, members.pending) == (True, False)
    members.on_assigned(frozenset())
    assert (members.rebalancing, members.pending) == (False, True)
    assert members.assigned == frozenset()


def test_the_leader_is_who_made_the_plan_by_name() -> None:
    members, _ = membership()
    assert not members.leads
    members.told(ownership("me", "you"), 1, "a", True)
    assert members.leads
    members.told(ownership("me", "you", leader="you"), 2, "a", False)
    assert not members.leads
    members.told(ownership("me", "you"), 2, "b", False)
    assert members.leads, "a static leader came back: the group does not say that it leads, the plan does"
    members.told(None, 3, "b", True)
    assert not members.leads


def test_of_two_workers_of_one_name_only_the_one_that_made_the_plan_leads() -> None:
    for leader in (True, False):
        members, _ = membership()
        members.told(ownership("me", "me"), 1, "a", leader)
        assert bool(members.leads) == leader


def test_an_address_that_the_others_do_not_have_is_noticed_once() -> None:
    members, _ = membership()
    assert not members.unknown("http://me")
    members.told(ownership("me", "you"), 1, "a", True)
    assert not members.unknown("http://me")
    assert members.unknown("http://elsewhere")
    assert not members.unknown("http://elsewhere")


async def test_each_time_it_asks_for_a_rebalance_it_says_something_new() -> None:
    members, notes = membership()
    said = [members.member("", 0, {})]
    for _ in range(2):
        await members.rejoin()
        said.append(members.member("", 0, {}))
    assert notes.rejoined == 2
    assert len({member.nonce for member in said}) == 3
