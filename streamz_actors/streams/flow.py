"""What every stream is made of: its place in the topology, its schemas, and whether its keys have changed."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from streamz_actors.dataflow.building import policy_of
from streamz_actors.dataflow.node import Node
from streamz_actors.dataflow.policies import Final, checked_last
from streamz_actors.dataflow.topics import Topic
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.operators import routes, sink, stateless
from streamz_actors.serde.schema import Schema
from streamz_actors.streams.naming import checked, path

K = TypeVar("K")
V = TypeVar("V")

FOREVER = {"retention.ms": "-1", "cleanup.policy": "delete"}
"""A repartition topic has no limit: the application deletes what it has committed."""


class Flow(Generic[K, V]):
    """The methods of a stream that leave keys and values as they are."""

    def __init__(
        self,
        builder: TopologyBuilder,
        node: Node,
        name: str,
        key_schema: Schema[Any],
        value_schema: Schema[Any],
        *,
        rekeyed: bool = False,
        nulls: sink.Nulls | None = None,
    ) -> None:
        """`name` is the path from the source. `rekeyed`: keys have changed since the last topic. `nulls`: the choice of
        the last repartition topic.
        """
        self.builder, self.node, self.name = builder, node, name
        self.key_schema, self.value_schema = key_schema, value_schema
        self.rekeyed, self.nulls = rekeyed, nulls
        self._placed: dict[Schema[Any], Self] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def same(self, node: Node, name: str) -> Self:
        """A stream of the same types."""
        return type(self)(
            self.builder, node, name, self.key_schema, self.value_schema, rekeyed=self.rekeyed, nulls=self.nulls
        )

    def on_error(self, policy: Final) -> Self:
        """The same records; says what becomes of those on which an operator behind fails: `Skip()`, `DeadLetter()`, or
        `Fail()`. It holds up to the next `on_error`, or topic of the user's; without it, as the application says.
        """
        name = path(self.name, "on_error")
        why = "an operator is called once: use map_async(..., retry=) or an agent"
        final = checked_last(policy, f"on_error of stream {self.name!r}", why)
        return self.same(self.builder.add(routes.policy(self.node, name, final)), name)

    def filter(self, predicate: Callable[[K, V], object]) -> Self:
        """The records for which `predicate(key, value)` holds. It must not change them."""
        return self._kept("filter", predicate)

    def filter_not(self, predicate: Callable[[K, V], object]) -> Self:
        """The records for which `predicate(key, value)` does not hold."""
        return self._kept("filter_not", predicate)

    def _kept(self, kind: str, predicate: Callable[..., Any]) -> Self:
        name = path(self.name, kind, predicate)
        node = stateless.keep(self.node, name, predicate, negated=kind == "filter_not")
        return self.same(self.builder.add(node), name)

    def peek(self, action: Callable[[K, V], object]) -> Self:
        """Calls `action(key, value)` for each record and gives it on."""
        name = path(self.name, "peek", action)
        return self.same(self.builder.add(stateless.look(self.node, name, action)), name)

    def foreach(self, action: Callable[[K, V], object]) -> None:
        """Calls `action(key, value)` for each record; nothing comes after."""
        name = path(self.name, "foreach", action)
        self.builder.add(stateless.look(self.node, name, action, last=True))

    def to(self, topic: Topic[Any, Any]) -> None:
        """Writes each record to `topic`, under its key, time and headers."""
        self.builder.add(sink.send_to(self.node, topic.name, topic, self.key_schema, self.value_schema))

    # -- partitioning

    def placed(self, name: str | None = None, key_schema: Schema[Any] | None = None) -> Self:
        """The stream with each record in the partition of its key: itself, or behind a repartition topic if keys have
        changed. The topic is made once, called after the first `name` given, and shared by all who ask.

        `key_schema`: how keys are to be written, where others are partitioned by the same keys.
        """
        if not self.rekeyed:
            return self
        schema = self.key_schema if key_schema is None else key_schema
        if schema not in self._placed:
            self._placed[schema] = self._through(name or self.name, schema, self.value_schema, None)
        return self._placed[schema]

    def _through(self, name: str, key: Schema[Any], value: Schema[Any], partitions: int | None) -> Self:
        """Behind a new repartition topic; the stream's path stays as it is."""
        checked(name, "repartition topic")
        topic = self.builder.internal_topic(name, "repartition", key, value, config=FOREVER, partitions=partitions)
        nulls = sink.Nulls()
        self.builder.add(sink.repartition(self.node, name, topic, self.key_schema, self.value_schema, nulls))
        node = self.builder.source(topic, flexible=True, policy=policy_of(self.node))
        return type(self)(self.builder, node, self.name, key, value, nulls=nulls)
