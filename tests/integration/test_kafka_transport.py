"""What only a real Kafka shows: compression, transactions, refusals, restarts, pauses, and failures in rebalances."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as ForeignPartition
from aiokafka.protocol.fetch import FetchRequest

from streamz_actors.errors import OffsetOutOfRange, ProduceError
from streamz_actors.transport.abc import GroupSettings, Listener, Offer, RawBatch, Reader, Share, TopicSpec, Transport
from streamz_actors.transport.kafka.consumer import KafkaConsumer
from streamz_actors.transport.kafka.transport import KafkaTransport
from streamz_actors.types import TopicPartition
from tests.contracts.transport_members import (
    DEADLINE,
    START,
    Member,
    Names,
    SpreadAssignor,
    numbered,
    rows_of,
    turns_until,
)
from tests.kafka_server import FOREVER, KafkaServer

pytestmark = pytest.mark.kafka
names = Names()


@pytest.fixture
async def topic(kafka: Transport) -> str:
    name = names("topic")
    await kafka.admin.create([TopicSpec(name, 1, None, FOREVER)])
    return name


async def read(reader: Reader, partition: TopicPartition, start: int, end: int) -> list[tuple[object, ...]]:
    reader.assign({partition: start})
    rows: list[tuple[object, ...]] = []
    async with asyncio.timeout(DEADLINE):
        while reader.position(partition) < end:
            found = rows_of(await reader.poll(0.1))
            rows += [(row.offset, row.timestamp, row.key, row.value, row.headers) for row in found]
    return rows


async def stock(url: str, partition: TopicPartition, start: int, end: int, isolation: str) -> list[tuple[object, ...]]:
    """The same by aiokafka's own reader."""
    consumer = AIOKafkaConsumer(bootstrap_servers=url.removeprefix("kafka://"), isolation_level=isolation)
    foreign = ForeignPartition(*partition)
    await consumer.start()
    rows: list[tuple[object, ...]] = []
    try:
        consumer.assign([foreign])
        consumer.seek(foreign, start)
        async with asyncio.timeout(DEADLINE):
            while await consumer.position(foreign) < end:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    rows += [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in records]
    finally:
        await consumer.stop()
    return rows


async def transactions(url: str, topic: str, compression: str | None) -> None:
    """Committed and aborted transactions in turn, ten records each, in two batches."""
    producer = AIOKafkaProducer(
        bootstrap_servers=url.removeprefix("kafka://"), transactional_id=names("tx"), compression_type=compression
    )
    await producer.start()
    try:
        for number in range(6):
            await producer.begin_transaction()
            for part in range(2):
                batch = producer.create_batch()
                for index in range(5):
                    key, value = b"%d" % number, b"v%d" % index * 20
                    batch.append(timestamp=START + index, key=key, value=value, headers=[("part", b"%d" % part)])
                batch.close()
                await (await producer.send_batch(batch, topic, partition=0))
            await (producer.abort_transaction() if number % 2 else producer.commit_transaction())
    finally:
        await producer.stop()


async def end_of_transactions(kafka: Transport, partition: TopicPartition) -> int:
    """Six times ten records and a marker; brokers answer before the last marker is written."""
    async with asyncio.timeout(DEADLINE):
        while (await kafka.admin.end_offsets([partition]))[partition] < 66:
            pass
    return 66


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_raw_batches_hold_what_aiokafkas_own_reader_gives(
    kafka: Transport, kafka_url: str, topic: str, compression: str | None
) -> None:
    await transactions(kafka_url, topic, compression)
    partition = TopicPartition(topic, 0)
    end = await end_of_transactions(kafka, partition)
    for isolation in ("read_uncommitted", "read_committed"):
        async with KafkaTransport(kafka_url, consumer_config={"isolation_level": isolation}) as transport:
            reader = transport.reader()
            await reader.start()
            for start in (0, 3, 10, 13, 40, 62, end - 1):
                expected = await stock(kafka_url, partition, start, end, isolation)
                assert await read(reader, partition, start, end) == expected
            await reader.stop()


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_compressed_batches_are_written_and_read(kafka_url: str, compression: str) -> None:
    async with KafkaTransport(kafka_url, producer_config={"compression_type": compression}) as transport:
        name = names("topic")
        await transport.admin.create([TopicSpec(name, 1, None, FOREVER)])
        producer, reader = transport.producer("p"), transport.reader()
        await producer.start()
        await reader.start()
        values = numbered(20_000)
        delivery = await producer.send(name, 0, [None] * 20_000, values, [START] * 20_000)
        rows = await read(reader, TopicPartition(name, 0), 0, delivery.next_offset)
        assert [row[3] for row in rows] == values
        await reader.stop()
        await producer.stop()


async def test_after_a_refusal_the_partition_can_be_written_again(kafka: Transport) -> None:
    compacted, small = names("topic"), names("topic")
    await kafka.admin.create(
        [
            TopicSpec(compacted, 1, None, {"cleanup.policy": "compact"}),
            TopicSpec(small, 1, None, {"max.message.bytes": "10000"}),
        ]
    )
    producer = kafka.producer("p")
    await producer.start()
    await producer.send(compacted, 0, [b"k"], [b"1"], [START])
    with pytest.raises(ProduceError, match=r"INVALID_RECORD.*key"):
        await producer.send(compacted, 0, [None], [b"no key"], [START])
    assert (await producer.send(compacted, 0, [b"k"], [b"2"], [START])).offset(0) == 1
    split = producer.send(small, 0, [b"k"] * 500, numbered(500, "x" * 100), [START] * 500)
    with pytest.raises(ProduceError, match=r"max\.message\.bytes"):
        await producer.send(small, 0, [b"k"], [b"x" * 20_000], [START])
    assert (await split).runs == ((0, 500),)
    assert (await producer.send(small, 0, [b"k"], [b"3"], [START])).offset(0) == 500
    await producer.stop()


async def test_the_position_moves_past_control_records(kafka: Transport, kafka_url: str, topic: str) -> None:
    await transactions(kafka_url, topic, None)
    partition = TopicPartition(topic, 0)
    end = await end_of_transactions(kafka, partition)
    reader = kafka.reader()
    await reader.start()
    rows = await read(reader, partition, 0, end)
    assert rows[-1][0] == end - 2
    assert reader.position(partition) == end
    await reader.stop()


async def test_what_was_fetched_before_a_pause_is_given_out_after_it_and_dropped_by_a_seek(
    kafka: Transport, topic: str
) -> None:
    producer = kafka.producer("p")
    await producer.start()
    for part in range(4):
        await producer.send(topic, 0, [None] * 5_000, numbered(5_000, f"{part}-"), [START] * 5_000)
    await producer.stop()
    partition = TopicPartition(topic, 0)
    member = Member(kafka, GroupSettings(names("group"), "a"))
    await member.consumer.start([topic])
    await turns_until(lambda: bool(member.rows), member)
    for _ in range(3):
        member.consumer.pause([partition])
        before = len(member.rows)
        assert await member.consumer.poll(0.05) == []
        member.consumer.resume([partition])
        await turns_until(lambda seen=before: len(member.rows) > seen, member)  # type: ignore[misc]
    await turns_until(lambda: len(member.rows) >= 20_000, member)
    assert [row.offset for row in member.rows] == list(range(20_000))
    member.rows.clear()
    member.consumer.seek(partition, 10)
    member.consumer.pause([partition])
    member.consumer.seek(partition, 19_990)
    member.consumer.resume([partition])
    await turns_until(lambda: len(member.rows) >= 10, member)
    assert [row.offset for row in member.rows] == list(range(19_990, 20_000))
    await member.consumer.stop()


async def test_without_a_reset_policy_an_uncommitted_partition_is_an_error(kafka: Transport, topic: str) -> None:
    member = Member(kafka, GroupSettings(names("group"), "a", auto_offset_reset="none"))
    await member.consumer.start([topic])
    with pytest.raises(OffsetOutOfRange, match="nothing is committed"):
        await turns_until(lambda: bool(member.rows), member)
    await member.consumer.stop()


class Faulty:
    """An assignor, and a listener, that raise where they are told to."""

    name = "faulty"

    def __init__(self, where: str) -> None:
        self.where = where

    def check(self, place: str) -> None:
        if place == self.where:
            raise ZeroDivisionError(place)

    def user_data(self) -> bytes:
        self.check("user_data")
        return b""

    def assign(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> Mapping[str, Share]:
        self.check("assign")
        every = tuple(TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count))
        return {offer.member_id: Share(() if index else every, b"") for index, offer in enumerate(offers)}

    def on_assigned(self, share: Share, generation: int, member_id: str, leader: bool) -> None:
        self.check("share")


class FaultyListener(Listener):
    def __init__(self, faulty: Faulty) -> None:
        self._faulty = faulty

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._faulty.check("revoked")

    def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self._faulty.check("assigned")


@pytest.mark.parametrize("where", ["user_data", "assign", "share", "assigned", "revoked"])
async def test_what_a_rebalance_raises_comes_out_of_the_next_poll(kafka: Transport, topic: str, where: str) -> None:
    faulty, group = Faulty(where), names("group")
    consumer = kafka.consumer(GroupSettings(group, "a"), faulty, FaultyListener(faulty))
    await consumer.start([topic])
    other = Faulty("nowhere")
    joining = kafka.consumer(GroupSettings(group, "b"), other, FaultyListener(other))

    async def poll_until_it_raises() -> None:
        while not consumer.assignment():
            await consumer.poll(0.1)
        await joining.start([topic])  # a rebalance, for the failures that come only with one
        while True:
            await consumer.poll(0.1)

    with pytest.raises(ZeroDivisionError, match=where):
        await asyncio.wait_for(poll_until_it_raises(), DEADLINE)
    await consumer.stop()
    if where != "revoked":
        await joining.start([topic])
    async with asyncio.timeout(DEADLINE):
        while not joining.assignment():
            await joining.poll(0.1)
    await joining.stop()


async def drain(poll: Callable[[], Awaitable[list[RawBatch]]], count: int) -> list[object]:
    values: list[object] = []
    async with asyncio.timeout(60):
        while len(values) < count:
            for batch in await poll():
                values += batch.values
    return values


async def test_a_broker_that_restarts_costs_nothing_that_was_sent(tmp_path: Path) -> None:
    first = KafkaServer("--data", str(tmp_path))
    port = first.url.rpartition(":")[2]
    try:
        async with KafkaTransport(first.url) as transport:
            topic = names("topic")
            await transport.admin.create([TopicSpec(topic, 1)])
            producer, reader = transport.producer("p"), transport.reader()
            await producer.start()
            await reader.start()
            reader.assign({TopicPartition(topic, 0): 0})
            values = numbered(300)
            await producer.send(topic, 0, [None] * 100, values[:100], [START] * 100)
            assert await drain(lambda: reader.poll(0.1), 100) == values[:100]
            await asyncio.to_thread(first.stop)
            during = producer.send(topic, 0, [None] * 100, values[100:200], [START] * 100)
            second = await asyncio.to_thread(KafkaServer, "--data", str(tmp_path), "--port", port)
            try:
                async with asyncio.timeout(60):
                    assert (await during).offset(0) == 100
                    await producer.send(topic, 0, [None] * 100, values[200:], [START] * 100)
                assert await drain(lambda: reader.poll(0.1), 200) == values[100:]
                await reader.stop()
                await producer.stop()
            finally:
                await asyncio.to_thread(second.stop)
    finally:
        await asyncio.to_thread(first.stop)


async def test_a_broker_that_answers_no_fetch_is_not_heard_of_any_more(kafka: Transport, topic: str) -> None:
    consumer = kafka.consumer(GroupSettings(names("group"), "a"), SpreadAssignor("a"), Quiet())
    assert isinstance(consumer, KafkaConsumer)
    await consumer.start([topic])
    async with asyncio.timeout(DEADLINE):
        while not consumer.assignment():
            await consumer.poll(0.05)
        assert consumer._hearing is not None
        send = consumer._hearing._send

        async def silent(node: int, request: object, **how: object) -> object:
            fetching = isinstance(request, FetchRequest)
            return await (asyncio.get_running_loop().create_future() if fetching else send(node, request, **how))

        consumer._hearing._send = silent
        before = 0.0
        while consumer.heard_at > before:  # what was asked before still comes
            before = consumer.heard_at
            for _ in range(6):
                await consumer.poll(0.05)
    await consumer.stop()


class Quiet(Listener):
    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None: ...

    def on_assigned(self, partitions: frozenset[TopicPartition]) -> None: ...
