"""The group coordinator as a state machine, moved by polls on a clock that stands still."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.clock import ManualClock
from streamz_actors.errors import CommitError, TransportError
from streamz_actors.transport.abc import GroupSettings, Offer, Share, TopicSpec
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.group import GroupState
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.contracts.transport_members import Member, SpreadAssignor


class Cluster:
    """A broker on a manual clock with one topic of four partitions, and consumers of the group `g`."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topic(TopicSpec("t", 4))
        self.transport = MemoryTransport(self.broker)
        self.group = self.broker.group("g")

    async def member(self, client: str, instance: str | None = None, session: float = 10.0) -> Member:
        settings = GroupSettings("g", client, session_timeout=session, group_instance_id=instance)
        member = Member(self.transport, settings)
        await member.consumer.start(["t"])
        return member

    def advance(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while self.clock.advance_to_next(until):
            pass

    def append(self, *partitions: int) -> None:
        for partition in partitions:
            self.broker.append(TopicPartition("t", partition), [None], [b"v"], [0], None)


async def turn(*members: Member, times: int = 3) -> None:
    for _ in range(times):
        for member in members:
            await member.consumer.poll(0)


def numbers(member: Member) -> list[int]:
    return sorted(partition.partition for partition in member.owned)


async def test_the_first_poll_of_a_lone_member_joins_and_reads_at_once() -> None:
    cluster = Cluster()
    cluster.append(0, 3)
    a = await cluster.member("a")
    states = [cluster.group.state]
    assert len(await a.consumer.poll(0)) == 2
    states.append(cluster.group.state)
    assert a.assignor.leader
    assert a.revocations == []
    await a.consumer.stop()
    assert [*states, cluster.group.state] == [GroupState.EMPTY, GroupState.STABLE, GroupState.EMPTY]


async def test_a_rebalance_waits_for_each_member_to_poll() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a"), await cluster.member("b")
    await turn(a)
    await turn(b)
    assert (cluster.group.state, numbers(a), numbers(b)) == (GroupState.REBALANCING, [0, 1, 2, 3], [])
    await turn(a, b)
    assert (cluster.group.state, numbers(a), numbers(b)) == (GroupState.STABLE, [0, 2], [1, 3])
    assert [a.assignor.leader, b.assignor.leader] == [True, False]


async def test_a_member_that_stops_polling_is_expired_by_another() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a"), await cluster.member("b")
    await turn(a, b)
    cluster.advance(9.999)
    await turn(b)
    assert numbers(b) == [1, 3]
    cluster.advance(0.001)
    await turn(b)
    assert numbers(b) == [0, 1, 2, 3]
    with pytest.raises(CommitError, match="no longer a member"):
        await a.consumer.commit({TopicPartition("t", 0): 1})


async def test_a_waiting_member_wakes_to_expire_another() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a"), await cluster.member("b")
    await turn(a, b)
    waiting = asyncio.create_task(b.consumer.poll(60.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cluster.advance(10.0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert numbers(b) == [0, 1, 2, 3]
    assert not waiting.done()
    cluster.advance(50.0)
    assert await waiting == []


async def test_an_expired_member_revokes_what_it_had_and_joins_anew() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a"), await cluster.member("b")
    await turn(a, b)
    former = a.assignor.member_id
    cluster.advance(10.0)
    await turn(b)
    await turn(a, b)
    assert a.revocations[-1] == {TopicPartition("t", 0), TopicPartition("t", 2)}
    assert a.assignor.member_id != former
    assert (numbers(a), numbers(b)) == ([0, 2], [1, 3])


async def test_a_member_alone_keeps_its_place_however_far_the_clock_goes() -> None:
    cluster = Cluster()
    a = await cluster.member("a")
    await turn(a)
    cluster.advance(100_000.0)
    await turn(a)
    await a.consumer.commit({TopicPartition("t", 0): 0})
    assert len(a.assignments) == 1


async def test_a_member_that_holds_a_rebalance_too_long_is_left_behind() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a"), await cluster.member("b")
    await turn(a)
    released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    a.when_revoked = lambda: released
    await turn(b)
    held = asyncio.create_task(a.consumer.poll(0))
    await asyncio.sleep(0)
    cluster.advance(29.0)
    await turn(b)
    assert numbers(b) == []
    cluster.advance(1.0)
    await turn(b)
    assert numbers(b) == [0, 1, 2, 3]
    released.set_result(None)
    await held


async def test_a_cancelled_poll_revokes_again_at_the_next() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a"), await cluster.member("b")
    await turn(a)
    a.when_revoked = asyncio.get_running_loop().create_future
    await turn(b)
    held = asyncio.create_task(a.consumer.poll(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    assert numbers(a) == [0, 1, 2, 3]
    a.when_revoked = None
    await turn(a, b)
    assert len(a.revocations) == 2
    assert numbers(a) == [0, 2]


async def test_stopping_while_the_listener_works_does_not_join_again() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a"), await cluster.member("b")
    await turn(a)
    released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    a.when_revoked = lambda: released
    await turn(b)
    held = asyncio.create_task(a.consumer.poll(5.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await a.consumer.stop()
    released.set_result(None)
    assert await held == []
    await turn(b)
    assert cluster.group.members == ["b-2"]
    assert numbers(b) == [0, 1, 2, 3]


async def test_stopping_ends_a_waiting_poll() -> None:
    cluster = Cluster()
    a = await cluster.member("a")
    waiting = asyncio.create_task(a.consumer.poll(1_000.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await a.consumer.stop()
    assert await waiting == []
    with pytest.raises(TransportError, match="not running"):
        await a.consumer.poll(0)


async def test_a_rebalance_upon_a_share_not_yet_taken_replaces_it() -> None:
    cluster = Cluster()
    a, b, c = await cluster.member("a"), await cluster.member("b"), await cluster.member("c")
    await turn(a)
    await turn(b)
    await a.consumer.poll(0)  # completes a generation; b has not taken its share of it
    await c.consumer.poll(0)
    await turn(a, b, c)
    assert b.revocations == []
    assert [numbers(member) for member in (a, b, c)] == [[0, 3], [1], [2]]


async def test_new_partitions_of_a_subscribed_topic_are_shared_out() -> None:
    cluster = Cluster()
    a = await cluster.member("a")
    await turn(a)
    cluster.broker.create_topic(TopicSpec("other", 1))
    assert cluster.group.state is GroupState.STABLE
    cluster.broker.add_partitions("t", 6)
    await turn(a)
    assert numbers(a) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(TransportError, match="cannot go from 6 to 6"):
        cluster.broker.add_partitions("t", 6)


async def test_a_deleted_topic_leaves_assignment_and_offsets_and_may_come_back() -> None:
    cluster = Cluster()
    partition = TopicPartition("t", 0)
    cluster.append(0)
    a = await cluster.member("a")
    await turn(a)
    await a.consumer.commit({partition: 1})
    cluster.broker.delete_topic("t")
    await turn(a)
    assert (numbers(a), cluster.group.offsets.committed) == ([], {})
    cluster.broker.create_topic(TopicSpec("t", 1))
    cluster.append(0)
    assert [batch.next_offset for batch in await a.consumer.poll(0)] == [1]


async def test_a_static_member_restarts_into_its_place_without_a_rebalance() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a", "one"), await cluster.member("b", "two")
    await turn(a, b)
    generation = cluster.group.generation
    await a.consumer.stop()
    again = await cluster.member("z", "one")
    await turn(again, b)
    assert (numbers(again), numbers(b), cluster.group.generation) == ([0, 2], [1, 3], generation)
    assert again.assignor.leader
    await again.consumer.commit({TopicPartition("t", 0): 0})


async def test_a_static_member_that_stays_away_is_expired() -> None:
    cluster = Cluster()
    a, b = await cluster.member("a", "one"), await cluster.member("b")
    await turn(a, b)
    await a.consumer.stop()
    await turn(b)
    assert numbers(b) == [1, 3]
    cluster.advance(10.0)
    await turn(b)
    assert numbers(b) == [0, 1, 2, 3]


async def test_the_elder_of_two_with_one_instance_id_is_fenced() -> None:
    cluster = Cluster()
    elder = await cluster.member("a", "one")
    await turn(elder)
    younger = await cluster.member("b", "one")
    await turn(younger)
    assert numbers(younger) == [0, 1, 2, 3]
    with pytest.raises(CommitError):
        await elder.consumer.commit({TopicPartition("t", 0): 0})
    with pytest.raises(TransportError, match="group_instance_id 'one'"):
        await elder.consumer.poll(0)


async def test_a_member_that_has_not_taken_its_share_cannot_commit_at_the_coordinator() -> None:
    cluster = Cluster()
    assignor = SpreadAssignor("a")
    member = cluster.group.admit(GroupSettings("g", "a"), frozenset({"t"}), assignor, lambda: None)
    cluster.group.join(member)
    with pytest.raises(CommitError, match="is of generation -1, the group has gone on to 1"):
        cluster.group.commit(member, {TopicPartition("t", 0): 0})
    assert cluster.group.take(member) is not None
    cluster.group.commit(member, {TopicPartition("t", 0): 0})


class Overreaching:
    name = "overreaching"

    def user_data(self) -> bytes:
        return b""

    def assign(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> Mapping[str, Share]:
        return {offer.member_id: Share((TopicPartition("t", 9),), b"") for offer in offers}

    def on_assigned(self, share: Share, generation: int, member_id: str, leader: bool) -> None:
        """Never comes to this."""


async def test_an_assignor_that_gives_what_does_not_exist_is_named() -> None:
    cluster = Cluster()
    listener = await cluster.member("unused")
    consumer = cluster.transport.consumer(GroupSettings("g", "x"), Overreaching(), listener)
    await consumer.start(["t"])
    with pytest.raises(TransportError, match=r"'overreaching' gave t-9"):
        await consumer.poll(0)


actions = st.lists(
    st.tuples(st.sampled_from(["join", "stop", "vanish", "poll", "wait"]), st.integers(0, 9)), max_size=30
)


@given(actions=actions)
async def test_however_members_come_and_go_each_partition_ends_with_one_owner(actions: list[tuple[str, int]]) -> None:
    cluster, alive = Cluster(), list[Member]()
    for action, number in actions:
        if action == "join" or not alive:
            alive.append(await cluster.member(f"m{number}"))
        elif action == "wait":
            cluster.advance(number / 2)
        else:
            member = alive[number % len(alive)]
            if action == "poll":
                await member.consumer.poll(0)
                continue
            alive.remove(member)
            if action == "stop":
                await member.consumer.stop()
    if not alive:
        return
    await turn(*alive)
    cluster.advance(9.0)
    await turn(*alive)
    cluster.advance(9.0)
    await turn(*alive, times=4)
    owned = [partition for member in alive for partition in numbers(member)]
    assert sorted(owned) == [0, 1, 2, 3]
    assert len(cluster.group.members) == len(alive)
