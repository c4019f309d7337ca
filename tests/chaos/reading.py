"""Topics read from outside, with the records' times."""

import json
from typing import Any

from streamz_actors.transport.abc import Transport
from tests.integration.kafka_contents import places_of

Row = tuple[bytes | None, Any, int]


async def timed_contents(kafka: Transport, topic: str) -> list[Row]:
    """Every committed record of a topic as key, value (read as JSON) and timestamp; each partition in its order."""
    places = await places_of(kafka, topic)
    if not places:
        return []
    ends = await kafka.admin.end_offsets(places)
    reader = kafka.reader(read_committed=True)
    await reader.start()
    found: list[Row] = []
    try:
        reader.assign(await kafka.admin.beginning_offsets(places))
        while any(reader.position(place) < end for place, end in ends.items()):
            for raw in await reader.poll(1.0):
                values = (None if value is None else json.loads(value) for value in raw.values)
                found.extend(zip(raw.keys, values, raw.timestamps, strict=True))
    finally:
        await reader.stop()
    return found
