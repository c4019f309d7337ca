"""Workers of `apps/orders` on a real Kafka: state that survives, sharing, clear words at the end."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apps.orders.app import Order
from streamz_actors.serde.schema import schema_for
from streamz_actors.transport.abc import Producer, TopicSpec, Transport
from streamz_actors.types import partition_of
from tests.integration.kafka_contents import table
from tests.integration.processes import process, worker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

ORDERS = schema_for(Order)
TOPICS = ("orders", "alerts", "orders-totals-changelog", "orders-turnover-changelog", "orders-turnover-repartition")


@pytest.fixture
async def producer(kafka: Transport) -> AsyncIterator[Producer]:
    """Sends orders; each test begins with an empty topic of them."""
    await kafka.admin.delete(TOPICS)
    kept = {"retention.ms": "-1"}  # the orders are old ones: they would be deleted at any moment
    await kafka.admin.create([TopicSpec("orders", 8, None, kept)])
    made = kafka.producer("test")
    await made.start()
    yield made
    await made.stop()


async def order(producer: Producer, account: str, amount: float) -> None:
    key = account.encode()
    value = ORDERS.encode(Order(account, amount))
    await producer.send("orders", partition_of(key, 8), [key], [value], [1_700_000_000_000])


async def until_total(kafka: Transport, account: str, total: float) -> None:
    async with asyncio.timeout(60):
        while (await table(kafka, "orders-totals-changelog")).get(account, 0.0) < total:  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.2)


async def test_totals_go_on_over_a_restart_with_and_without_local_state(
    kafka: Transport, kafka_url: str, producer: Producer, tmp_path: Path
) -> None:
    for round_, total in enumerate((5.0, 10.0, 15.0)):
        with worker("apps.orders", kafka_url, tmp_path, f"round-{round_}") as child:
            await order(producer, "alice", 5.0)
            await until_total(kafka, "alice", total)
            child.popen.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(child.wait) == 0
        assert (await table(kafka, "orders-totals-changelog"))["alice"] == total
        if round_ == 1:
            shutil.rmtree(tmp_path / "state")
    assert (await table(kafka, "orders-turnover-changelog"))["EUR"] == 15.0


async def test_two_workers_share_the_partitions_and_one_has_all_when_the_other_stops_or_is_killed(
    kafka: Transport, kafka_url: str, producer: Producer, tmp_path: Path
) -> None:
    accounts = [f"account-{number}" for number in range(20)]
    with worker("apps.orders", kafka_url, tmp_path, "first") as first:
        await asyncio.to_thread(first.until_it_says, "ready")
        for round_, ending in enumerate((signal.SIGTERM, signal.SIGKILL), 1):
            name = f"second-{round_}"
            with worker("apps.orders", kafka_url, tmp_path, name) as second:
                await asyncio.to_thread(second.until_it_says, "workers in all: 2")
                for account in accounts:
                    await order(producer, account, 1.0)
                for account in accounts:
                    await until_total(kafka, account, 2.0 * round_ - 1)
                second.popen.send_signal(ending)
                assert await asyncio.to_thread(second.wait) == (0 if ending is signal.SIGTERM else -ending)
            for account in accounts:
                await order(producer, account, 1.0)
            for account in accounts:
                await until_total(kafka, account, 2.0 * round_)
        first.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait) == 0
    totals = await table(kafka, "orders-totals-changelog")
    assert all(totals[account] >= 4.0 for account in accounts), "a kill may repeat what was not committed"


async def test_a_topic_with_another_partition_count_is_refused_before_anything_is_consumed(
    kafka: Transport, kafka_url: str, producer: Producer, tmp_path: Path
) -> None:
    await kafka.admin.delete(["orders"])
    await kafka.admin.create([TopicSpec("orders", 3)])
    with worker("apps.orders", kafka_url, tmp_path) as child:
        assert await asyncio.to_thread(child.wait) == 1
    assert "has 3 partitions, but is declared with 8" in child.said()
    assert "Traceback" not in child.said()
    await kafka.admin.delete(["orders"])


async def test_a_record_that_cannot_be_decoded_stops_the_worker_at_its_offset_each_time(
    kafka: Transport, kafka_url: str, producer: Producer, tmp_path: Path
) -> None:
    partition = partition_of(b"eve", 8)
    await producer.send("orders", partition, [b"eve", b"eve"], [ORDERS.encode(Order("eve", 2.0)), b"{}"], [1, 2])
    for name in ("first", "again"):
        with worker("apps.orders", kafka_url, tmp_path, name) as child:
            assert await asyncio.to_thread(child.wait) == 1
        assert f"topic 'orders', partition {partition}, offset 1" in child.said()
        assert "account" in child.said()
    assert (await table(kafka, "orders-totals-changelog"))["eve"] == 2.0


def test_a_broker_that_nobody_reaches_is_one_clear_line(tmp_path: Path) -> None:
    environment = {"STREAMZ_BROKER": "kafka://127.0.0.1:1", "STREAMZ_WEB_ENABLED": "false"}
    with process(tmp_path / "out.log", "streamz_actors", "-A", "apps.orders", "worker", **environment) as child:
        assert child.wait() == 1
    assert "127.0.0.1:1" in child.said()
    assert "Traceback" not in child.said()
