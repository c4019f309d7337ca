"""What a release writes down of the state that it keeps, so that the next one knows whether it can read it.

One compacted topic, `<app id>-topology`, has a record for each internal topic of the application: the topic's name, and
JSON. It is read and written at a worker's start, and by nobody else.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import ConfigError, DecodeError
from streamz_actors.serde.describe import describe, json_schema
from streamz_actors.serde.schema import schema_for
from streamz_actors.transport.abc import TopicInfo, TopicSpec, Transport
from streamz_actors.types import TopicPartition
from streamz_actors.worker.spec import Spec

logger = logging.getLogger("streamz_actors.worker")

SETTINGS: Final = {"cleanup.policy": "compact"}


@dataclass(frozen=True, slots=True)
class Described:
    """One internal topic. `id` is the broker's: what was written down of a former topic of its name means nothing."""

    topic: str
    id: str
    table: str = ""
    """Whose changelog it is, if it is one."""
    key_type: str = ""
    key_codec: str = ""
    value_type: str = ""
    value_codec: str = ""
    arrangement: str = ""
    """See StoreSpec."""
    fields: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    """Of values that are objects: the names of their fields, and of those that have no default."""


CODEC: Final = schema_for(Described, "json")


def topology_topic(app_id: str) -> str:
    return f"{app_id}-topology"


def described(spec: Spec, topics: Mapping[str, TopicInfo]) -> dict[str, Described]:
    """What there is to write down, by topic; of `topics`, those that exist."""
    stores = {store.changelog: store for store in spec.topology.tables if store.changelog is not None}
    return {
        name: _described(topic, topics[name], stores.get(topic))
        for topic in spec.topology.topics
        if topic.internal
        for name in topic.names
        if name in topics
    }


def _described(topic: Topic[Any, Any], info: TopicInfo, store: StoreSpec | None) -> Described:
    key, value = topic.key_schema, topic.value_schema
    inner = value if store is None or store.layout is None else store.layout.value_schema
    fields, required = _fields(inner.type)
    return Described(
        topic.name,
        info.id,
        "" if store is None else store.name,
        describe(key.type),
        key.codec,
        describe(inner.type),
        value.codec,
        "" if store is None else store.arrangement,
        fields,
        required,
    )


def _fields(annotation: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of all fields, and of those that a value must have."""
    try:
        schema = json_schema(annotation)
    except ConfigError:
        return (), ()
    reference = str(schema.get("$ref", "")).rpartition("/")[2]
    whole = schema.get("$defs", {}).get(reference, schema)
    return tuple(sorted(whole.get("properties", ()))), tuple(sorted(whole.get("required", ())))


async def read_descriptions(transport: Transport, app_id: str) -> dict[str, Described]:
    """What was written down, by topic. What this release can't read is left out. Raises TransportError."""
    place = TopicPartition(topology_topic(app_id), 0)
    if place.topic not in await transport.admin.describe([place.topic]):
        return {}
    begin = (await transport.admin.beginning_offsets([place]))[place]
    end = (await transport.admin.end_offsets([place]))[place]
    found: dict[str, Described] = {}
    reader = transport.reader()
    await reader.start()
    try:
        reader.assign({place: begin})
        while reader.position(place) < end:
            for batch in await reader.poll(1.0):
                found |= {one.topic: one for one in map(_decoded, batch.values) if one is not None}
    finally:
        await reader.stop()
    return found


def _decoded(value: bytes | None) -> Described | None:
    try:
        decoded: Described | None = CODEC.decode(value)
    except DecodeError as error:
        logger.warning("what another release wrote down of its state cannot be read: %s", error)
        return None
    return decoded


async def write_descriptions(
    transport: Transport, app_id: str, records: Iterable[Described], now: int, replication_factor: int | None = None
) -> None:
    """`now` in ms. Raises TransportError."""
    name = topology_topic(app_id)
    await transport.admin.create([TopicSpec(name, 1, replication_factor, SETTINGS)])
    ordered = sorted(records, key=lambda one: one.topic)
    producer = transport.producer(name)
    await producer.start()
    try:
        keys, values = [one.topic.encode() for one in ordered], [CODEC.encode(one) for one in ordered]
        await producer.send(name, 0, keys, values, [now] * len(ordered))
    finally:
        await producer.stop()
