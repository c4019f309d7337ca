"""Splits a topology into sub-topologies: what shares edges or stores runs together, one task for each partition.

Partition counts decide with: agents that name no tables share all unnamed tables, but only among sources of equal
counts. So the split needs the counts of the topics that exist already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamz_actors.dataflow.node import Node, SourceNode, StoreSpec
from streamz_actors.dataflow.topology import Topology
from streamz_actors.errors import TopologyError


@dataclass(eq=False, frozen=True)
class SubTopology:
    """A connected part, named for its first source topic in alphabetical order (without the application's id)."""

    name: str
    nodes: tuple[Node, ...]
    """Parents before children, else in the order of declaration."""
    stores: tuple[StoreSpec, ...]
    partitions: int
    topics: Mapping[str, int]
    """The topics it reads and their partition counts."""
    children: Mapping[Node, tuple[Node, ...]] = field(repr=False)
    in_order: frozenset[Node] = field(repr=False)
    """Nodes whose rows go to their children one by one, because the ways of the children meet again."""
    followers: Mapping[str, tuple[Node, ...]] = field(repr=False)
    """By table: the nodes that follow changes which no operator makes (an agent's writes)."""
    olds: frozenset[Node] = field(repr=False, default=frozenset())
    """Nodes whose rows are to say what each key held before."""

    def task_name(self, partition: int) -> str:
        """What its task at a partition is called: in logs, in the cluster's map, and as the folder of its state."""
        return f"{self.name}-{partition}"


def split(topology: Topology, existing: Mapping[str, int], default_partitions: int) -> list[SubTopology]:
    """The sub-topologies, given the partition counts of topics that exist."""
    groups = _Groups()
    for node in topology.nodes:
        groups.join(node, *node.parents, *node.stores)
    explicit = {table for node in topology.nodes for table in node.named_tables or ()}
    specs = {spec.name: spec for spec in topology.tables}
    for node in topology.nodes:
        for table in node.named_tables or ():
            if table not in specs:
                raise TopologyError(f"agent {node.name!r} names the table {table!r}, which does not exist")
            groups.join(node, specs[table])
    kept = [node for node in topology.nodes if not node.agent and node.kind != "changes"]
    used = {store.name for node in kept for store in node.stores}
    free = [spec for spec in topology.tables if spec.name not in explicit | used]

    def counts() -> dict[object, int]:
        return {group: _partitions(members, existing, default_partitions) for group, members in groups.items()}

    by_count: dict[int, list[Node]] = {}
    first = counts()
    for node in topology.nodes:
        if node.agent and node.named_tables is None and node.parents:
            by_count.setdefault(first[groups.find(node)], []).append(node)
    for count, agents in by_count.items():
        shared = [table for table in free if _belongs(table, count, by_count, default_partitions)]
        if shared:
            groups.join(*agents, *shared)
    final = counts()
    parts = [
        _build(topology, members, final[group], existing, default_partitions)
        for group, members in groups.items()
        if any(isinstance(member, SourceNode) for member in members)
    ]
    return sorted(parts, key=lambda part: part.name)


def _belongs(table: StoreSpec, count: int, by_count: Mapping[int, Sequence[Node]], default: int) -> bool:
    """Whether a table that nobody names goes with the agents of `count` partitions."""
    if table.partitions is not None:
        return table.partitions == count
    return count == (default if default in by_count else next(iter(by_count)))


def source_counts(node: SourceNode, existing: Mapping[str, int], default: int) -> dict[str, int]:
    return {name: existing.get(name, node.topic.partitions or default) for name in node.topic.names}


def _partitions(members: Sequence[object], existing: Mapping[str, int], default: int) -> int:
    sources = [member for member in members if isinstance(member, SourceNode)]
    copartitioned = any(isinstance(member, Node) and member.copartitioned for member in members)
    fixed = [source for source in sources if not _adapts(source, existing)]
    counts = [count for source in fixed for count in source_counts(source, existing, default).values()]
    if copartitioned and len(set(counts)) > 1:
        listed = ", ".join(
            f"{name} ({count})" for source in fixed for name, count in source_counts(source, existing, default).items()
        )
        raise TopologyError(
            f"these topics are joined and must have equal partition counts: {listed}; use .repartition() on one of them"
        )
    if counts and (copartitioned or len(fixed) == len(sources)):
        return max(counts)
    return max([*counts, default]) if sources else 0


def _adapts(source: SourceNode, existing: Mapping[str, int]) -> bool:
    return source.flexible and source.topic.partitions is None and source.topic.name not in existing


def _build(
    topology: Topology, members: Sequence[object], partitions: int, existing: Mapping[str, int], default: int
) -> SubTopology:
    chosen = set(members)
    nodes = tuple(node for node in topology.nodes if node in chosen)
    stores = tuple(spec for spec in topology.tables if spec in chosen)
    for spec in stores:
        if spec.partitions not in (None, partitions):
            raise TopologyError(
                f"table {spec.name!r} is declared with {spec.partitions} partitions, but what uses it has {partitions}:"
                f" leave partitions= out, or .repartition() the source"
            )
    children = {node: tuple(child for child in nodes if node in child.parents) for node in nodes}
    topics: dict[str, int] = {}
    for node in nodes:
        if isinstance(node, SourceNode):
            topics |= (
                dict.fromkeys(node.topic.names, partitions)
                if _adapts(node, existing)
                else source_counts(node, existing, default)
            )
    prefix = f"{topology.app_id}-"
    name = min(topics).removeprefix(prefix)
    in_order = frozenset(node for node in nodes if _meet_again(children[node], children))
    written = {store.name for node in nodes if node.kind == "changes" for store in node.stores}
    followers = {
        table: tuple(
            node for node in nodes if node.kind == "changes" and any(store.name == table for store in node.stores)
        )
        for table in written
    }
    return SubTopology(
        name, nodes, stores, partitions, topics, children, in_order, followers, _wanting_olds(nodes, children)
    )


def _wanting_olds(nodes: Sequence[Node], children: Mapping[Node, tuple[Node, ...]]) -> frozenset[Node]:
    """Nodes with a child that reads old values, or that passes them on to one that does."""
    wanting: set[Node] = set()
    for node in reversed(nodes):
        if any(child.reads_olds or (child.passes_olds and child in wanting) for child in children[node]):
            wanting.add(node)
    return frozenset(wanting)


def _meet_again(siblings: Sequence[Node], children: Mapping[Node, tuple[Node, ...]]) -> bool:
    """Whether two ways from here reach one node, one store or one topic: then the order of rows matters."""
    seen: set[object] = set()
    for sibling in siblings:
        reached = _reach(sibling, children)
        if seen & reached:
            return True
        seen |= reached
    return False


def _reach(node: Node, children: Mapping[Node, tuple[Node, ...]]) -> set[object]:
    reached: set[object] = {node, *node.stores, *(name for topic in node.sends for name in topic.names)}
    for child in children[node]:
        reached |= _reach(child, children)
    return reached


class _Groups:
    """Disjoint sets (union-find), remembering the order in which members came."""

    def __init__(self) -> None:
        self._parent: dict[object, object] = {}

    def find(self, item: object) -> object:
        self._parent.setdefault(item, item)
        while self._parent[item] is not item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, first: object, *others: object) -> None:
        root = self.find(first)
        for other in others:
            self._parent[self.find(other)] = root

    def items(self) -> list[tuple[object, list[object]]]:
        groups: dict[object, list[object]] = {}
        for item in self._parent:
            groups.setdefault(self.find(item), []).append(item)
        return list(groups.items())
