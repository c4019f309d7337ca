"""What an application declared: nodes, stores and topics, collected by name. Nothing here runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streamz_actors.dataflow.context import Link
from streamz_actors.dataflow.node import Node, Operator, Place, SourceNode, StoreSpec
from streamz_actors.dataflow.policies import Final
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import TopologyError
from streamz_actors.serde.schema import Schema


@dataclass(eq=False, frozen=True)
class GlobalSpec:
    """A table of which every worker holds all: the latest values of a topic."""

    name: str
    topic: Topic[Any, Any]


@dataclass(frozen=True)
class Topology:
    """The finished declarations, in the order they were made."""

    app_id: str
    nodes: tuple[Node, ...]
    tables: tuple[StoreSpec, ...]
    globals: tuple[GlobalSpec, ...]
    topics: tuple[Topic[Any, Any], ...]

    @property
    def sources(self) -> tuple[SourceNode, ...]:
        return tuple(node for node in self.nodes if isinstance(node, SourceNode))


def _no_operator(place: Place) -> Operator:
    raise TopologyError("a source has no behaviour of its own")


@dataclass
class TopologyBuilder:
    """Collects declarations; `freeze` ends the declaring. One per application."""

    app_id: str
    link: Link = field(default_factory=Link)
    nodes: list[Node] = field(default_factory=list)
    tables: dict[str, StoreSpec] = field(default_factory=dict)
    globals: dict[str, GlobalSpec] = field(default_factory=dict)
    topics: list[Topic[Any, Any]] = field(default_factory=list)
    sources: dict[str, SourceNode] = field(default_factory=dict)
    agents: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    """Tables that some agent names: no agent that names none may use them."""
    frozen: bool = False
    make_agent: Callable[..., Any] | None = None
    """Of an agent or a function, and the stream to go through it: set by the application; streams know no agents."""

    def add(self, node: Node) -> Node:
        if self.frozen:
            raise TopologyError(
                f"{node.kind} {node.name!r} was declared after the application was started: declare first, then run"
            )
        self.nodes.append(node)
        return node

    def topic(self, topic: Topic[Any, Any]) -> Topic[Any, Any]:
        for name in topic.names:
            for other in self.topics:
                if name in other.names and not same_shape(topic, other):
                    raise TopologyError(
                        f"topic {name!r} is declared twice, as {shape(other)} and as {shape(topic)}: "
                        f"declare it once and use that object"
                    )
        self.topics.append(topic)
        return topic

    def source(
        self, topic: Topic[Any, Any], *, flexible: bool = False, policy: Final | None = None
    ) -> SourceNode:
        """The one source node of a topic: a topic read in several places is consumed once."""
        key = str(topic)
        if key not in self.sources:
            for name in topic.names:
                clash = next((node for node in self.sources.values() if name in node.topic.names), None)
                if clash is not None:
                    raise TopologyError(
                        f"topic {name!r} is read alone and as a part of {clash.topic}: read each topic in one way"
                    )
            node = SourceNode(
                key,
                "source",
                _no_operator,
                topic=topic,
                flexible=flexible,
                reads_keys=False,
                reads_values=False,
                policy=policy,
            )
            self.add(node)
            self.sources[key] = node
        return self.sources[key]

    def table(self, spec: StoreSpec) -> StoreSpec:
        if spec.name in self.tables or spec.name in self.globals:
            raise TopologyError(
                f"two tables are named {spec.name!r}: names of tables, aggregates and stored results must differ "
                f"(pass name=)"
            )
        self.tables[spec.name] = spec
        return spec

    def retract(self, spec: StoreSpec) -> None:
        """Takes a table back that nothing uses yet."""
        if any(spec in node.stores for node in self.nodes):
            raise TopologyError(f"table {spec.name!r} is in use already: say what windows it has where it is declared")
        del self.tables[spec.name]
        if spec.changelog is not None:
            self.topics.remove(spec.changelog)

    def global_table(self, spec: GlobalSpec) -> GlobalSpec:
        if spec.name in self.tables or spec.name in self.globals:
            raise TopologyError(f"two tables are named {spec.name!r}: pass name=")
        self.globals[spec.name] = spec
        return spec

    def agent(self, name: str) -> None:
        if name in self.agents:
            raise TopologyError(f"two agents are named {name!r}: pass name=")
        self.agents.add(name)

    def internal_topic(
        self, name: str, kind: str, key_schema: Schema[Any], value_schema: Schema[Any], **settings: Any
    ) -> Topic[Any, Any]:
        """`<app id>-<name>-<kind>`; a second of the same name is an error."""
        full = f"{self.app_id}-{name}-{kind}"
        if any(full in topic.names for topic in self.topics):
            raise TopologyError(
                f"two parts of the topology would use the internal topic {full!r}: pass name= to one of them"
            )
        return self.topic(Topic((full,), key_schema, value_schema, self.link, internal=True, **settings))

    def freeze(self) -> Topology:
        self.frozen = True
        return Topology(
            self.app_id,
            tuple(self.nodes),
            tuple(self.tables.values()),
            tuple(self.globals.values()),
            tuple(self.topics),
        )


def shape(topic: Topic[Any, Any]) -> str:
    return f"{topic.key_schema!r} → {topic.value_schema!r}, partitions={topic.partitions}"


def same_shape(one: Topic[Any, Any], other: Topic[Any, Any]) -> bool:
    return (
        one.key_schema == other.key_schema
        and one.value_schema == other.value_schema
        and (one.partitions is None or other.partitions is None or one.partitions == other.partitions)
    )
