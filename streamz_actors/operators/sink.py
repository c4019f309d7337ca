"""Writing to a topic: `to`, and the topic through which a stream is partitioned anew."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.node import Node, Operator
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import HandlerError, ProduceError
from streamz_actors.serde.schema import Schema


def send_to(parent: Node, name: str, topic: Topic[Any, Any], key: Schema[Any], value: Schema[Any]) -> Node:
    """`key` and `value` are the stream's schemas: columns that the topic takes as they came are never decoded."""
    return Node(
        name,
        "to",
        lambda place: Sink(topic, place.collector),
        (parent,),
        sends=(topic,),
        reads_keys=key != topic.key_schema,
        reads_values=value != topic.value_schema,
    )


class Sink(Operator):
    repeatable = True

    def __init__(self, topic: Topic[Any, Any], collector: Collector) -> None:
        self._topic, self._name, self._collector = topic, topic.name, collector

    async def process(self, batch: Batch) -> None:
        keys = batch.encoded_keys(self._topic.key_schema)
        values = batch.encoded_values(self._topic.value_schema)
        wrong = self._topic.limits.refused(keys, values)
        if wrong is not None:
            raise batch.misfit(f"record for topic {self._name!r}", *wrong) from wrong[1]
        self._collector.add(
            self._name, keys, values, batch.timestamps, batch.headers, partial(self._refused, batch)
        )

    def _refused(self, batch: Batch, row: int, error: ProduceError) -> None:
        what = f"to {self._name!r}"
        # What a repartition topic should have is state, and comes again when it is made anew by the next start.
        lasting = error.lasting and (self._topic.internal or not error.gone)
        if self.guard.stops or lasting:
            raise HandlerError(what, batch.origin, batch.offsets[row], error) from error
        self.guard.failed(what, batch, row, error)


@dataclass(slots=True)
class Nulls:
    """What becomes of rows without a key on their way through one repartition topic; settled when all is declared."""

    kept: bool = False
    """Somebody behind it joins from the left, and so has use for them."""


def repartition(
    parent: Node, name: str, topic: Topic[Any, Any], key: Schema[Any], value: Schema[Any], nulls: Nulls
) -> Node:
    return Node(
        name,
        "repartition",
        lambda place: Repartition(Sink(topic, place.collector), topic.key_schema, nulls.kept),
        (parent,),
        sends=(topic,),
        reads_keys=key != topic.key_schema,
        reads_values=value != topic.value_schema,
    )


class Repartition(Operator):
    """A sink that leaves out rows without a key, which belong to no partition."""

    repeatable = True

    def __init__(self, sink: Sink, key: Schema[Any], nulls_kept: bool) -> None:
        self._sink, self._key, self._nulls_kept = sink, key, nulls_kept

    async def process(self, batch: Batch) -> None:
        if not self._nulls_kept:
            keys = batch.encoded_keys(self._key)
            if None in keys:
                batch = batch.select([key is not None for key in keys])
        if len(batch):
            self._sink.guard = self.guard
            await self._sink.process(batch)
