"""What only the embedded broker has: a clock, instant deliveries, cleaning on demand, sharing."""

import asyncio

import pytest

from streamz_actors.clock import ManualClock
from streamz_actors.errors import ConfigError, OffsetOutOfRange, TransportError, UsageError
from streamz_actors.transport.abc import GroupSettings, TopicSpec
from streamz_actors.transport.memory.broker import CHECK_INTERVAL, MemoryBroker
from streamz_actors.transport.memory.fetch import BATCH_RECORDS, POLL_RECORDS
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.contracts.transport_members import Member, SpreadAssignor

PARTITION = TopicPartition("t", 0)


def broker_with(clock: ManualClock, partitions: int = 1, **config: str) -> MemoryBroker:
    broker = MemoryBroker(clock, cluster_id="c")
    named = {name.replace("_", "."): value for name, value in config.items()}
    broker.create_topic(TopicSpec("t", partitions, None, named))
    return broker


def append(broker: MemoryBroker, count: int = 1, partition: int = 0) -> None:
    broker.append(TopicPartition("t", partition), [b"k"] * count, [b"v"] * count, [broker.clock.now()] * count, None)


async def test_a_send_is_delivered_when_it_returns() -> None:
    transport = MemoryTransport(broker_with(ManualClock()))
    producer = transport.producer("p")
    await producer.start()
    future = producer.send("t", 0, [None], [b"v"], [1])
    assert future.done()
    assert (producer.pending, future.result().runs) == (0, ((0, 1),))


@pytest.mark.parametrize("columns", [([], [], []), ([None], [b"a", b"b"], [1]), ([None], [b"a"], [1, 2])])
async def test_uneven_or_empty_columns_are_a_mistake_of_the_caller(
    columns: tuple[list[None], list[bytes], list[int]],
) -> None:
    producer = MemoryTransport(broker_with(ManualClock())).producer("p")
    await producer.start()
    with pytest.raises(ValueError, match="columns"):
        producer.send("t", 0, *columns)


async def test_transports_can_share_a_broker_and_otherwise_have_their_own() -> None:
    broker = broker_with(ManualClock())
    one, two, other = MemoryTransport(broker), MemoryTransport(broker), MemoryTransport()
    assert one.embedded
    assert await one.admin.cluster_id() == await two.admin.cluster_id() == "c"
    assert await other.admin.cluster_id() != "c"
    assert await two.admin.describe(["t"])
    assert not await other.admin.describe(["t"])


async def test_a_poll_waits_by_the_clock_and_no_longer() -> None:
    clock = ManualClock()
    reader = MemoryTransport(broker_with(clock)).reader()
    await reader.start()
    reader.assign({PARTITION: 0})
    waiting = asyncio.create_task(reader.poll(0.1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    while clock.advance_to_next(0.1):
        pass
    assert await waiting == []
    assert clock.monotonic() == 0.1


async def test_an_append_ends_a_waiting_poll() -> None:
    clock = ManualClock()
    broker = broker_with(clock)
    reader = MemoryTransport(broker).reader()
    await reader.start()
    reader.assign({PARTITION: 0})
    waiting = asyncio.create_task(reader.poll(1_000.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    append(broker)
    assert [len(batch) for batch in await waiting] == [1]
    assert clock.monotonic() == 0.0


async def test_a_poll_is_bounded_and_serves_all_partitions_in_turn() -> None:
    broker = broker_with(ManualClock(), partitions=8)
    for partition in range(8):
        append(broker, 3 * BATCH_RECORDS, partition)
    reader = MemoryTransport(broker).reader()
    await reader.start()
    reader.assign({TopicPartition("t", partition): 0 for partition in range(8)})
    served: list[int] = []
    while batches := await reader.poll(0):
        assert sum(len(batch) for batch in batches) <= POLL_RECORDS
        assert max(len(batch) for batch in batches) <= BATCH_RECORDS
        served.extend(batch.partition for batch in batches)
    assert served == list(range(8)) * 3


async def test_retention_runs_by_itself_when_its_interval_has_passed() -> None:
    clock = ManualClock()
    broker = broker_with(clock, retention_ms="1000")
    append(broker)
    clock.advance_to_next(CHECK_INTERVAL - 1)
    append(broker)
    assert len(broker.log(PARTITION)) == 2
    clock.advance_to_next(CHECK_INTERVAL)
    append(broker)
    assert broker.log(PARTITION).begin == 1


async def test_without_an_interval_only_clean_cleans() -> None:
    clock = ManualClock()
    broker = MemoryBroker(clock, check_interval=None)
    broker.create_topic(TopicSpec("t", 1, None, {"retention.ms": "1000"}))
    append(broker)
    clock.advance_to_next(10 * CHECK_INTERVAL)
    append(broker)
    assert broker.log(PARTITION).begin == 0
    broker.clean()
    assert broker.log(PARTITION).begin == 1


async def test_clean_compacts_what_is_compacted() -> None:
    broker = broker_with(ManualClock(), cleanup_policy="compact")
    append(broker, 5)
    broker.clean()
    assert len(broker.log(PARTITION)) == 1
    assert broker.log(PARTITION).end == 5


async def test_nothing_comes_from_a_deleted_topic() -> None:
    broker = broker_with(ManualClock())
    append(broker, 3)
    reader = MemoryTransport(broker).reader()
    await reader.start()
    reader.assign({PARTITION: 0})
    broker.delete_topic("t")
    assert await reader.poll(0) == []
    with pytest.raises(TransportError, match="'t' does not exist"):
        reader.assign({PARTITION: 0})


async def test_missing_partitions_are_named() -> None:
    admin = MemoryTransport(broker_with(ManualClock(), partitions=2)).admin
    with pytest.raises(TransportError, match="'t' has no partition 2, only 2"):
        await admin.end_offsets([TopicPartition("t", 2)])
    with pytest.raises(TransportError, match="'x' does not exist"):
        await admin.config("x")
    with pytest.raises(TransportError, match="at least one partition"):
        await admin.create([TopicSpec("empty", 0)])


async def test_a_reader_that_does_not_run_or_does_not_know_the_partition_says_so() -> None:
    reader = MemoryTransport(broker_with(ManualClock())).reader()
    with pytest.raises(TransportError, match="not running"):
        await reader.poll(0)
    with pytest.raises(UsageError, match="t-0 is not assigned"):
        reader.position(PARTITION)


async def test_stopping_a_reader_ends_its_waiting_poll() -> None:
    reader = MemoryTransport(broker_with(ManualClock())).reader()
    await reader.start()
    waiting = asyncio.create_task(reader.poll(1_000.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await reader.stop()
    assert await waiting == []


async def test_without_a_reset_policy_a_missing_offset_is_an_error() -> None:
    transport = MemoryTransport(broker_with(ManualClock()))
    member = Member(transport, GroupSettings("g", "a", auto_offset_reset="none"))
    await member.consumer.start(["t"])
    with pytest.raises(OffsetOutOfRange, match="has committed no offset"):
        await member.consumer.poll(0)


def test_an_unknown_reset_policy_is_refused() -> None:
    transport = MemoryTransport(broker_with(ManualClock()))
    unused = Member(transport, GroupSettings("g", "a"))
    with pytest.raises(ConfigError, match="auto_offset_reset='newest'"):
        transport.consumer(GroupSettings("g", "a", auto_offset_reset="newest"), SpreadAssignor("a"), unused)
