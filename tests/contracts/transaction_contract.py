"""What every transport's transactions do. Used like `transport_contract`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace

import pytest

from streamz_actors.errors import CommitError, ProduceError
from streamz_actors.transport.abc import GroupMember, Producer, Reader, TransactionalProducer, Transport
from streamz_actors.types import TopicPartition
from tests.contracts.transport_members import (
    DEADLINE,
    Join,
    MakeTopic,
    Member,
    Names,
    numbered,
    read_all,
    read_to,
    rows_of,
    send,
    turns_until,
    values_of,
)

Begin = Callable[..., Awaitable[TransactionalProducer]]
NOBODY = GroupMember("nobody", 1, "")
"""For commits without offsets, which show no member."""


@pytest.fixture
async def begin(transport: Transport) -> AsyncIterator[Begin]:
    """Starts transactional producers, and stops them after the test."""
    made: list[TransactionalProducer] = []

    async def begin(transactional_id: str, timeout: float = 60.0) -> TransactionalProducer:
        producer = transport.transactional_producer("contract", transactional_id, timeout=timeout)
        made.append(producer)
        await producer.start()
        return producer

    yield begin
    for producer in made:
        await producer.stop()


@pytest.fixture
async def careful(transport: Transport) -> AsyncIterator[Reader]:
    """A reader of committed records."""
    reader = transport.reader(read_committed=True)
    await reader.start()
    yield reader
    await reader.stop()


async def committed_rows(transport: Transport, partition: TopicPartition) -> list[bytes | None]:
    """The values that a reader of committed records gets, to the log's end."""
    reader = transport.reader(read_committed=True)
    await reader.start()
    try:
        reader.assign({partition: 0})
        return values_of(await read_to(reader, await transport.admin.end_offsets([partition])))
    finally:
        await reader.stop()


async def member_of(join: Join, topic: str, group: str, client: str = "a", **settings: object) -> Member:
    """A member that has its assignment."""
    member = await join([topic], group, client, read_committed=True, **settings)
    await turns_until(lambda: bool(member.assignments), member)
    return member


class TransactionContract:
    # ---- visibility

    async def test_what_is_sent_can_be_read_when_it_is_committed_and_not_before(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin, careful: Reader
    ) -> None:
        partition = TopicPartition(await topic(), 0)
        producer = await begin(names("tx"))
        delivery = await send(producer, partition.topic, numbered(10))
        assert (delivery.offset(0), delivery.next_offset) == (0, 10)
        assert (await transport.admin.end_offsets([partition]))[partition] == 10
        assert values_of(await read_all(transport, [partition])) == numbered(10)
        careful.assign({partition: 0})
        assert rows_of(await careful.poll(0.2)) == []
        assert careful.position(partition) == 0
        await producer.commit({}, NOBODY)
        rows = await read_to(careful, {partition: 11})
        assert values_of(rows) == numbered(10)
        assert careful.position(partition) == 11

    async def test_transactions_follow_one_another(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        partition = TopicPartition(await topic(), 0)
        producer = await begin(names("tx"))
        for number in range(5):
            await send(producer, partition.topic, numbered(3, f"{number}-"))
            await producer.commit({}, NOBODY)
        expected = [value for number in range(5) for value in numbered(3, f"{number}-")]
        assert await committed_rows(transport, partition) == expected
        assert [row.offset for row in await read_all(transport, [partition])] == [
            offset for offset in range(20) if offset % 4 != 3
        ]

    async def test_many_partitions_are_committed_together(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        name = await topic(partitions=30)
        producer = await begin(names("tx"))
        await asyncio.gather(*(send(producer, name, numbered(20), partition=number) for number in range(30)))
        await producer.commit({}, NOBODY)
        for number in range(30):
            assert await committed_rows(transport, TopicPartition(name, number)) == numbered(20)

    async def test_a_transaction_with_nothing_in_it_can_be_committed(self, names: Names, begin: Begin) -> None:
        producer = await begin(names("tx"))
        await producer.commit({}, NOBODY)
        await producer.commit({}, NOBODY)

    async def test_a_reader_of_committed_records_waits_behind_an_open_transaction_of_another(
        self, topic: MakeTopic, names: Names, begin: Begin, producer: Producer, careful: Reader
    ) -> None:
        partition = TopicPartition(await topic(), 0)
        await send(producer, partition.topic, [b"before"])
        slow, quick = await begin(names("tx")), await begin(names("tx"))
        await send(slow, partition.topic, [b"slow"])
        await send(quick, partition.topic, [b"quick"])
        await quick.commit({}, NOBODY)
        await send(producer, partition.topic, [b"plain"])
        careful.assign({partition: 0})
        assert values_of(await read_to(careful, {partition: 1})) == [b"before"]
        assert rows_of(await careful.poll(0.2)) == []
        await slow.commit({}, NOBODY)
        assert values_of(await read_to(careful, {partition: 6})) == [b"slow", b"quick", b"plain"]

    # ---- what ends without a commit

    async def test_what_a_dropped_producer_had_open_is_aborted_when_it_starts_again(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        partition = TopicPartition(await topic(), 0)
        producer = await begin(names("tx"))
        await send(producer, partition.topic, [b"lost"])
        await producer.drop()
        await producer.start()
        await send(producer, partition.topic, [b"kept"])
        await producer.commit({}, NOBODY)
        assert await committed_rows(transport, partition) == [b"kept"]
        assert values_of(await read_all(transport, [partition])) == [b"lost", b"kept"]

    async def test_a_dropped_producer_refuses_everything_until_it_is_started(
        self, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        name = await topic()
        producer = await begin(names("tx"))
        await producer.drop()
        with pytest.raises(ProduceError):
            await send(producer, name, [b"late"])
        with pytest.raises(CommitError):
            await producer.commit({}, NOBODY)
        await producer.drop()
        await producer.start()
        await send(producer, name, [b"again"])
        await producer.commit({}, NOBODY)

    async def test_stopping_commits_nothing_and_leaves_nothing_open(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        partition = TopicPartition(await topic(), 0)
        producer = await begin(names("tx"))
        await send(producer, partition.topic, [b"open"])
        await producer.stop()
        await producer.stop()
        async with asyncio.timeout(DEADLINE):
            while (await transport.admin.end_offsets([partition]))[partition] < 2:
                pass
        assert await committed_rows(transport, partition) == []
        with pytest.raises(ProduceError):
            await send(producer, partition.topic, [b"late"])

    async def test_a_newer_producer_of_the_id_fences_the_older_which_can_neither_send_nor_commit(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        partition, tx = TopicPartition(await topic(), 0), names("tx")
        older = await begin(tx)
        await send(older, partition.topic, [b"older"])
        newer = await begin(tx)
        with pytest.raises(CommitError):
            await older.commit({}, NOBODY)
        with pytest.raises(ProduceError):
            await send(older, partition.topic, [b"zombie"])
        await send(newer, partition.topic, [b"newer"])
        await newer.commit({}, NOBODY)
        assert await committed_rows(transport, partition) == [b"newer"]

    async def test_a_fenced_producer_learns_of_it_when_it_sends(
        self, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        name, tx = await topic(), names("tx")
        older = await begin(tx)
        await send(older, name, [b"older"])
        await begin(tx)
        with pytest.raises(ProduceError):
            await send(older, name, [b"zombie"])
        with pytest.raises(CommitError):
            await older.commit({}, NOBODY)

    async def test_stopping_a_fenced_producer_does_not_disturb_its_successor(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        partition, tx = TopicPartition(await topic(), 0), names("tx")
        older = await begin(tx)
        await send(older, partition.topic, [b"older"])
        newer = await begin(tx)
        await send(newer, partition.topic, [b"newer"])
        await older.stop()
        await newer.commit({}, NOBODY)
        assert await committed_rows(transport, partition) == [b"newer"]

    async def test_a_reader_that_stands_before_a_dead_producers_transaction_goes_on_when_it_is_fenced(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin, producer: Producer, careful: Reader
    ) -> None:
        partition, tx = TopicPartition(await topic(), 0), names("tx")
        dead = await begin(tx)
        await send(dead, partition.topic, [b"dead"])
        await dead.drop()
        await send(producer, partition.topic, [b"plain"])
        careful.assign({partition: 0})
        assert rows_of(await careful.poll(0.2)) == []
        await transport.fence(tx)
        assert values_of(await read_to(careful, {partition: 3})) == [b"plain"]

    async def test_fencing_an_id_that_nobody_has_is_no_error(self, transport: Transport, names: Names) -> None:
        await transport.fence(names("tx"))

    # ---- sends that fail

    async def test_a_record_without_a_key_for_a_compacted_topic_fails_the_commit_and_nothing_is_seen(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin
    ) -> None:
        fine, compacted = TopicPartition(await topic(), 0), await topic(cleanup_policy="compact")
        producer = await begin(names("tx"))
        await send(producer, fine.topic, [b"fine"])
        with pytest.raises(ProduceError):
            await send(producer, compacted, [b"no key"], keys=[None])
        with pytest.raises(CommitError):
            await producer.commit({}, NOBODY)
        await producer.drop()
        await producer.start()
        await send(producer, compacted, [b"with a key"])
        await send(producer, fine.topic, [b"again"])
        await producer.commit({}, NOBODY)
        assert await committed_rows(transport, fine) == [b"again"]
        assert await committed_rows(transport, TopicPartition(compacted, 0)) == [b"with a key"]

    async def test_a_forgiven_refusal_is_left_out(self, transport: Transport, topic: MakeTopic, begin: Begin) -> None:
        small = TopicPartition(await topic(max_message_bytes="1000"), 0)
        producer = await begin(small.topic)
        with pytest.raises(ProduceError) as caught:
            await send(producer, small.topic, [b"before", b"x" * 2_000, b"after"])
        assert (list(caught.value.rows), caught.value.runs) == ([1], ((0, 1), (-1, 1), (1, 1)))
        producer.forgive(caught.value)
        await producer.commit({}, NOBODY)
        await send(producer, small.topic, [b"next"])
        await producer.commit({}, NOBODY)
        assert await committed_rows(transport, small) == [b"before", b"after", b"next"]

    async def test_a_record_too_large_fails_the_commit(self, topic: MakeTopic, names: Names, begin: Begin) -> None:
        name = await topic()
        producer = await begin(names("tx"))
        with pytest.raises(ProduceError):
            await send(producer, name, [b"x" * 3_000_000])
        with pytest.raises(CommitError):
            await producer.commit({}, NOBODY)
        with pytest.raises(CommitError):
            await producer.commit({}, NOBODY)

    # ---- offsets

    async def test_offsets_are_committed_with_the_records(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin, join: Join
    ) -> None:
        source, sink, group = TopicPartition(await topic(), 0), TopicPartition(await topic(), 0), names("group")
        member = await member_of(join, source.topic, group)
        producer = await begin(names("tx"))
        await send(producer, sink.topic, numbered(3))
        await producer.commit({source: 7}, member.consumer.member)
        assert await member.consumer.committed([source]) == {source: 7}
        assert await transport.admin.committed(group, [source]) == {source: 7}
        assert await committed_rows(transport, sink) == numbered(3)

    async def test_a_transaction_of_offsets_alone_is_one(
        self, topic: MakeTopic, names: Names, begin: Begin, join: Join
    ) -> None:
        source = TopicPartition(await topic(), 0)
        member = await member_of(join, source.topic, names("group"))
        producer = await begin(names("tx"))
        for offset in (1, 1, 2):
            await producer.commit({source: offset}, member.consumer.member)
            assert await member.consumer.committed([source]) == {source: offset}

    async def test_a_member_shows_its_place_of_the_newest_assignment(
        self, topic: MakeTopic, names: Names, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        a = await join([name], group, "a")
        assert a.consumer.member == GroupMember(group, -1, "")
        seen: list[GroupMember] = []
        a.when_assigned = lambda partitions: seen.append(a.consumer.member)
        await turns_until(lambda: bool(a.assignments), a)
        assert seen[-1] == a.consumer.member == GroupMember(group, a.assignor.generation, a.assignor.member_id)
        b = await join([name], group, "b", group_instance_id="static")
        await turns_until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
        assert a.consumer.member.generation == b.consumer.member.generation == a.assignor.generation
        assert b.consumer.member.instance_id == "static"

    @pytest.mark.parametrize("generation", [-1, 0, 99])
    async def test_another_generation_is_refused_with_all_that_was_sent(
        self,
        transport: Transport,
        topic: MakeTopic,
        names: Names,
        begin: Begin,
        join: Join,
        generation: int,
    ) -> None:
        source, sink = TopicPartition(await topic(), 0), TopicPartition(await topic(), 0)
        member = await member_of(join, source.topic, names("group"))
        producer = await begin(names("tx"))
        await send(producer, sink.topic, numbered(3))
        with pytest.raises(CommitError):
            await producer.commit({source: 7}, replace(member.consumer.member, generation=generation))
        await producer.drop()
        await producer.start()
        assert await member.consumer.committed([source]) == {source: None}
        assert await committed_rows(transport, sink) == []

    async def test_a_member_that_the_group_does_not_know_is_refused(
        self, topic: MakeTopic, names: Names, begin: Begin, join: Join
    ) -> None:
        source = TopicPartition(await topic(), 0)
        member = await member_of(join, source.topic, names("group"))
        producer = await begin(names("tx"))
        with pytest.raises(CommitError):
            await producer.commit({source: 7}, replace(member.consumer.member, member_id="somebody"))
        assert await member.consumer.committed([source]) == {source: None}

    async def test_a_member_whose_group_has_gone_on_is_refused(
        self, topic: MakeTopic, names: Names, begin: Begin, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        source = TopicPartition(name, 0)
        a = await member_of(join, name, group)
        former = a.consumer.member
        b = await join([name], group, "b")
        await turns_until(lambda: len(a.owned) == len(b.owned) == 1, a, b)
        producer = await begin(names("tx"))
        with pytest.raises(CommitError):
            await producer.commit({source: 7}, former)
        await producer.drop()
        await producer.start()
        await producer.commit({source: 8}, a.consumer.member)
        assert await a.consumer.committed([source]) == {source: 8}

    async def test_a_static_member_whose_place_another_took_is_refused(
        self, topic: MakeTopic, names: Names, begin: Begin, join: Join
    ) -> None:
        source, group = TopicPartition(await topic(), 0), names("group")
        a = await member_of(join, source.topic, group, group_instance_id="one")
        former = a.consumer.member
        await a.consumer.stop()
        b = await member_of(join, source.topic, group, "b", group_instance_id="one")
        producer = await begin(names("tx"))
        with pytest.raises(CommitError):
            await producer.commit({source: 7}, former)
        assert await b.consumer.committed([source]) == {source: None}

    async def test_committing_works_while_partitions_are_revoked(
        self, topic: MakeTopic, names: Names, begin: Begin, join: Join
    ) -> None:
        name, group = await topic(partitions=2), names("group")
        moved = TopicPartition(name, 1)
        a = await member_of(join, name, group)
        producer = await begin(names("tx"))
        a.when_revoked = lambda: asyncio.ensure_future(producer.commit({moved: 9}, a.consumer.member))
        b = await join([name], group, "b", read_committed=True)
        await turns_until(lambda: bool(b.owned), a, b)
        a.when_revoked = None
        assert await b.consumer.committed([moved]) == {moved: 9}

    async def add_offsets(
        self, producer: TransactionalProducer, offsets: Mapping[TopicPartition, int], member: GroupMember
    ) -> None:
        """The part of a commit that comes before its end."""
        raise NotImplementedError

    async def test_stable_offsets_wait_for_a_transaction_that_holds_them(
        self, transport: Transport, topic: MakeTopic, names: Names, begin: Begin, join: Join
    ) -> None:
        name, tx = await topic(partitions=2), names("tx")
        held, free = TopicPartition(name, 0), TopicPartition(name, 1)
        member = await member_of(join, name, names("group"))
        producer = await begin(tx)
        await self.add_offsets(producer, {held: 5}, member.consumer.member)
        await producer.drop()
        asking = asyncio.create_task(member.consumer.committed([held]))
        assert await member.consumer.committed([free]) == {free: None}
        assert await transport.admin.committed(member.consumer.member.group, [held]) == {held: None}
        assert not asking.done()
        await transport.fence(tx)
        async with asyncio.timeout(DEADLINE):
            assert await asking == {held: None}

    async def test_a_member_starts_where_the_transactions_that_hold_its_offsets_end(
        self, topic: MakeTopic, names: Names, begin: Begin, join: Join, producer: Producer
    ) -> None:
        name, group = await topic(), names("group")
        source = TopicPartition(name, 0)
        await send(producer, name, numbered(10))
        first = await member_of(join, name, group)
        careful = await begin(names("tx"))
        await self.add_offsets(careful, {source: 6}, first.consumer.member)
        place = first.consumer.member
        await first.consumer.stop()
        second = await member_of(join, name, group, "b")
        await second.turn()
        assert second.rows == []
        await self.end(careful)
        await turns_until(lambda: len(second.rows) >= 4, second)
        assert [row.offset for row in second.rows] == [6, 7, 8, 9]
        assert place.generation < second.consumer.member.generation

    async def end(self, producer: TransactionalProducer) -> None:
        """The end of a commit, which comes after `add_offsets`."""
        raise NotImplementedError

    async def test_a_transaction_that_nobody_ends_is_aborted_by_the_broker(
        self, topic: MakeTopic, names: Names, begin: Begin, careful: Reader
    ) -> None:
        name = await topic()
        dead = await begin(names("tx"), timeout=1.0)
        await send(dead, name, [b"dead"])
        careful.assign({TopicPartition(name, 0): 0})
        assert await read_to(careful, {TopicPartition(name, 0): 2}) == []
        with pytest.raises(CommitError):
            await dead.commit({}, NOBODY)
