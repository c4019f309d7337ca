"""A topology told to people and machines: sub-topologies, nodes, tables and topics, as text, Mermaid or JSON.

The same declarations give the same description in every process: everything stands in the order of declaration, and
sub-topologies, tables and topics in alphabetical order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streamz_actors.dataflow.node import Node, SourceNode, StoreSpec
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.dataflow.topics import Topic
from streamz_actors.dataflow.topology import Topology
from streamz_actors.serde.describe import describe as type_name


@dataclass(frozen=True, slots=True)
class DescribedNode:
    """`id` is unique in the topology; `parents` are ids; `topics` is what a source reads, `sends` what is written."""

    id: str
    name: str
    kind: str
    parents: tuple[str, ...]
    topics: tuple[str, ...]
    sends: tuple[str, ...]
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DescribedSubTopology:
    """`partitions` is the number of its tasks as well."""

    name: str
    partitions: int
    nodes: tuple[DescribedNode, ...]
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """`subtopology` is None where nothing uses the table, and for a global one. `changelog` is None without one."""

    name: str
    kind: str
    key_type: str
    value_type: str
    subtopology: str | None
    partitions: int | None
    changelog: str | None


@dataclass(frozen=True, slots=True)
class DescribedTopic:
    """`kind` is `topic` where it is the user's, else `repartition` or `changelog`."""

    name: str
    kind: str
    partitions: int
    key_type: str
    key_codec: str
    value_type: str
    value_codec: str
    compacting: bool


@dataclass(frozen=True, slots=True)
class Description:
    app_id: str
    subtopologies: tuple[DescribedSubTopology, ...]
    tables: tuple[DescribedTable, ...]
    topics: tuple[DescribedTopic, ...]

    def as_dict(self) -> dict[str, Any]:
        """Dicts, lists, strings, numbers, booleans and None only."""
        plain: dict[str, Any] = _listed(asdict(self))
        for part in plain["subtopologies"]:
            part["edges"] = [[parent, node["id"]] for node in part["nodes"] for parent in node["parents"]]
        return plain

    def text(self) -> str:
        return "\n".join(_text(self)) + "\n"

    def mermaid(self) -> str:
        return "\n".join(_mermaid(self)) + "\n"

    def __str__(self) -> str:
        return self.text()


def describe(topology: Topology, existing_counts: Mapping[str, int], default_partitions: int) -> Description:
    """`existing_counts`: partitions of topics that exist on the broker. Raises TopologyError where nothing fits."""
    subs = split(topology, existing_counts, default_partitions)
    ids = _ids(topology.nodes)
    home = {spec: sub for sub in subs for spec in sub.stores}
    tables = [_table(spec, home.get(spec)) for spec in topology.tables]
    tables += [_global(one.name, one.topic, existing_counts, default_partitions) for one in topology.globals]
    return Description(
        topology.app_id,
        tuple(_subtopology(sub, ids) for sub in subs),
        tuple(sorted(tables, key=lambda table: table.name)),
        tuple(_topics(topology, subs, existing_counts, default_partitions)),
    )


def _ids(nodes: Sequence[Node]) -> dict[Node, str]:
    """`kind:name`, and a number behind it where that is taken."""
    ids: dict[Node, str] = {}
    taken: dict[str, int] = {}
    for node in nodes:
        plain = f"{node.kind}:{node.name}"
        taken[plain] = number = taken.get(plain, 0) + 1
        ids[node] = plain if number == 1 else f"{plain}#{number}"
    return ids


def _subtopology(sub: SubTopology, ids: Mapping[Node, str]) -> DescribedSubTopology:
    kept = {store.name for node in sub.nodes if not node.agent for store in node.stores}
    named = {table for node in sub.nodes for table in node.named_tables or ()}
    free = tuple(store.name for store in sub.stores if store.name not in kept | named)
    return DescribedSubTopology(
        sub.name,
        sub.partitions,
        tuple(_node(node, ids, free) for node in sub.nodes),
        tuple(sorted(store.name for store in sub.stores)),
    )


def _node(node: Node, ids: Mapping[Node, str], free: tuple[str, ...]) -> DescribedNode:
    """`free`: tables that an agent which names none may use."""
    tables = (*(store.name for store in node.stores), *(node.named_tables or ()))
    if node.agent and node.named_tables is None:
        tables += free
    return DescribedNode(
        ids[node],
        node.name,
        node.kind,
        tuple(ids[parent] for parent in node.parents),
        node.topic.names if isinstance(node, SourceNode) else (),
        tuple(name for topic in node.sends for name in topic.names),
        tables,
    )


def _table(spec: StoreSpec, sub: SubTopology | None) -> DescribedTable:
    return DescribedTable(
        spec.name,
        spec.kind,
        type_name(spec.key_schema.type),
        type_name(spec.value_schema.type),
        None if sub is None else sub.name,
        None if sub is None else sub.partitions,
        None if spec.changelog is None else spec.changelog.name,
    )


def _global(name: str, topic: Topic[Any, Any], existing: Mapping[str, int], default: int) -> DescribedTable:
    return DescribedTable(
        name,
        "global",
        type_name(topic.key_schema.type),
        type_name(topic.value_schema.type),
        None,
        existing.get(topic.name, topic.partitions or default),
        topic.name,
    )


def _topics(
    topology: Topology, subs: Sequence[SubTopology], existing: Mapping[str, int], default: int
) -> list[DescribedTopic]:
    """Each topic once. A changelog that no task writes does not exist, and is left out."""
    counts = {name: count for sub in subs for name, count in sub.topics.items()}
    logs = {store.changelog: sub for sub in subs for store in sub.stores if store.changelog is not None}
    unused = {spec.changelog for spec in topology.tables} - logs.keys()
    made: dict[str, DescribedTopic] = {}
    for topic in topology.topics:
        if topic in unused and topic.internal:
            continue
        log = topic.internal and topic in logs
        for name in topic.names:
            declared = logs[topic].partitions if log else topic.partitions or default
            partitions = counts.get(name, existing.get(name, declared))
            made.setdefault(name, _topic(name, topic, _kind(topic, log=log), partitions))
    return [made[name] for name in sorted(made)]


def _kind(topic: Topic[Any, Any], *, log: bool) -> str:
    if not topic.internal:
        return "topic"
    return "changelog" if log else "repartition"


def _topic(name: str, topic: Topic[Any, Any], kind: str, partitions: int) -> DescribedTopic:
    key, value = topic.key_schema, topic.value_schema
    types = type_name(key.type), key.codec, type_name(value.type), value.codec
    return DescribedTopic(name, kind, partitions, *types, topic.compacting)


def _listed(value: Any) -> Any:
    """Tuples as lists, so that what is dumped and loaded again is equal."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


# -- text


def _text(whole: Description) -> list[str]:
    lines = [f"application {whole.app_id}"]
    by_name = {table.name: table for table in whole.tables}
    for sub in whole.subtopologies:
        lines += ["", f"sub-topology {sub.name}: {_count(sub.partitions, 'partition')}, as many tasks"]
        for node in sub.nodes:
            lines += _node_text(node)
        for name in sub.tables:
            lines.append(f"  table {name}: {_table_text(by_name[name])}")
    others = {
        "global tables": [table for table in whole.tables if table.kind == "global"],
        "unused tables": [table for table in whole.tables if table.kind != "global" and table.subtopology is None],
    }
    for title, tables in others.items():
        if tables:
            lines += ["", title, *(f"  {table.name}: {_table_text(table)}" for table in tables)]
    lines += ["", "topics"]
    lines += [f"  {topic.name}: {_topic_text(topic)}" for topic in whole.topics]
    return lines


def _node_text(node: DescribedNode) -> list[str]:
    lines = [f"  {node.id}"]
    if node.parents:
        lines.append(f"    from {', '.join(node.parents)}")
    if node.tables:
        lines.append(f"    with table {', '.join(node.tables)}")
    if node.sends:
        lines.append(f"    to topic {', '.join(node.sends)}")
    return lines


def _table_text(table: DescribedTable) -> str:
    types = f"{table.key_type} → {table.value_type}"
    if table.changelog is None:
        return f"{types}, no changelog"
    return f"{types}, {'topic' if table.kind == 'global' else 'changelog'} {table.changelog}"


def _topic_text(topic: DescribedTopic) -> str:
    kind = "" if topic.kind == "topic" else f"{topic.kind}, "
    return f"{kind}{_count(topic.partitions, 'partition')}, {topic.key_type} → {topic.value_type}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# -- Mermaid


def _mermaid(whole: Description) -> list[str]:
    """Topics stand outside of the sub-topologies that they connect; a source node is drawn as its topics."""
    names = _Names()
    lines = ["flowchart LR"]
    edges: list[str] = []
    drawn: list[str] = []
    for number, sub in enumerate(whole.subtopologies):
        title = f"{sub.name} ({_count(sub.partitions, 'task')})"
        lines.append(f'  subgraph sub{number}["{_quoted(title)}"]')
        sources = {node.id: node for node in sub.nodes if node.topics}
        for node in sub.nodes:
            drawn += [*node.topics, *node.sends]
            if node.id not in sources:
                lines.append(f'    {names["n", node.id]}["{_quoted(f"{node.kind}: {node.name}")}"]')
                edges += _edges(node, sources, names)
        lines += [f'    {names["s", table]}[("{_quoted(table)}")]' for table in sub.tables]
        lines.append("  end")
    lines += [f'  {names["t", topic]}[/"{_quoted(topic)}"/]' for topic in dict.fromkeys(drawn)]
    for table in whole.tables:
        if table.kind == "global":
            lines.append(f'  {names["s", table.name]}[("{_quoted(table.name)} (global)")]')
    return lines + edges


def _edges(node: DescribedNode, sources: Mapping[str, DescribedNode], names: "_Names") -> list[str]:
    here = names["n", node.id]
    lines = []
    for parent in node.parents:
        origins = [names["t", topic] for topic in sources[parent].topics] if parent in sources else [names["n", parent]]
        lines += [f"  {origin} --> {here}" for origin in origins]
    lines += [f"  {here} -.- {names['s', table]}" for table in node.tables]
    lines += [f"  {here} --> {names['t', topic]}" for topic in node.sends]
    return lines


class _Names:
    """Identifiers that Mermaid takes: a letter and a number, counted in the order in which they are asked for."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}

    def __getitem__(self, key: tuple[str, str]) -> str:
        return self._names.setdefault(key, f"{key[0]}{len(self._names)}")


def _quoted(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
