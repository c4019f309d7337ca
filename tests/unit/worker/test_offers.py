"""What a worker says as it joins, beside what it runs: copies, where it stands, whom others or itself should fence."""

from streamz_actors.assignment.wire import Host, Member, Own, Ownership
from streamz_actors.worker.members import Membership


async def nothing() -> None:
    """No tasks, nothing to bring to rest."""


def membership() -> Membership:
    members = Membership("me", nothing, dict, lambda: None)
    members.rack, members.transactional_id = "here", "app-me"
    return members


def told(*peers: str, fence: tuple[str, ...] = ()) -> Ownership:
    return Ownership("me", (Host("me", ""),), {"in": (0,)}, {}, Own({}, {}, peers, fence))


def offer(members: Membership) -> Member:
    return members.member("http://me", 7, {"in": (0,)}, {"in": {1: 40}}, {"in": (0,)})


def test_it_says_its_copies_its_rack_and_its_transactional_id() -> None:
    assert offer(membership()) == Member(
        "me", "http://me", 7, -1, {"in": (0,)}, 0, {"in": {1: 40}}, {"in": (0,)}, "here", "app-me"
    )


def test_who_has_lost_its_place_has_its_copies_still() -> None:
    members = membership()
    members.lost = True
    said = offer(members)
    assert (said.tasks, said.small, said.copies) == ({}, {}, {"in": {1: 40}})


def test_it_remembers_its_peers_and_whom_it_has_not_fenced_yet() -> None:
    members = membership()
    members.told(told("app-a", "app-b"), 1, "id", leader=True)
    assert offer(members).known == ("app-a", "app-b")
    members.told(told("app-b", fence=("app-a",)), 2, "id", leader=True)
    assert members.to_fence == ("app-a",)
    members.told(told("app-c", fence=("app-b",)), 3, "id", leader=True)
    assert offer(members).known == ("app-c", "app-a", "app-b")
    members.fenced(["app-a"])
    assert members.to_fence == ("app-b",)
    members.fenced(["app-b"])
    assert offer(members).known == ("app-c",)


def test_an_answer_that_cannot_be_read_leaves_what_is_to_be_fenced() -> None:
    members = membership()
    members.told(told("app-a", fence=("app-b",)), 1, "id", leader=True)
    members.told(None, 2, "id", leader=False)
    assert offer(members).known == ("app-b",)
