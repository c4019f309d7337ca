"""What every transport's admin does with groups: who is in one, what it has committed, and how that is changed."""

from collections.abc import AsyncIterator

import pytest

from streamz_actors.errors import CommitError, TransportError
from streamz_actors.transport.abc import Producer, Transport
from streamz_actors.transport.kafka.transport import KafkaTransport
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.contracts.transport_members import START, Join, MakeTopic, Names, numbered, send, turns_until
from tests.kafka_server import kafka_url as kafka_url


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    made = MemoryTransport() if request.param == "memory" else KafkaTransport(request.getfixturevalue("kafka_url"))
    async with made as started:
        yield started


async def test_a_group_that_nobody_has_heard_of_has_nothing(transport: Transport, names: Names) -> None:
    group = names("group")
    assert await transport.admin.members(group) == []
    assert await transport.admin.all_committed(group) == {}
    await transport.admin.delete_group(group)


async def test_its_members_are_told_until_they_leave(
    transport: Transport, topic: MakeTopic, names: Names, join: Join
) -> None:
    name, group = await topic(), names("group")
    one = await join([name], group, "one")
    await turns_until(lambda: bool(one.owned), one)
    (found,) = await transport.admin.members(group)
    assert (found.member_id, found.client_id) == (one.consumer.member.member_id, "one")
    await one.consumer.stop()
    assert await transport.admin.members(group) == []


async def test_a_static_member_that_has_gone_is_there_until_it_is_removed(
    transport: Transport, topic: MakeTopic, names: Names, join: Join
) -> None:
    name, group = await topic(), names("group")
    one = await join([name], group, "one", group_instance_id="first")
    await turns_until(lambda: bool(one.owned), one)
    await one.consumer.stop()
    (found,) = await transport.admin.members(group)
    await transport.admin.remove_member(group, found.member_id)
    assert await transport.admin.members(group) == []


async def test_all_that_it_has_committed_is_told(
    transport: Transport, topic: MakeTopic, names: Names, producer: Producer, join: Join
) -> None:
    first, second, group = await topic(partitions=3), await topic(), names("group")
    await send(producer, first, numbered(5), partition=1)
    member = await join([first, second], group)
    await turns_until(lambda: len(member.rows) >= 5, member)
    committed = {TopicPartition(first, 1): 4, TopicPartition(second, 0): 0}
    await member.consumer.commit(committed)
    assert await transport.admin.all_committed(group) == committed


async def test_positions_are_set_where_there_are_no_members(
    transport: Transport, topic: MakeTopic, names: Names, producer: Producer, join: Join
) -> None:
    name, group = await topic(partitions=2), names("group")
    await send(producer, name, numbered(5))
    await transport.admin.set_committed(group, {TopicPartition(name, 0): 3})
    assert await transport.admin.all_committed(group) == {TopicPartition(name, 0): 3}
    member = await join([name], group)
    await turns_until(lambda: len(member.rows) >= 2, member)
    assert [row.offset for row in member.rows] == [3, 4]
    with pytest.raises(CommitError, match="has members"):
        await transport.admin.set_committed(group, {TopicPartition(name, 0): 1})


async def test_a_group_is_forgotten_unless_it_has_members(
    transport: Transport, topic: MakeTopic, names: Names, join: Join
) -> None:
    name, group = await topic(), names("group")
    place = TopicPartition(name, 0)
    member = await join([name], group)
    await turns_until(lambda: bool(member.owned), member)
    await member.consumer.commit({place: 0})
    with pytest.raises(TransportError, match=group):
        await transport.admin.delete_group(group)
    await member.consumer.stop()
    await transport.admin.delete_group(group)
    assert await transport.admin.all_committed(group) == {}
    assert await transport.admin.committed(group, [place]) == {place: None}


async def test_offsets_are_looked_up_by_time(
    transport: Transport, topic: MakeTopic, producer: Producer
) -> None:
    name = await topic(partitions=2)
    full, empty = TopicPartition(name, 0), TopicPartition(name, 1)
    await send(producer, name, numbered(5))
    assert await transport.admin.offsets_at([full, empty], START + 2) == {full: 2, empty: 0}
    assert await transport.admin.offsets_at([full], 0) == {full: 0}
    assert await transport.admin.offsets_at([full], START + 100) == {full: 5}
