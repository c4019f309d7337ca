"""One output partition's way: order, splitting, refusals, and what is taken back."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import ProduceError
from streamz_actors.transport.abc import Delivery
from streamz_actors.transport.kafka.absence import Gone
from streamz_actors.transport.kafka.errors import InvalidRecord
from streamz_actors.transport.kafka.lane import Lane, Send
from streamz_actors.types import Headers, TopicPartition

PARTITION = TopicPartition("orders", 3)


class Broker:
    """Takes batches of at most `limit` bytes, of records that have a value other than `refused`."""

    def __init__(self, limit: int = 1 << 20, refused: bytes = b"refused", batch_size: int = 1 << 16) -> None:
        self.log: list[Any] = []
        self.batches: list[int] = []
        self.taken_back = 0
        self.settled = 0
        self._limit, self._refused = limit, refused
        self.lane = Lane(
            PARTITION,
            lambda limit: BatchBuilder(min(limit, batch_size), 0),
            self.deliver,
            self.take_back,
            self.settle,
            100_000,
        )

    async def deliver(self, partition: TopicPartition, builder: BatchBuilder) -> int:
        await asyncio.sleep(0)
        size = builder.size()
        if size > self._limit:
            raise MessageSizeTooLargeError
        records = list(MemoryRecords(bytes(builder._build())).next_batch())
        if any(record.value == self._refused for record in records):
            raise InvalidRecord
        offset = len(self.log)
        self.log.extend(records)
        self.batches.append(len(records))
        return offset

    def take_back(self, partition: TopicPartition, records: int) -> None:
        self.taken_back += records

    def settle(self, records: int) -> None:
        self.settled += records

    def send(self, values: list[Any], headers: list[Headers] | None = None) -> "asyncio.Future[Delivery]":
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self.lane.add(Send([b"k"] * len(values), values, list(range(len(values))), headers, future))
        return future

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.log]


@given(
    sends=st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=30), min_size=1, max_size=8),
    batch_size=st.integers(min_value=61, max_value=2_000),
    limit=st.integers(min_value=200, max_value=2_000),
)
def test_every_record_arrives_once_in_the_order_of_the_calls(
    sends: list[list[bytes]], batch_size: int, limit: int
) -> None:
    async def scenario() -> None:
        broker = Broker(limit=limit, batch_size=batch_size)
        futures = [broker.send(list(values)) for values in sends]
        await broker.lane.run()
        assert broker.values == [value for values in sends for value in values]
        assert broker.settled == len(broker.values)
        delivered = [(future.result(), len(values)) for future, values in zip(futures, sends, strict=True)]
        offsets = [delivery.offset(index) for delivery, count in delivered for index in range(count)]
        assert offsets == list(range(len(broker.values)))

    asyncio.run(scenario())


async def test_what_is_sent_before_the_lane_runs_shares_a_batch() -> None:
    broker = Broker()
    futures = [broker.send([b"a", b"b"]), broker.send([b"c"]), broker.send([b"d"] * 5_000)]
    await broker.lane.run()
    assert broker.batches[0] > 3
    assert sum(broker.batches) == 5_003
    assert futures[2].result().runs == ((3, 5_000),)


async def test_headers_timestamps_and_tombstones_are_kept() -> None:
    broker = Broker()
    broker.send([None, b"v"], headers=[(("a", b"1"), ("a", b"2")), ()])
    await broker.lane.run()
    assert [(record.key, record.value, record.timestamp, record.headers) for record in broker.log] == [
        (b"k", None, 0, [("a", b"1"), ("a", b"2")]),
        (b"k", b"v", 1, []),
    ]


async def test_a_topic_with_a_lower_limit_gets_smaller_batches() -> None:
    broker = Broker(limit=1_000)
    future = broker.send([b"x" * 100] * 50)
    await broker.lane.run()
    assert future.result().next_offset == 50
    assert max(broker.batches) < 10
    assert broker.taken_back > 0


@pytest.mark.parametrize("size", [50_000, 150_000])
async def test_only_the_record_too_large_is_left_out(size: int) -> None:
    broker = Broker(limit=1_000)
    before, large, after = broker.send([b"1"]), broker.send([b"2", b"x" * size, b"3"]), broker.send([b"4"])
    await broker.lane.run()
    assert before.result().offset(0) == 0
    with pytest.raises(ProduceError, match=r"orders.*partition 3.*larger than") as caught:
        await large
    assert broker.values == [b"1", b"2", b"3", b"4"]
    assert (list(caught.value.rows), caught.value.runs) == ([1], ((1, 1), (-1, 1), (2, 1)))
    assert after.result().offset(0) == 3
    assert broker.settled == 5


async def test_a_refused_batch_takes_its_numbers_back_and_the_next_goes_on() -> None:
    broker = Broker()
    refused = broker.send([b"refused"])
    await broker.lane.run()
    with pytest.raises(ProduceError, match="INVALID_RECORD"):
        await refused
    assert broker.taken_back == 1
    fine = broker.send([b"fine"])
    await broker.lane.run()
    assert fine.result().offset(0) == 0


@given(st.lists(st.lists(st.sampled_from([b"a", b"b", b"refused"]), min_size=1, max_size=30), min_size=1, max_size=6))
def test_whatever_is_refused_all_else_arrives_in_order(sends: list[list[bytes]]) -> None:
    async def scenario() -> None:
        broker = Broker()
        futures = [broker.send(list(values)) for values in sends]
        await broker.lane.run()
        everything = [value for values in sends for value in values]
        assert broker.values == [value for value in everything if value != b"refused"]
        assert broker.settled == len(everything)
        offset = 0
        for future, values in zip(futures, sends, strict=True):
            error = future.exception()
            bad = [row for row, value in enumerate(values) if value == b"refused"]
            assert list(error.rows if isinstance(error, ProduceError) else ()) == bad
            runs = error.runs if isinstance(error, ProduceError) else future.result().runs
            offsets = [first + row if first >= 0 else -1 for first, count in runs for row in range(count)]
            for row, value in enumerate(values):
                assert offsets[row] == (-1 if row in bad else offset)
                offset += value != b"refused"

    asyncio.run(scenario())


async def test_a_record_that_is_not_bytes_fails_its_own_send_only() -> None:
    broker = Broker()
    first, wrong, last = broker.send([b"1"]), broker.send([b"2", "text"]), broker.send([b"3"])
    await broker.lane.run()
    with pytest.raises(ProduceError, match="bytes"):
        await wrong
    assert broker.values == [b"1", b"3"]
    assert (first.result().offset(0), last.result().offset(0)) == (0, 1)


async def test_an_unknown_outcome_ends_the_lane_and_leaves_the_sends_to_its_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = Broker()

    async def vanish(partition: TopicPartition, builder: BatchBuilder) -> int:
        raise KafkaTimeoutError

    monkeypatch.setattr(broker.lane, "_deliver", vanish)
    future = broker.send([b"1", b"2"])
    with pytest.raises(KafkaTimeoutError):
        await broker.lane.run()
    assert not future.done()
    broker.lane.fail("gone")
    with pytest.raises(ProduceError, match="gone"):
        await future
    assert broker.settled == 2


async def test_a_cancelled_future_does_not_stop_the_delivery() -> None:
    broker = Broker()
    broker.send([b"1"]).cancel()
    await broker.lane.run()
    assert broker.values == [b"1"]
    assert broker.settled == 1


@pytest.mark.parametrize("error", [Gone("no such topic any more"), LookupError("this topic has only 2 partitions")])
async def test_all_that_waits_for_a_place_that_is_not_there_is_refused_and_says_if_the_topic_is_gone(
    error: LookupError, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nowhere(partition: TopicPartition, builder: BatchBuilder) -> int:
        await asyncio.sleep(0)
        later.append(broker.send([b"c"]))
        raise error

    broker, later = Broker(), list[Any]()
    monkeypatch.setattr(broker.lane, "_deliver", nowhere)
    futures = [broker.send([b"a", b"b"])]
    await broker.lane.run()
    for future in futures + later:
        with pytest.raises(ProduceError, match=str(error)) as caught:
            await future
        assert (caught.value.lasting, caught.value.gone) == (True, isinstance(error, Gone))
    assert (broker.settled, broker.taken_back) == (3, 0)
