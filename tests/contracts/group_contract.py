"""What every transport's consumers do: alone, and as members of a group. Used like `transport_contract`."""

import asyncio

import pytest

from streamz_actors.errors import CommitError, OffsetOutOfRange
from streamz_actors.transport.abc import Producer, Transport
from streamz_actors.types import TopicPartition
from tests.contracts.transport_members import (
    DEADLINE,
    Join,
    MakeTopic,
    Member,
    Names,
    numbered,
    send,
    turns_until,
    turns_until_it_reads,
    values_of,
)


class GroupContract:
    # ---- a consumer alone

    async def test_a_lone_member_gets_everything_from_the_earliest_on(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic(partitions=20)
        for partition in range(20):
            await send(producer, name, numbered(5, f"{partition}-"), partition=partition)
        member = await join([name], names("group"))
        await turns_until(lambda: len(member.rows) >= 100, member)
        assert member.owned == {TopicPartition(name, partition) for partition in range(20)}
        for partition in range(20):
            assert values_of(member.rows, partition) == numbered(5, f"{partition}-")

    async def test_latest_starts_at_the_end_where_nothing_is_committed(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic()
        await send(producer, name, numbered(3, "old"))
        member = await join([name], names("group"), auto_offset_reset="latest")
        await turns_until(lambda: bool(member.owned), member)
        await turns_until_it_reads(member, producer, name)
        assert b"old0" not in values_of(member.rows)

    async def test_a_group_goes_on_where_it_committed(
        self, transport: Transport, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        first, second = TopicPartition(name, 0), TopicPartition(name, 1)
        await send(producer, name, numbered(10))
        member = await join([name], group)
        await turns_until(lambda: len(member.rows) >= 10, member)
        assert await member.consumer.committed([first, second]) == {first: None, second: None}
        await member.consumer.commit({first: 4})
        assert await member.consumer.committed([first, second]) == {first: 4, second: None}
        assert await transport.admin.committed(group, [first, second]) == {first: 4, second: None}
        await member.consumer.stop()
        successor = await join([name], group, "b")
        await turns_until(lambda: len(successor.rows) >= 6, successor)
        assert [row.offset for row in successor.rows] == [4, 5, 6, 7, 8, 9]

    async def test_a_group_that_never_committed_has_no_offsets(
        self, transport: Transport, topic: MakeTopic, names: Names
    ) -> None:
        partition = TopicPartition(await topic(), 0)
        assert await transport.admin.committed(names("group"), [partition]) == {partition: None}

    async def test_a_committed_offset_that_is_gone_starts_by_the_reset_policy(
        self, transport: Transport, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name, group = await topic(), names("group")
        partition = TopicPartition(name, 0)
        await send(producer, name, numbered(10))
        member = await join([name], group)
        await turns_until(lambda: len(member.rows) >= 10, member)
        await member.consumer.commit({partition: 2})
        await member.consumer.stop()
        await transport.admin.delete_records({partition: 8})
        successor = await join([name], group, "b")
        await turns_until(lambda: len(successor.rows) >= 2, successor)
        assert [row.offset for row in successor.rows] == [8, 9]

    async def test_seek_moves_forward_and_back(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic()
        partition = TopicPartition(name, 0)
        await send(producer, name, numbered(10))
        member = await join([name], names("group"))
        await turns_until(lambda: len(member.rows) >= 10, member)
        member.rows.clear()
        member.consumer.seek(partition, 3)
        await turns_until(lambda: len(member.rows) >= 7, member)
        assert [row.offset for row in member.rows] == [3, 4, 5, 6, 7, 8, 9]

    async def test_a_paused_partition_is_silent_until_it_is_resumed_and_misses_nothing(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic(partitions=2)
        paused = TopicPartition(name, 0)
        member = await join([name], names("group"))
        member.when_assigned = lambda partitions: member.consumer.pause([paused, TopicPartition("unknown", 0)])
        await send(producer, name, numbered(5), partition=0)
        await send(producer, name, numbered(5), partition=1)
        await turns_until(lambda: len(member.rows) >= 5, member)
        await send(producer, name, [b"6th"], partition=1)
        await turns_until(lambda: len(member.rows) >= 6, member)
        assert {row.partition for row in member.rows} == {1}
        member.consumer.resume([paused, TopicPartition("unknown", 0)])
        await turns_until(lambda: len(member.rows) >= 11, member)
        assert [row.offset for row in member.rows if row.partition == 0] == [0, 1, 2, 3, 4]

    async def test_the_lag_is_what_is_known_to_be_there_and_was_not_returned(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic(partitions=2)
        first, second = TopicPartition(name, 0), TopicPartition(name, 1)
        await send(producer, name, numbered(5), partition=0)
        member = await join([name], names("group"))
        lag = member.consumer.lag
        assert lag(first) is None
        await turns_until(lambda: len(member.rows) == 5 and lag(first) == 0 and lag(second) == 0, member)
        assert lag(TopicPartition("unknown", 0)) is None
        member.consumer.pause([first])
        await send(producer, name, numbered(3), partition=0)
        await turns_until(lambda: lag(first) == 3, member)
        member.consumer.resume([first])
        await turns_until(lambda: len(member.rows) == 8 and lag(first) == 0, member)

    async def test_seek_within_on_assigned_acts_before_the_first_record(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic()
        partition = TopicPartition(name, 0)
        await send(producer, name, numbered(10))
        member = await join([name], names("group"))
        member.when_assigned = lambda partitions: member.consumer.seek(partition, 8)
        await turns_until(lambda: len(member.rows) >= 2, member)
        assert [row.offset for row in member.rows] == [8, 9]

    async def test_a_topic_can_be_read_together_with_another(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        one, two = await topic(partitions=2), await topic(partitions=1)
        await send(producer, one, [b"one"], partition=1)
        await send(producer, two, [b"two"])
        member = await join([one, two], names("group"))
        await turns_until(lambda: len(member.rows) >= 2, member)
        assert {batch.topic for batch in member.batches if len(batch)} == {one, two}
        assert len(member.owned) == 3

    async def test_stopping_twice_is_no_error_and_calls_no_listener(
        self, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        member = await join([await topic()], names("group"))
        await turns_until(lambda: bool(member.owned), member)
        revocations = len(member.revocations)
        await member.consumer.stop()
        await member.consumer.stop()
        assert len(member.revocations) == revocations
        assert member.owned == frozenset()

    # ---- a group

    async def test_two_members_share_the_partitions_and_hear_each_other(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name, group = await topic(partitions=4), names("group")
        a = await join([name], group, "a")
        await turns_until(lambda: len(a.owned) == 4, a)
        b = await join([name], group, "b")
        await turns_until(lambda: len(a.owned) == len(b.owned) == 2, a, b)
        assert a.owned == {TopicPartition(name, 0), TopicPartition(name, 2)}
        assert b.owned == {TopicPartition(name, 1), TopicPartition(name, 3)}
        assert a.assignor.heard == b.assignor.heard == b"a,b"
        assert a.assignor.generation == b.assignor.generation > 0
        assert a.assignor.member_id != b.assignor.member_id
        assert [a.assignor.leader, b.assignor.leader].count(True) == 1
        assert a.notes == ["assignor", "listener"] * len(a.assignments)
        for partition in range(4):
            await send(producer, name, numbered(3), partition=partition)
        await turns_until(lambda: len(a.rows) + len(b.rows) >= 12, a, b)
        assert {row.partition for row in a.rows} == {0, 2}
        assert {row.partition for row in b.rows} == {1, 3}

    async def test_all_is_revoked_from_everybody_when_one_joins_and_when_one_leaves(
        self, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        everything = frozenset({TopicPartition(name, 0), TopicPartition(name, 1)})
        a = await join([name], group, "a")
        await turns_until(lambda: a.owned == everything, a)
        b = await join([name], group, "b")
        await turns_until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
        assert a.revocations[-1] == everything
        assert a.assignments[-1] == a.owned
        await b.consumer.stop()
        before = a.owned
        await turns_until(lambda: a.owned == everything, a)
        assert a.revocations[-1] == before

    async def test_a_member_too_many_waits_as_a_spare(self, topic: MakeTopic, names: Names, join: Join) -> None:
        name, group = await topic(partitions=1), names("group")
        a = await join([name], group, "a")
        b = await join([name], group, "b")
        await turns_until(lambda: bool(a.owned) and b.assignor.heard == b"a,b", a, b)
        assert b.owned == frozenset()
        assert b.assignments[-1] == frozenset()
        await a.consumer.stop()
        await turns_until(lambda: bool(b.owned), b)

    async def test_a_rebalance_takes_positions_back_to_the_commits_and_resumes_all(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        kept = TopicPartition(name, 0)
        await send(producer, name, numbered(10), partition=0)
        a = await join([name], group, "a")
        await turns_until(lambda: len(a.rows) >= 10, a)
        await a.consumer.commit({kept: 7})
        a.consumer.pause([kept])
        a.rows.clear()
        b = await join([name], group, "b")
        await turns_until(lambda: len(a.rows) >= 3 and bool(b.owned), a, b)
        assert a.owned == {kept}
        assert [row.offset for row in a.rows] == [7, 8, 9]

    async def test_committing_works_while_partitions_are_revoked(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        moved = TopicPartition(name, 1)
        await send(producer, name, numbered(10), partition=1)
        a = await join([name], group, "a")
        a.when_revoked = lambda: asyncio.ensure_future(a.consumer.commit({moved: 9}) if a.rows else asyncio.sleep(0))
        await turns_until(lambda: len(a.rows) >= 10, a)
        b = await join([name], group, "b")
        await turns_until(lambda: len(b.rows) >= 1, a, b)
        assert [row.offset for row in b.rows] == [9]

    async def test_a_note_stays_beside_a_committed_position_until_the_next_commit(
        self, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        first, second = TopicPartition(name, 0), TopicPartition(name, 1)
        a = await join([name], group, "a")
        await turns_until(lambda: len(a.owned) == 2, a)
        assert await a.consumer.notes([first, second]) == {}
        note = "n\u00f6te " * 300
        await a.consumer.commit({first: 0, second: 0}, {first: note})
        assert await a.consumer.notes([first, second]) == {first: note}
        await a.consumer.stop()
        b = await join([name], group, "b")
        await turns_until(lambda: len(b.owned) == 2, b)
        assert await b.consumer.notes([first, second]) == {first: note}
        await b.consumer.commit({first: 0, second: 0}, {second: "other"})
        assert await b.consumer.notes([first, second]) == {second: "other"}

    async def test_a_member_that_lost_its_place_cannot_commit(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        partition = TopicPartition(name, 0)
        await send(producer, name, numbered(10))
        slow = await join([name], group, "a", rebalance_timeout=1.0)
        await turns_until(lambda: len(slow.rows) >= 10, slow)
        held, holding = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            holding.set()
            await held.wait()

        slow.when_revoked = lambda: asyncio.ensure_future(hold())
        other = await join([name], group, "b", rebalance_timeout=1.0)
        stuck = asyncio.create_task(turns_until(lambda: held.is_set(), slow))
        await turns_until(lambda: len(other.owned) == 2, other)
        assert holding.is_set()
        with pytest.raises(CommitError):
            await slow.consumer.commit({partition: 10})
        held.set()
        await stuck
        assert (await other.consumer.committed([partition]))[partition] is None

    async def test_a_member_can_ask_for_a_rebalance_and_all_take_part(
        self, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        a, b = await join([name], group, "a"), await join([name], group, "b")
        await turns_until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
        for asking in (a, b):
            before = a.assignor.generation
            asking.assignor.member += "!"
            await asking.consumer.rejoin()
            await turns_until(lambda: a.assignor.generation == b.assignor.generation > before, a, b)  # noqa: B023 - awaited
            assert a.assignor.heard == b.assignor.heard
            assert asking.assignor.member in a.assignor.heard.decode()

    async def test_a_kept_member_id_and_the_next_generation_say_that_no_rebalance_was_missed(
        self, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        a = await join([name], group, "a")
        await turns_until(lambda: len(a.owned) == 2, a)
        member_id, generation = a.assignor.member_id, a.assignor.generation
        b = await join([name], group, "b")
        await turns_until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
        assert (a.assignor.member_id, a.assignor.generation) == (member_id, generation + 1)

    async def test_committing_what_is_not_assigned_fails(self, topic: MakeTopic, names: Names, join: Join) -> None:
        member = await join([await topic()], names("group"))
        await turns_until(lambda: bool(member.owned), member)
        with pytest.raises(CommitError):
            await member.consumer.commit({TopicPartition(await topic(), 0): 1})

    async def test_groups_do_not_disturb_each_other(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic()
        await send(producer, name, numbered(3))
        a, b = await join([name], names("group")), await join([name], names("group"))
        await turns_until(lambda: len(a.rows) >= 3 and len(b.rows) >= 3, a, b)
        assert a.owned == b.owned
        assert a.rows == b.rows

    # ---- the dead

    async def test_a_member_that_is_removed_by_others_loses_its_share_to_the_rest(
        self, transport: Transport, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        a, dead = await join([name], group, "a"), await join([name], group, "dead")
        await turns_until(lambda: len(a.owned) == len(dead.owned) == 1, a, dead)
        await self.kill(dead)
        await transport.admin.remove_member(group, dead.assignor.member_id)
        await turns_until(lambda: len(a.owned) == 2, a)

    async def test_a_static_member_is_removed_by_its_instance_id(
        self, transport: Transport, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        a, dead = await join([name], group, "a"), await join([name], group, "dead", group_instance_id="one")
        await turns_until(lambda: len(a.owned) == len(dead.owned) == 1, a, dead)
        await self.kill(dead)
        await transport.admin.remove_member(group, "somebody else", "one")
        await transport.admin.remove_member(group, dead.assignor.member_id, "one")
        await turns_until(lambda: len(a.owned) == 2, a)

    async def test_a_member_that_waits_takes_over_from_one_that_waited_too_when_it_died(
        self, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        a = await join([name], group, "a", session_timeout=self.shortest_session)
        dead = await join([name], group, "dead", session_timeout=self.shortest_session)
        await turns_until(lambda: len(a.owned) == len(dead.owned) == 1, a, dead)
        everything = asyncio.Event()
        a.when_assigned = lambda partitions: everything.set() if len(partitions) == 2 else None
        polls = [asyncio.create_task(member.consumer.poll(2 * DEADLINE)) for member in (dead, a)]
        for _ in range(10):  # the dead one waits before the other does
            await asyncio.sleep(0)
        polls[0].cancel()
        await asyncio.wait(polls[:1])
        await self.kill(dead)
        await asyncio.wait_for(everything.wait(), DEADLINE)
        polls[1].cancel()
        await asyncio.wait(polls)

    shortest_session = 6.0
    """Seconds: the shortest session time-out that the broker allows."""

    async def kill(self, member: Member) -> None:
        """Ends a member that does not leave its group."""
        raise NotImplementedError

    async def test_removing_a_member_that_a_group_does_not_have_is_no_error(
        self, transport: Transport, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(), names("group")
        member = await join([name], group)
        await turns_until(lambda: bool(member.owned), member)
        await transport.admin.remove_member(group, "nobody")
        await transport.admin.remove_member(group, "", "nobody")
        assert len(member.assignments) == 1

    # ---- what is not to be had

    async def test_a_position_out_of_range_is_raised_where_that_is_wanted_until_it_is_sought(
        self, transport: Transport, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        gone, fine = TopicPartition(name, 0), TopicPartition(name, 1)
        await send(producer, name, numbered(10), partition=0)
        first = await join([name], group, on_out_of_range="raise")
        await turns_until(lambda: len(first.rows) >= 10, first)
        await first.consumer.commit({gone: 2})
        await first.consumer.stop()
        await transport.admin.delete_records({gone: 8})
        second = await join([name], group, "b", on_out_of_range="raise")
        for _ in range(2):
            with pytest.raises(OffsetOutOfRange, match=name) as caught:
                await turns_until(lambda: len(second.rows) >= 1, second)
            assert caught.value.positions == {gone: 2}
        second.consumer.seek(gone, 8)
        await turns_until(lambda: len(second.rows) >= 2, second)
        await send(producer, name, numbered(2), partition=1)
        await turns_until(lambda: len(second.rows) >= 4, second)
        assert [(row.partition, row.offset) for row in second.rows] == [(0, 8), (0, 9), (1, 0), (1, 1)]
        assert second.owned == {gone, fine}

    async def test_a_position_out_of_range_is_told_although_other_partitions_have_records(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic(partitions=2)
        await send(producer, name, numbered(5), partition=1)
        member = await join([name], names("group"), on_out_of_range="raise")
        member.when_assigned = lambda partitions: member.consumer.seek(TopicPartition(name, 0), 99)

        async def read_on() -> None:
            await turns_until(lambda: bool(member.owned), member)
            while True:
                member.consumer.seek(TopicPartition(name, 1), 0)
                await member.turn()

        with pytest.raises(OffsetOutOfRange):
            await asyncio.wait_for(read_on(), DEADLINE)

    async def test_a_broker_that_answers_is_heard_of(
        self, topic: MakeTopic, names: Names, producer: Producer, join: Join
    ) -> None:
        name = await topic()
        partition = TopicPartition(name, 0)
        member = await join([name], names("group"))
        begin = member.consumer.heard_at
        await turns_until(lambda: bool(member.owned), member)
        await send(producer, name, numbered(5))
        await turns_until(lambda: len(member.rows) >= 5 and member.consumer.heard_at > begin, member)
        member.consumer.pause([partition])
        paused = member.consumer.heard_at
        await turns_until(lambda: member.consumer.heard_at > paused, member)
