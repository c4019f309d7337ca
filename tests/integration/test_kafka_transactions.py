"""What only a real Kafka shows of transactions: answers that are lost, brokers that restart, processes that die."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streamz_actors.errors import CommitError, ProduceError
from streamz_actors.transport.abc import GroupSettings, TopicSpec, Transport
from streamz_actors.transport.kafka.transactions import KafkaTransactionalProducer
from streamz_actors.transport.kafka.transport import KafkaTransport
from streamz_actors.types import TopicPartition
from tests.contracts.transport_members import DEADLINE, START, Member, Names, numbered, read_to, turns_until, values_of
from tests.kafka_server import FOREVER, KafkaServer

pytestmark = pytest.mark.kafka
names = Names()

DIE_IN_A_TRANSACTION = """
import asyncio, os, sys
from streamz_actors.transport.kafka.transport import KafkaTransport

async def main(url, topic, transactional_id):
    async with KafkaTransport(url) as transport:
        producer = transport.transactional_producer("dying", transactional_id, timeout=600.0)
        await producer.start()
        await producer.send(topic, 0, [b"k"], [b"dead"], [0])
        os._exit(9)

asyncio.run(main(*sys.argv[1:]))
"""


class Lossy:
    """Stands before the client of a producer, and loses one kind of request, or the answer to it."""

    def __init__(self, producer: KafkaTransactionalProducer, kind: str, reached: bool, after: int = 0) -> None:
        """`reached`: whether the request reaches the broker. `kind` may be "" for any; `after`: how many pass."""
        assert producer._sending is not None
        self._client: Any = producer._sending.producer.client
        self._send, self._client.send = self._client.send, self.send
        self._kind, self._reached, self._after = kind, reached, after
        self._close, self._client.close = self._client.close, self.close
        self._waiting: list[asyncio.Future[Any]] = []
        self.lost = asyncio.Event()

    def stop(self) -> None:
        self._client.send, self._client.close = self._send, self._close

    async def close(self) -> None:
        """As when a connection is closed: whoever waits for an answer is told."""
        await self._close()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(KafkaConnectionError("closed"))

    async def send(self, node: int, request: Any, **how: Any) -> Any:
        self._after -= type(request).__name__.startswith(self._kind)
        if self._after >= 0 or not type(request).__name__.startswith(self._kind):
            return await self._send(node, request, **how)
        if self._reached:
            await self._send(node, request, **how)
        self.lost.set()
        self._waiting.append(asyncio.get_running_loop().create_future())
        return await self._waiting[-1]


@pytest.fixture
async def topics(kafka: Transport) -> tuple[TopicPartition, TopicPartition]:
    """A source and a sink."""
    source, sink = names("source"), names("sink")
    await kafka.admin.create([TopicSpec(name, 1, None, FOREVER) for name in (source, sink)])
    return TopicPartition(source, 0), TopicPartition(sink, 0)


@pytest.fixture
async def member(kafka: Transport, topics: tuple[TopicPartition, TopicPartition]) -> AsyncIterator[Member]:
    member = Member(kafka, GroupSettings(names("group"), "a", read_committed=True))
    await member.consumer.start([topics[0].topic])
    await turns_until(lambda: bool(member.owned), member)
    yield member
    await member.consumer.stop()


def transactional(kafka: Transport, transactional_id: str, **settings: Any) -> KafkaTransactionalProducer:
    producer = kafka.transactional_producer("p", transactional_id, **settings)
    assert isinstance(producer, KafkaTransactionalProducer)
    return producer


async def committed_values(kafka: Transport, partition: TopicPartition) -> list[bytes | None]:
    reader = kafka.reader(read_committed=True)
    await reader.start()
    reader.assign({partition: 0})
    rows = await read_to(reader, await kafka.admin.end_offsets([partition]))
    await reader.stop()
    return values_of(rows)


@pytest.mark.parametrize(
    ("lost", "reached", "committed"),
    [
        ("AddOffsetsToTxnRequest", True, False),
        ("CommitOffsetsInTransaction", False, False),
        ("CommitOffsetsInTransaction", True, False),
        ("EndTxnRequest", False, False),
        ("EndTxnRequest", True, True),
    ],
)
async def test_a_commit_without_an_answer_is_known_to_be_whole_or_nothing_after_the_next_start(
    kafka: Transport,
    topics: tuple[TopicPartition, TopicPartition],
    member: Member,
    lost: str,
    reached: bool,
    committed: bool,
) -> None:
    source, sink = topics
    producer = transactional(kafka, names("tx"))
    await producer.start()
    await producer.send(sink.topic, 0, [b"k"] * 5, numbered(5), [START] * 5)
    lossy = Lossy(producer, lost, reached)
    committing = asyncio.create_task(producer.commit({source: 5}, member.consumer.member))
    async with asyncio.timeout(DEADLINE):
        await lossy.lost.wait()
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    with pytest.raises(CommitError):
        await producer.commit({source: 5}, member.consumer.member)
    with pytest.raises(ProduceError):
        await producer.send(sink.topic, 0, [b"k"], [b"late"], [START])
    await producer.drop()
    await producer.start()
    assert await member.consumer.committed([source]) == {source: 5 if committed else None}
    assert await committed_values(kafka, sink) == (numbered(5) if committed else [])
    await producer.commit({source: 6}, member.consumer.member)
    assert await member.consumer.committed([source]) == {source: 6}
    await producer.stop()


async def test_a_commit_that_takes_longer_than_the_transaction_may_fails(
    kafka: Transport, topics: tuple[TopicPartition, TopicPartition], member: Member
) -> None:
    source, sink = topics
    producer = transactional(kafka, names("tx"), timeout=1.0)
    await producer.start()
    await producer.send(sink.topic, 0, [b"k"], [b"v"], [START])
    Lossy(producer, "EndTxnRequest", reached=False)
    with pytest.raises(CommitError, match="unknown"):
        await producer.commit({source: 1}, member.consumer.member)
    await producer.stop()


async def test_dropping_a_producer_ends_a_commit_and_sends_that_wait(
    kafka: Transport, topics: tuple[TopicPartition, TopicPartition], member: Member
) -> None:
    source, sink = topics
    for kind in ("ProduceRequest", "AddPartitionsToTxnRequest", "EndTxnRequest"):
        producer = transactional(kafka, names("tx"))
        await producer.start()
        lossy = Lossy(producer, kind, reached=True)
        send = producer.send(sink.topic, 0, [b"k"], [b"v"], [START])
        committing = asyncio.create_task(producer.commit({source: 1}, member.consumer.member))
        async with asyncio.timeout(DEADLINE):
            await lossy.lost.wait()
            await producer.drop()
            if kind != "EndTxnRequest":
                with pytest.raises(ProduceError):
                    await send
                with pytest.raises(CommitError):
                    await committing
        committing.cancel()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_history_of_transactions_cut_anywhere_is_there_exactly_once(
    kafka: Transport, topics: tuple[TopicPartition, TopicPartition], member: Member, seed: int
) -> None:
    source, sink = topics
    chance, tx, done, total = random.Random(seed), names("tx"), 0, 60
    producer = transactional(kafka, tx)
    await producer.start()
    while done < total:
        upto = min(total, done + chance.randint(1, 4))
        lossy = Lossy(producer, "", chance.random() < 0.5, after=chance.randint(0, 8))
        work = asyncio.create_task(transfer(producer, member, source, sink, range(done, upto)))
        lost = asyncio.create_task(lossy.lost.wait())
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            lost.cancel()
            lossy.stop()
            done = upto
            continue
        work.cancel()
        zombie, producer = producer, transactional(kafka, tx) if chance.random() < 0.5 else producer
        await producer.start()
        await asyncio.wait({work})
        if zombie is not producer:
            await zombie.drop()
        before, done = done, (await member.consumer.committed([source]))[source] or 0
        assert done in (before, upto)
    await producer.stop()
    assert await committed_values(kafka, sink) == numbered(total)


async def transfer(
    producer: KafkaTransactionalProducer,
    member: Member,
    source: TopicPartition,
    sink: TopicPartition,
    numbers: range,
) -> None:
    """Writes these numbers, one a send, and the position after them."""
    now = time.time_ns() // 1_000_000
    sends = [producer.send(sink.topic, 0, [b"k"], [b"%d" % number], [now]) for number in numbers]
    await asyncio.gather(*sends)
    await producer.commit({source: numbers.stop}, member.consumer.member)


async def test_a_process_that_died_in_a_transaction_is_fenced_and_what_it_had_open_is_never_seen(
    kafka: Transport, kafka_url: str, topics: tuple[TopicPartition, TopicPartition]
) -> None:
    _, sink = topics
    tx = names("tx")
    dying = [sys.executable, "-c", DIE_IN_A_TRANSACTION, kafka_url, sink.topic, tx]
    done = await asyncio.to_thread(subprocess.run, dying, capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (9, "")
    assert (await kafka.admin.end_offsets([sink]))[sink] == 1
    await kafka.fence(tx)
    assert (await kafka.admin.end_offsets([sink]))[sink] == 2
    assert await committed_values(kafka, sink) == []


async def test_a_delivery_that_takes_too_long_ends_its_producer(
    kafka_url: str, topics: tuple[TopicPartition, TopicPartition]
) -> None:
    _, sink = topics
    async with KafkaTransport(kafka_url, producer_config={"delivery_timeout_ms": 300}) as kafka:
        producer = transactional(kafka, names("tx"))
        await producer.start()
        lossy = Lossy(producer, "ProduceRequest", reached=False)
        with pytest.raises(ProduceError, match="unknown"):
            await producer.send(sink.topic, 0, [b"k"], [b"v"], [START])
        assert lossy.lost.is_set()
        with pytest.raises(ProduceError):
            await producer.send(sink.topic, 0, [b"k"], [b"v"], [START])
        await producer.stop()


async def test_sends_and_commits_ride_out_a_broker_that_is_gone_for_many_times_a_requests_time(tmp_path: Path) -> None:
    first = await asyncio.to_thread(KafkaServer, "--data", str(tmp_path))
    port = first.url.rpartition(":")[2]
    servers = [first]
    try:
        async with KafkaTransport(first.url, producer_config={"request_timeout_ms": 1000}) as kafka:
            topic = names("topic")
            await kafka.admin.create([TopicSpec(topic, 1)])
            member = Member(kafka, GroupSettings(names("group"), "a", read_committed=True, session_timeout=60.0))
            await member.consumer.start([topic])
            await turns_until(lambda: bool(member.owned), member)
            plain, careful = kafka.producer("plain"), transactional(kafka, names("tx"))
            await plain.start()
            await careful.start()
            await careful.send(topic, 0, [b"k"], [b"before"], [START])
            await asyncio.to_thread(first.stop)
            sends = [plain.send(topic, 0, [b"k"] * 100, numbered(100), [START] * 100)]
            sends.append(careful.send(topic, 0, [b"k"], [b"during"], [START]))
            committing = asyncio.create_task(careful.commit({TopicPartition(topic, 0): 7}, member.consumer.member))
            servers.append(await asyncio.to_thread(KafkaServer, "--data", str(tmp_path), "--port", port))
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*sends, committing)
            values = await committed_values(kafka, TopicPartition(topic, 0))
            assert [value for value in values if value in (b"before", b"during")] == [b"before", b"during"]
            assert [value for value in values if value not in (b"before", b"during")] == numbered(100)
            assert await member.consumer.committed([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 7}
            await careful.stop()
            await plain.stop()
            await member.consumer.stop()
    finally:
        for server in servers:
            await asyncio.to_thread(server.stop)
