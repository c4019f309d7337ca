"""A topology without a task around it: operators over memory stores, in one place, record by record or in batches."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streamz_actors.clock import ManualClock
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Link, Refused
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.node import Node, Operator, SourceNode, StoreSpec
from streamz_actors.dataflow.policies import Fail, Final, Policy
from streamz_actors.dataflow.topics import Topic
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.tables.mapping import State
from streamz_actors.types import Headers, RecordMetadata, TopicPartition

Row = tuple[Any, Any, int]
"""Key, value, timestamp."""


def spec_of(name: str, key: Any = str, value: Any = int) -> StoreSpec:
    return StoreSpec(name, schema_for(key, key=True), schema_for(value), None)


def state_of(spec: StoreSpec) -> State:
    shelf = MemoryBackend().open("task", {spec.name: "test"})
    return State(spec, shelf.stores[spec.name], 0, 1)


def topic_of(builder: TopologyBuilder, name: str, key: Any = str, value: Any = int) -> Topic[Any, Any]:
    return builder.topic(Topic((name,), schema_for(key, key=True), schema_for(value), builder.link))


def batch_of(
    rows: Sequence[Row], key: Schema[Any] | None = None, value: Schema[Any] | None = None, *, topic: str = "in"
) -> Batch:
    """Rows as they come from a topic: encoded, from offset 100 on."""
    keys, values = key or schema_for(str, key=True), value or schema_for(int)
    return Batch(
        TopicPartition(topic, 0),
        range(100, 100 + len(rows)),
        [timestamp for _, _, timestamp in rows],
        keys,
        values,
        raw_keys=keys.encode_all([row[0] for row in rows]),
        raw_values=values.encode_all([row[1] for row in rows]),
    )


def rows_of(batch: Batch | None) -> list[Row]:
    return [] if batch is None else list(zip(batch.keys, batch.values, batch.timestamps, strict=True))


@dataclass
class FakeCollector:
    sent: list[tuple[str, list[bytes | None], list[bytes | None], list[int], list[Headers] | None]] = field(
        default_factory=list
    )

    def partitions(self, topic: str) -> int:
        return 1

    def add(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
        refused: Refused | None = None,
    ) -> None:
        self.sent.append((topic, list(keys), list(values), list(timestamps), list(headers) if headers else None))

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers = (),
        partition: int | None = None,
        refused: Refused | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        raise AssertionError("operators send in batches")


@dataclass
class FakePlace:
    states: dict[str, Any] = field(default_factory=dict)
    partition: int = 0
    clock: ManualClock = field(default_factory=ManualClock)
    on_error: Policy = Fail()
    collector: FakeCollector = field(default_factory=FakeCollector)
    lates: list[Late] = field(default_factory=list)

    def give_up(self, what: str, policy: Final, batch: Batch, index: int, error: BaseException, attempts: int) -> None:
        raise AssertionError("no operator gives up")

    def late(self, record: Late) -> None:
        self.lates.append(record)

    def changed(self, table: str, batch: Batch) -> None:
        raise AssertionError("no operator reports changes")

    def failed(self, error: BaseException) -> None:
        raise AssertionError("no operator fails beside the step")

    def wake(self) -> None:
        raise AssertionError("no operator wakes the loop")


def build(node: Node, place: FakePlace | None = None, *, children: bool = True, olds: bool = False) -> Operator:
    operator = node.build(place or FakePlace())
    operator.silent, operator.olds = not children, olds
    return operator


class Bench:
    """Runs what a builder has declared, with one partition; internal topics lead back to their sources at once."""

    def __init__(self, builder: TopologyBuilder) -> None:
        self.builder, self.place = builder, FakePlace()
        self.topics = {name: topic for topic in builder.topics for name in topic.names}
        for spec in builder.tables.values():
            self.place.states[spec.name] = state_of(spec)
        for whole in builder.globals.values():
            shape = StoreSpec(whole.name, whole.topic.key_schema, whole.topic.value_schema, None)
            self.place.states[whole.name] = state_of(shape)
        self.operators = {node: node.build(self.place) for node in builder.nodes if not isinstance(node, SourceNode)}
        self.children = {node: [child for child in builder.nodes if node in child.parents] for node in builder.nodes}
        for node, operator in self.operators.items():
            operator.silent = not self.children[node]
        self.offset = 0

    async def send(self, topic: Topic[Any, Any], *rows: Row) -> None:
        batch = batch_of(rows, topic.key_schema, topic.value_schema, topic=topic.name)
        if topic.name in self.builder.sources:
            await self._forward(self.builder.sources[topic.name], batch)
        await self._loop_back()

    async def _loop_back(self) -> None:
        sent, self.place.collector.sent = self.place.collector.sent, []
        for name, keys, values, timestamps, headers in sent:
            topic = self.topics[name]
            if name not in self.builder.sources:
                self.place.collector.sent.append((name, keys, values, timestamps, headers))
                continue
            batch = Batch(
                TopicPartition(name, 0),
                range(len(keys)),
                timestamps,
                topic.key_schema,
                topic.value_schema,
                raw_keys=keys,
                raw_values=values,
                headers=headers,
            )
            await self._forward(self.builder.sources[name], batch)
            await self._loop_back()

    async def _forward(self, node: Node, batch: Batch) -> None:
        for child in self.children[node]:
            out = await self.operators[child].process(batch)
            if out is not None and len(out):
                await self._forward(child, out)

    def read(self, topic: Topic[Any, Any]) -> list[Row]:
        """What was sent to a topic since it was read last."""
        sent = self.place.collector.sent
        self.place.collector.sent = [entry for entry in sent if entry[0] != topic.name]
        decode_key, decode = topic.key_schema.decode, topic.value_schema.decode
        return [
            (decode_key(key), decode(value), timestamp)
            for name, keys, values, timestamps, _ in sent
            if name == topic.name
            for key, value, timestamp in zip(keys, values, timestamps, strict=True)
        ]


def builder_of(app_id: str = "app") -> TopologyBuilder:
    return TopologyBuilder(app_id, Link())
