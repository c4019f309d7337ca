"""A table by hand: a dict of the latest value of each key of a topic."""

from collections.abc import Callable
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from loop import BROKER, PARTITIONS

V = TypeVar("V")


async def load(topic: str, decode: Callable[[bytes], V]) -> dict[bytes, V]:
    """Everything that the topic holds now."""
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    table: dict[bytes, V] = {}
    consumer = AIOKafkaConsumer(bootstrap_servers=BROKER, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    table.update({record.key: decode(record.value) for record in records})
    finally:
        await consumer.stop()
    return table
