"""The assignor: from offers to shares, for any offers; what is told to whom; how large it gets."""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors import AgentStream, App
from streamz_actors.assignment.answers import LARGEST_GENERATION
from streamz_actors.assignment.assignor import GroupAssignor
from streamz_actors.assignment.wire import Member, Ownership, pack, unpack_member, unpack_ownership
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.transport.abc import Offer, Share
from streamz_actors.types import TopicPartition


def topology() -> App:
    """Two sub-topologies: `a` and `b` are counted together, `c` stands alone."""
    app = App("shop")
    a, b, c = (app.topic(name, key_type=str, value_type=int) for name in "abc")
    counts = app.table("counts", key_type=str, value_type=int, default=int)

    @app.agent([a, b], tables=[counts])
    async def count(stream: AgentStream[str, int]) -> None:
        async for key, _ in stream.items():  # noqa: PERF102
            counts[key] += 1

    app.stream(c).foreach(lambda key, value: None)
    return app


TOPOLOGY = topology().frozen()
TOPICS = frozenset({"a", "b", "c"})
COUNTS = {"a": 4, "b": 4, "c": 3}


def subs(counts: Mapping[str, int]) -> Sequence[SubTopology]:
    return split(TOPOLOGY, counts, 8)


def assignor(me: Member, told: list[tuple[Ownership | None, int, str, bool]] | None = None) -> GroupAssignor:
    def tell(ownership: Ownership | None, generation: int, member_id: str, leader: bool) -> None:
        assert told is not None
        told.append((ownership, generation, member_id, leader))

    return GroupAssignor(lambda: me, subs, tell)


def ignore(ownership: Ownership | None, generation: int, member_id: str, leader: bool) -> None:
    """What is told does not matter."""


def member(name: str, **held: tuple[int, ...]) -> Member:
    return Member(name, f"http://{name}", 1, 3 if held else -1, held)


def offer(said: Member | bytes, topics: frozenset[str] = TOPICS, member_id: str = "") -> Offer:
    if isinstance(said, bytes):
        return Offer(member_id, topics, said)
    return Offer(member_id or f"{said.worker}-id", topics, pack(said))


def given_out(shares: Mapping[str, Share]) -> Counter[TopicPartition]:
    return Counter(place for share in shares.values() for place in share.partitions)


EVERYTHING = Counter(TopicPartition(topic, number) for topic, count in COUNTS.items() for number in range(count))


def test_all_partitions_are_given_out_once_and_everybody_is_told_who_has_them() -> None:
    first, second = member("first"), member("second")
    shares = assignor(first).assign([offer(first), offer(second)], COUNTS)
    assert given_out(shares) == EVERYTHING
    told = {unpack_ownership(share.user_data) is not None for share in shares.values()}
    assert told == {True}
    ownership = unpack_ownership(shares["first-id"].user_data)
    assert ownership is not None
    assert ownership.leader == "first"
    for sub in subs(COUNTS):
        assert len(ownership.tasks[sub.name]) == sub.partitions
        for partition in range(sub.partitions):
            owner = ownership.owner(sub.name, partition)
            assert owner is not None
            mine = shares[f"{owner.worker}-id"].partitions
            for topic, count in sub.topics.items():
                assert partition >= count or TopicPartition(topic, partition) in mine


def test_what_a_member_holds_stays_with_it() -> None:
    [*names] = [sub.name for sub in subs(COUNTS)]
    first = Member("first", "", 1, 3, {names[0]: (2, 3)})
    second = Member("second", "", 1, 3, {names[0]: (0, 1)})
    shares = assignor(first).assign([offer(first), offer(second)], COUNTS)
    for place in (2, 3):
        assert TopicPartition(names[0], place) in shares["first-id"].partitions


NUMBERS = st.integers(-2, 2**31)
PLACES = st.dictionaries(st.sampled_from(["a", "c", "?"]), st.lists(NUMBERS, max_size=3).map(tuple), max_size=2)
LAGS = st.dictionaries(st.sampled_from(["a", "c"]), st.dictionaries(st.integers(-1, 4), NUMBERS, max_size=4))
IDS = st.sampled_from(["", "x", "y"])
SAID = st.builds(
    Member,
    st.sampled_from(["me", "you"]),
    st.just(""),
    NUMBERS,
    NUMBERS,
    PLACES,
    NUMBERS,
    st.none() | LAGS,
    PLACES,
    IDS,
    IDS,
    st.lists(IDS).map(tuple),
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.binary(max_size=30) | SAID.map(pack), st.sets(st.sampled_from(["a", "b", "c", "other"]))),
        max_size=6,
    ),
    st.dictionaries(st.sampled_from(["a", "b", "c", "other"]), st.integers(0, 5)),
)
def test_it_never_raises_and_never_gives_what_is_not_subscribed_to(
    said: list[tuple[bytes, set[str]]], counts: dict[str, int]
) -> None:
    """Counts that do not fit together as well, and topics that are not there any more."""

    def any_subs(counts: Mapping[str, int]) -> Sequence[SubTopology]:
        return subs(COUNTS)

    me = member("me")
    leader = GroupAssignor(lambda: me, any_subs, ignore, 1)
    offers = [offer(data, frozenset(topics), f"m{number}") for number, (data, topics) in enumerate(said)]
    offers.append(offer(me))
    shares = leader.assign(offers, counts)
    assert shares.keys() == {one.member_id for one in offers}
    for one in offers:
        for topic, partition in shares[one.member_id].partitions:
            assert topic in one.topics
            assert partition < counts[topic]
    assert max(given_out(shares).values(), default=1) == 1


def test_a_member_that_cannot_be_read_gets_work_all_the_same() -> None:
    me = member("me")
    shares = assignor(me).assign([offer(me), offer(b"\x09\x09what", member_id="riddle")], COUNTS)
    assert given_out(shares) == EVERYTHING
    assert len(shares["riddle"].partitions) >= 4
    ownership = unpack_ownership(shares["riddle"].user_data)
    assert ownership is not None
    assert [host.worker for host in ownership.hosts] == ["me"]
    assert -1 in ownership.tasks["c"]


def test_topics_of_another_release_go_to_its_members_and_stay_together() -> None:
    me = member("me")
    both = TOPICS | {"new-1", "new-2"}
    offers = [offer(me), offer(member("newer"), both), offer(member("newest"), both)]
    shares = assignor(me).assign(offers, COUNTS | {"new-1": 3, "new-2": 3})
    assert not {place.topic for place in shares["me-id"].partitions} - TOPICS
    for share in shares.values():
        ones, twos = ({p for topic, p in share.partitions if topic == name} for name in ("new-1", "new-2"))
        assert ones == twos
    assert sum(topic == "new-1" for topic, _ in given_out(shares)) == 3


def test_what_a_worker_says_is_said_anew_at_each_join() -> None:
    said = [member("me"), member("me", a=(0,))]
    one = GroupAssignor(lambda: said.pop(0), subs, ignore)
    assert [unpack_member(one.user_data()) for _ in range(2)] == [member("me"), member("me", a=(0,))]


def test_each_member_hears_what_it_was_given() -> None:
    told: list[tuple[Ownership | None, int, str, bool]] = []
    me = member("me")
    one = assignor(me, told)
    share = one.assign([offer(me)], COUNTS)["me-id"]
    one.on_assigned(share, 7, "me-id", leader=True)
    one.on_assigned(Share((), b"noise"), 8, "me-id", leader=False)
    [(ownership, *rest), (nothing, *_)] = told
    assert ownership is not None
    assert rest == [7, "me-id", True]
    assert nothing is None


def size(workers: int, partitions: int) -> tuple[int, Mapping[str, Share], list[Offer]]:
    """Bytes of a generation of `workers` that share `partitions` tasks of one topic, which they hold in no order."""
    app = App("large")
    app.stream(app.topic("events", key_type=str, value_type=int)).foreach(lambda key, value: None)
    frozen = app.frozen()
    tasks = list(range(partitions))
    Random(7).shuffle(tasks)
    members = [
        Member(f"{name}-6066", f"http://{name}:6066", 1_700_000_000_000, 41, {"events": tuple(tasks[number::workers])})
        for number in range(workers)
        for name in [f"worker-{number:04}.example.org"]
    ]
    leader = GroupAssignor(lambda: members[0], lambda counts: split(frozen, counts, 8), ignore)
    offers = [offer(one, frozenset({"events"})) for one in members]
    shares = leader.assign(offers, {"events": partitions})
    sent = sum(len(one.user_data) + sum(map(len, one.topics)) for one in offers)
    answered = sum(len(share.user_data) + 4 * len(share.partitions) for share in shares.values())
    return sent + answered, shares, offers


def test_a_generation_stays_below_what_kafka_takes_in_one_record() -> None:
    for workers, partitions in ((10, 1_000), (60, 4_000), (150, 1_500), (1_000, 10_000)):
        total, shares, _ = size(workers, partitions)
        assert total + 150 * workers < 900_000, (workers, partitions)
        assert sum(len(share.partitions) for share in shares.values()) == partitions


def test_in_a_group_too_large_only_the_leader_is_told_everything() -> None:
    total, shares, offers = size(1_000, 10_000)
    assert total < LARGEST_GENERATION
    whole = [unpack_ownership(shares[one.member_id].user_data) for one in offers]
    assert whole[0] is not None
    assert len(whole[0].hosts) == 1_000
    for ownership in whole[1:]:
        assert ownership is not None
        assert ownership.tasks == {}
        assert [host.worker for host in ownership.hosts] == [ownership.leader] == ["worker-0000.example.org-6066"]
    _, small, _ = size(60, 4_000)
    assert len({share.user_data for share in small.values()}) == 1
