"""What a real Kafka holds: topics and tables, read from outside the application."""

import json
from collections.abc import Iterable
from typing import Any

from streamz_actors.transport.abc import Transport
from streamz_actors.types import TopicPartition


async def places_of(kafka: Transport, topic: str) -> list[TopicPartition]:
    """The topic's partitions; none if it does not exist."""
    described = await kafka.admin.describe([topic])
    return [TopicPartition(topic, number) for info in described.values() for number in range(info.partitions)]


async def contents(kafka: Transport, topic: str) -> list[tuple[bytes | None, Any]]:
    """Every record of a topic that is committed as key and value, the value read as JSON."""
    places = await places_of(kafka, topic)
    if not places:
        return []
    positions = await kafka.admin.beginning_offsets(places)
    ends = await kafka.admin.end_offsets(places)
    reader = kafka.reader(read_committed=True)
    await reader.start()
    found: list[tuple[bytes | None, Any]] = []
    try:
        reader.assign(positions)
        while any(reader.position(place) < end for place, end in ends.items()):
            for raw in await reader.poll(1.0):
                decoded = [None if value is None else json.loads(value) for value in raw.values]
                found.extend(zip(raw.keys, decoded, strict=True))
    finally:
        await reader.stop()
    return found


async def table(kafka: Transport, changelog: str) -> dict[str, Any]:
    """A table as its changelog tells it."""
    latest: dict[str, Any] = {}
    for key, value in await contents(kafka, changelog):
        assert key is not None
        latest[key.decode()] = value
    return {key: value for key, value in latest.items() if value is not None}


async def count(kafka: Transport, topic: str) -> int:
    """Records of a topic that is never compacted."""
    return sum((await kafka.admin.end_offsets(await places_of(kafka, topic))).values())


async def behind(kafka: Transport, group: str, topics: Iterable[str]) -> int:
    """Records that an application has not committed, of these topics and of those in between that are its own."""
    names = [topic.name for topic in await kafka.admin.list_topics()]
    internal = [name for name in names if name.startswith(f"{group}-") and name.endswith("-repartition")]
    places = [place for topic in (*topics, *internal) for place in await places_of(kafka, topic)]
    ends = await kafka.admin.end_offsets(places)
    committed = await kafka.admin.committed(group, places)
    return sum(end - (committed[place] or 0) for place, end in ends.items())
