"""Two releases in one group, as in a rolling upgrade: format 1 and this one understand each other, whoever leads."""

from collections.abc import Mapping, Sequence

from streamz_actors import App
from streamz_actors.assignment.assignor import GroupAssignor
from streamz_actors.assignment.wire import Host, Member, Own, Ownership, pack, unpack_member, unpack_ownership
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.transport.abc import Offer
from tests.unit.assignment import former

TOPICS = frozenset({"events"})


def application() -> App:
    app = App("shop")
    app.stream(app.topic("events", key_type=str, value_type=int)).group_by_key().count(name="counts")
    return app


TOPOLOGY = application().frozen()


def subs(counts: Mapping[str, int]) -> Sequence[SubTopology]:
    return split(TOPOLOGY, counts, 8)


def member(worker: str, *held: int, copies: Mapping[int, int] | None = None) -> Member:
    return Member(
        worker, f"http://{worker}", 1, 3, {"events": held}, 1, {"events": copies or {}}, {}, "here", f"shop-{worker}"
    )


def old(worker: str, *held: int) -> former.Member:
    return former.Member(worker, f"http://{worker}", 1, 3, {"events": held})


def offer(said: Member | former.Member) -> Offer:
    data = pack(said) if isinstance(said, Member) else former.pack(said)
    return Offer(f"{said.worker}-id", TOPICS, data)


def leader(me: Member, standbys: int = 1) -> GroupAssignor:
    def told(ownership: Ownership | None, generation: int, member_id: str, leader: bool) -> None:
        """What is told does not matter."""

    return GroupAssignor(lambda: me, subs, told, standbys)


def test_what_the_former_release_wrote_is_read() -> None:
    assert unpack_member(former.OFFER) == Member(
        "worker-1-6066", "http://worker-1:6066", 1700000000000, 41, {"events": (0, 2), "orders": (1,)}, 3
    )
    assert unpack_ownership(former.ANSWER) == Ownership(
        "worker-1-6066",
        (Host("worker-1-6066", "http://worker-1:6066"), Host("worker-2-6066", "")),
        {"events": (0, 1, 0), "orders": (-1, 0)},
    )


def test_the_former_release_reads_what_is_written_now() -> None:
    said = member("new", 2, copies={5: 17})
    assert former.unpack(pack(said), former.Member) == former.Member(
        "new", "http://new", 1, 3, {"events": (2,)}, 1
    )
    own = Own({"events": (0,)}, {}, ("shop-b",), ("shop-c",))
    told = Ownership("new", (Host("new", ""),), {"events": (0,)}, {"events": ((0,),)}, own)
    assert former.unpack(pack(told), former.Ownership) == former.Ownership(
        "new", (former.Host("new", ""),), {"events": (0,)}
    )


def test_a_leader_of_this_release_gives_members_of_the_former_one_their_tasks_and_no_copies() -> None:
    ours, others = [member("a", 0, 1), member("b", 2, 3)], [old("c", 4, 5), old("d")]
    offers = [*map(offer, ours), *map(offer, others)]
    shares = leader(ours[0]).assign(offers, {"events": 8})
    assert sorted(place.partition for share in shares.values() for place in share.partitions) == list(range(8))
    assert {len(share.partitions) for share in shares.values()} == {2}
    told = unpack_ownership(shares["a-id"].user_data)
    assert told is not None
    for partition in range(8):
        owner = told.owner("events", partition)
        assert owner is not None
        standbys = {host.worker for host in told.standbys("events", partition)}
        assert standbys == {"a", "b"} - {owner.worker} if owner.worker in "ab" else len(standbys) == 1
    for name in "cd":
        heard = former.unpack(shares[f"{name}-id"].user_data, former.Ownership)
        assert heard is not None
        assert heard.leader == "a"
        assert [host.worker for host in heard.hosts] == ["a", "b", "c", "d"]
        assert heard.tasks == told.tasks


def test_a_leader_of_the_former_release_gives_tasks_and_no_copies() -> None:
    offers = [offer(old("a", 0, 1)), offer(member("b", 2, 3, copies={0: 0})), offer(member("c", copies={1: 40}))]
    shares = former.assign(old("a", 0, 1), "events", 6, offers)
    for name in "bc":
        told = unpack_ownership(shares[f"{name}-id"].user_data)
        assert told is not None
        assert told.leader == "a"
        assert [host.worker for host in told.hosts] == ["a", "b", "c"]
        assert told.own == Own()
        assert told.standbys("events", 0) == ()


def test_when_the_last_of_the_former_release_is_gone_its_tasks_have_standbys() -> None:
    """What was only in its process is restored anew."""
    first, second = member("a", 0, 1, 2), member("b", 3, 4, 5)
    shares = leader(first).assign([offer(first), offer(second)], {"events": 8})
    told = unpack_ownership(shares["a-id"].user_data)
    assert told is not None
    assert {len(told.standbys("events", partition)) for partition in range(8)} == {1}
