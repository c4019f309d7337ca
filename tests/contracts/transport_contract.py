"""What every transport does with topics, records and readers; `group_contract` has the consumers.

An adapter's test module defines a fixture `transport` (started; tests may share its broker) and a class:

    class TestMyTransport(TransportContract): ...
"""

import asyncio

import pytest

from streamz_actors.errors import OffsetOutOfRange, ProduceError, TransportError
from streamz_actors.transport.abc import GroupMember, Producer, Reader, TopicSpec, Transport
from streamz_actors.types import Headers, TopicPartition
from tests.contracts.transport_members import (
    DEADLINE,
    START,
    MakeTopic,
    Names,
    Row,
    numbered,
    read_all,
    read_to,
    rows_of,
    send,
    values_of,
)


class TransportContract:
    # ---- topics

    async def test_a_created_topic_is_described_with_its_partitions_and_an_id(
        self, transport: Transport, topic: MakeTopic, names: Names
    ) -> None:
        name, absent = await topic(partitions=3), names("absent")
        described = await transport.admin.describe([name, absent])
        assert described.keys() == {name}
        assert (described[name].name, described[name].partitions) == (name, 3)
        assert described[name].id
        assert described[name] in await transport.admin.list_topics()

    async def test_describing_an_unknown_topic_does_not_create_it(self, transport: Transport, names: Names) -> None:
        absent = names("absent")
        assert await transport.admin.describe([absent]) == {}
        assert absent not in {info.name for info in await transport.admin.list_topics()}

    async def test_creating_a_topic_again_leaves_it_as_it_is(self, transport: Transport, topic: MakeTopic) -> None:
        name = await topic(partitions=2)
        before = await transport.admin.describe([name])
        await transport.admin.create([TopicSpec(name, 5, None, {"cleanup.policy": "compact"})])
        assert await transport.admin.describe([name]) == before
        assert (await transport.admin.config(name))["cleanup.policy"] == "delete"

    async def test_the_effective_config_has_what_was_set_and_the_defaults(
        self, transport: Transport, topic: MakeTopic
    ) -> None:
        config = await transport.admin.config(await topic(cleanup_policy="compact"))
        assert config["cleanup.policy"] == "compact"
        assert config["retention.ms"] == "604800000"

    async def test_a_setting_or_a_name_that_kafka_does_not_know_is_refused(
        self, transport: Transport, names: Names
    ) -> None:
        with pytest.raises(TransportError):
            await transport.admin.create([TopicSpec(names("topic"), 1, None, {"clean.policy": "compact"})])
        with pytest.raises(TransportError):
            await transport.admin.create([TopicSpec("no blanks", 1)])

    async def test_a_topic_made_again_under_its_name_is_empty_and_has_another_id(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic()
        first = (await transport.admin.describe([name]))[name]
        await send(producer, name, numbered(3))
        await transport.admin.delete([name])
        async with asyncio.timeout(DEADLINE):
            while await transport.admin.describe([name]):
                pass
        await transport.admin.create([TopicSpec(name, 1)])
        again = (await transport.admin.describe([name]))[name]
        assert again.id != first.id
        assert await transport.admin.end_offsets([TopicPartition(name, 0)]) == {TopicPartition(name, 0): 0}

    async def test_deleting_an_unknown_topic_is_no_error(self, transport: Transport, names: Names) -> None:
        await transport.admin.delete([names("absent")])

    async def test_the_cluster_has_an_id_that_stays(self, transport: Transport) -> None:
        assert await transport.admin.cluster_id()
        assert await transport.admin.cluster_id() == await transport.admin.cluster_id()

    # ---- records

    async def test_a_record_comes_back_as_it_was_sent(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic()
        headers: Headers = (("trace", b"1"), ("trace", b"2"), ("empty", b""))
        delivery = await producer.send(name, 0, [b"k", None], [b"v", b""], [START, START + 5], [headers, ()])
        assert (delivery.topic, delivery.partition, delivery.offset(0), delivery.next_offset) == (name, 0, 0, 2)
        assert await read_all(transport, [TopicPartition(name, 0)]) == [
            Row(0, 0, b"k", b"v", START, headers),
            Row(0, 1, None, b"", START + 5, ()),
        ]

    async def test_tombstones_null_keys_and_empty_keys_are_three_things(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic()
        await send(producer, name, [None, b"x", b""], keys=[b"gone", None, b""])
        rows = await read_all(transport, [TopicPartition(name, 0)])
        assert [(row.key, row.value) for row in rows] == [(b"gone", None), (None, b"x"), (b"", b"")]

    async def test_batches_without_headers_have_no_header_column(
        self, transport: Transport, topic: MakeTopic, producer: Producer, reader: Reader
    ) -> None:
        name = await topic()
        await send(producer, name, numbered(10), headers=[()] * 10)
        reader.assign({TopicPartition(name, 0): 0})
        async with asyncio.timeout(DEADLINE):
            while not (batches := await reader.poll(0.05)):
                pass
        assert all(batch.headers is None for batch in batches)

    async def test_records_of_a_partition_keep_the_order_of_the_calls(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic(partitions=3)
        sent = [
            producer.send(name, call % 3, [None] * 7, numbered(7, f"{call}-"), [START] * 7) for call in range(60)
        ]
        deliveries = await asyncio.gather(*sent)
        assert producer.pending == 0
        for partition in range(3):
            expected = [value for call in range(partition, 60, 3) for value in numbered(7, f"{call}-")]
            rows = await read_all(transport, [TopicPartition(name, partition)])
            assert values_of(rows) == expected
            assert [row.offset for row in rows] == list(range(140))
            offsets = [deliveries[call].offset(index) for call in range(partition, 60, 3) for index in range(7)]
            assert offsets == list(range(140))

    async def test_flush_returns_when_nothing_is_pending(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic()
        sent = [producer.send(name, 0, [None], [value], [START]) for value in numbered(50)]
        await producer.flush()
        assert producer.pending == 0
        assert all(future.done() for future in sent)
        assert [future.result().offset(0) for future in sent] == list(range(50))

    async def test_a_large_send_comes_back_in_several_bounded_batches(
        self, transport: Transport, topic: MakeTopic, producer: Producer, reader: Reader
    ) -> None:
        name, count = await topic(), 50_000
        values = numbered(count)
        delivery = await producer.send(name, 0, [b"%d" % (n % 100) for n in range(count)], values, [START] * count)
        assert [delivery.offset(0), delivery.offset(count - 1), delivery.next_offset] == [0, count - 1, count]
        reader.assign({TopicPartition(name, 0): 0})
        polls: list[int] = []
        got: list[bytes | None] = []
        async with asyncio.timeout(DEADLINE):
            while len(got) < count:
                rows = rows_of(await reader.poll(0.05))
                polls.append(len(rows))
                got.extend(values_of(rows))
        assert got == values
        assert max(polls) < count

    async def test_a_record_too_large_is_refused_and_the_next_is_not(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic()
        with pytest.raises(ProduceError, match=name):
            await send(producer, name, [b"x" * 3_000_000])
        await send(producer, name, [b"small"])
        assert values_of(await read_all(transport, [TopicPartition(name, 0)])) == [b"small"]

    async def test_a_compacted_topic_refuses_records_without_a_key(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic(cleanup_policy="compact")
        with pytest.raises(ProduceError, match=name):
            await send(producer, name, [b"value"], keys=[None])

    async def test_sending_to_an_unknown_topic_or_partition_fails(
        self, transport: Transport, topic: MakeTopic, names: Names, producer: Producer
    ) -> None:
        name, absent = await topic(partitions=2), names("absent")
        with pytest.raises(ProduceError, match=absent):
            await send(producer, absent, [b"value"])
        with pytest.raises(ProduceError, match=name):
            await send(producer, name, [b"value"], partition=2)
        assert await transport.admin.describe([absent]) == {}

    async def test_a_stopped_producer_refuses_and_may_be_stopped_again(
        self, transport: Transport, topic: MakeTopic
    ) -> None:
        name = await topic()
        producer = transport.producer("short")
        await producer.start()
        await producer.stop()
        await producer.stop()
        with pytest.raises(ProduceError):
            await producer.send(name, 0, [None], [b"late"], [START])

    # ---- offsets and readers

    async def test_offsets_of_an_empty_and_of_a_filled_partition(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic(partitions=2)
        empty, filled = TopicPartition(name, 0), TopicPartition(name, 1)
        await send(producer, name, numbered(4), partition=1)
        assert await transport.admin.beginning_offsets([empty, filled]) == {empty: 0, filled: 0}
        assert await transport.admin.end_offsets([empty, filled]) == {empty: 0, filled: 4}

    async def test_deleted_records_are_gone_and_the_log_begins_after_them(
        self, transport: Transport, topic: MakeTopic, producer: Producer
    ) -> None:
        name = await topic()
        partition = TopicPartition(name, 0)
        await send(producer, name, numbered(10))
        await transport.admin.delete_records({partition: 6})
        assert await transport.admin.beginning_offsets([partition]) == {partition: 6}
        assert await transport.admin.end_offsets([partition]) == {partition: 10}
        assert [row.offset for row in await read_all(transport, [partition])] == [6, 7, 8, 9]

    async def test_records_of_an_open_transaction_can_be_deleted_like_others(
        self, transport: Transport, topic: MakeTopic, names: Names
    ) -> None:
        partition = TopicPartition(await topic(), 0)
        producer = transport.transactional_producer("contract", names("tx"))
        await producer.start()
        await send(producer, partition.topic, numbered(10))
        await transport.admin.delete_records({partition: 6})
        assert await transport.admin.beginning_offsets([partition]) == {partition: 6}
        await producer.commit({}, GroupMember("nobody", 1, ""))
        await producer.stop()
        reader = transport.reader(read_committed=True)
        await reader.start()
        reader.assign({partition: 6})
        assert [row.offset for row in await read_to(reader, {partition: 11})] == [6, 7, 8, 9]
        await reader.stop()

    async def test_a_reader_reads_from_its_positions_to_the_end(
        self, transport: Transport, topic: MakeTopic, producer: Producer, reader: Reader
    ) -> None:
        name = await topic(partitions=2)
        first, second = TopicPartition(name, 0), TopicPartition(name, 1)
        await send(producer, name, numbered(10, "a"), partition=0)
        await send(producer, name, numbered(10, "b"), partition=1)
        reader.assign({first: 7, second: 10})
        assert reader.position(first) == 7
        rows = await read_to(reader, {first: 10, second: 10})
        assert values_of(rows) == [b"a7", b"a8", b"a9"]
        await send(producer, name, [b"more"], partition=1)
        assert values_of(await read_to(reader, {first: 10, second: 11})) == [b"more"]

    async def test_assigning_a_reader_again_replaces_what_it_reads(
        self, transport: Transport, topic: MakeTopic, producer: Producer, reader: Reader
    ) -> None:
        name = await topic(partitions=2)
        await send(producer, name, numbered(5, "a"), partition=0)
        await send(producer, name, numbered(5, "b"), partition=1)
        reader.assign({TopicPartition(name, 0): 0})
        await read_to(reader, {TopicPartition(name, 0): 5})
        reader.assign({TopicPartition(name, 1): 2})
        assert values_of(await read_to(reader, {TopicPartition(name, 1): 5})) == [b"b2", b"b3", b"b4"]

    async def test_a_reader_does_not_wait_where_there_is_nothing(
        self, transport: Transport, topic: MakeTopic, reader: Reader
    ) -> None:
        partition = TopicPartition(await topic(), 0)
        reader.assign({partition: 0})
        assert await reader.poll(0) == []
        assert reader.position(partition) == 0

    @pytest.mark.parametrize("position", [2, 99])
    async def test_a_reader_at_a_position_outside_the_log_is_told(
        self, transport: Transport, topic: MakeTopic, producer: Producer, reader: Reader, position: int
    ) -> None:
        name = await topic()
        partition = TopicPartition(name, 0)
        await send(producer, name, numbered(10))
        await transport.admin.delete_records({partition: 5})
        reader.assign({partition: position})
        with pytest.raises(OffsetOutOfRange, match=name):
            await read_to(reader, {partition: 100})
