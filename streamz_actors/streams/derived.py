"""Tables made of tables: what joins, groupings and suppressions declare. The methods stand with the tables."""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, NamedTuple, Protocol

from streamz_actors.dataflow.building import policy_of
from streamz_actors.dataflow.lookups import Lookup
from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import TopologyError
from streamz_actors.operators import foreign_key, join_tables, regroup, sink, suppress
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.streams.flow import FOREVER
from streamz_actors.streams.inference import pair_of, returned, schema_of
from streamz_actors.streams.naming import checked, path
from streamz_actors.streams.stores import stored
from streamz_actors.windows.definitions import Window
from streamz_actors.windows.suppression import Until, closing_after

Function = Callable[..., Any]


class Side(Protocol):
    """A table, as far as what is made of it goes."""

    builder: TopologyBuilder
    name: str
    key_schema: Schema[Any]
    value_schema: Schema[Any]
    reading: Lookup
    window: Window | None

    @property
    def node(self) -> Node: ...


class Made(NamedTuple):
    """A table's parts: with a spec it is stored, without one `lookup` reads it."""

    name: str
    value: Schema[Any]
    changes: Callable[[], Node]
    lookup: Lookup
    spec: StoreSpec | None = None


# -- joins


def joined(left: Side, right: Side, kind: str, joiner: Function, name: str | None, value_type: Any) -> Made:
    """By equal keys; stored if it has a name."""
    apart = _written_apart(left, right)
    builder, label = left.builder, name or _between(left, right, kind, joiner)
    value = schema_of(value_type, returned(joiner))
    how = join_tables.joining(kind, label, joiner, value)
    lookup = join_tables.look_joined(left.reading, right.reading, how)
    spec = None if name is None else stored(builder, name, left.key_schema, value)

    def changes() -> Node:
        lefts, rights, twins = left.node, right.node, _are_twins(left, right)
        made = partial(join_tables.join_changes, name=label, kind=kind, how=how, twins=twins, apart=apart)
        parents = (
            builder.add(made(lefts, other=right.reading, left=True)),
            builder.add(made(rights, other=left.reading, left=False)),
        )
        return builder.add(join_tables.joined(parents, label, kind, spec))

    return Made(label, value, changes, lookup, spec)


def joined_by_foreign_key(
    left: Side, right: Side, kind: str, joiner: Function, key: Function, name: str | None, value_type: Any
) -> tuple[StoreSpec, Node]:
    """What is stored, and the node that its changes come from. Its topics and stores are called after it."""
    builder, label = left.builder, name or _between(left, right, kind, joiner)
    value = schema_of(value_type, returned(joiner))
    spec = stored(builder, label, left.key_schema, value)
    asking, answering = foreign_key.asking_schema(), foreign_key.answering_schema()
    how = foreign_key.ForeignKey(
        what=f"{kind} {label!r}",
        foreign_key=key,
        joiner=joiner,
        value=value,
        left_join=kind == "left_join",
        key=right.key_schema,
        right=right.value_schema,
        asking=builder.internal_topic(label, "subscription", right.key_schema, asking, config=FOREVER),
        answering=builder.internal_topic(label, "response", left.key_schema, answering, config=FOREVER),
    )
    wanted = stored(
        builder, f"{label}-subscribers", schema_for(bytes, key=True), schema_for(bytes), kind="internal"
    )
    lefts, rights = left.node, right.node
    known = builder.add(foreign_key.subscribe(lefts, label, how))
    asked = builder.source(how.asking, flexible=True, policy=policy_of(lefts))
    builder.add(foreign_key.subscriptions(asked, label, how, right.reading, wanted))
    builder.add(foreign_key.followed(rights, label, how, wanted))
    answered = builder.source(how.answering, flexible=True, policy=policy_of(lefts))
    answers = builder.add(foreign_key.responses(answered, label, how, left.reading))
    return spec, builder.add(foreign_key.results((known, answers), spec, kind))


def _written_apart(left: Side, right: Side) -> str | None:
    """What to say if equal keys of the two tables may be in different partitions: should there be several.

    Raises TopologyError where the types tell that no two keys are equal.
    """
    one, other = left.key_schema, right.key_schema
    if one.codec == other.codec:
        return None
    message = (
        f"table {left.name!r} writes its keys as {one.codec}, table {right.name!r} as {other.codec}, so that equal "
        f"keys may be in different partitions: give both one key type"
    )
    if Any not in (one.type, other.type):
        raise TopologyError(message)
    return message


def _are_twins(left: Side, right: Side) -> bool:
    """Whether one change may reach both sides, and a store that is read for one of them before it reaches the other."""
    read = {*left.reading.stores, *right.reading.stores}
    shared = _ancestry(left.node) & _ancestry(right.node)
    return any(not read.isdisjoint(node.stores) for node in shared)


def _ancestry(node: Node) -> set[Node]:
    """A node and all those that it comes from."""
    found: set[Node] = set()
    waiting = [node]
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting += one.parents
    return found


def _between(left: Side, right: Side, kind: str, joiner: Function) -> str:
    """`orders-join-accounts`, and the joiner's name if it has one."""
    return path(f"{left.name}-{kind}", right.name, joiner)


def common_window(left: Side, right: Side) -> Window | None:
    """The windows of a joined table's keys: of two kinds the one that closes later."""
    windows = [side.window for side in (left, right) if side.window is not None]
    return max(windows, key=_patience, default=None)


def _patience(window: Window) -> float:
    after = closing_after(window)
    return inf if after is None else after


# -- groups of a table's entries


class Regrouped:
    """A table's entries under other keys. All that is aggregated of them shares one repartition topic."""

    def __init__(self, table: Side, selector: Function, name: str | None, key_type: Any, value_type: Any) -> None:
        key, value = pair_of(returned(selector))
        self._table, self._selector = table, selector
        self.name = name or path(table.name, "group_by", selector)
        self.key_schema, self.value_schema = schema_of(key_type, key, key=True), schema_of(value_type, value)
        self._placed: Node | None = None

    def revised(
        self, operation: str, function: Function | None, name: str | None, value: Schema[Any],
        how: Callable[[str], regroup.Revising],
    ) -> tuple[StoreSpec, Node]:
        """An aggregation's store, and its node."""
        builder, label = self._table.builder, name or path(self.name, operation, function)
        source = self._source()
        spec = stored(builder, label, self.key_schema, value)
        return spec, builder.add(regroup.revise(source, spec, how(label)))

    def _source(self) -> Node:
        if self._placed is None:
            self._placed = self._through()
        return self._placed

    def _through(self) -> Node:
        builder, name, key = self._table.builder, checked(self.name, "repartition topic"), self.key_schema
        change = regroup.change_schema(self.value_schema)
        topic = builder.internal_topic(name, "repartition", key, change, config=FOREVER)
        grouped = builder.add(regroup.group_by(self._table.node, name, self._selector, key, change))
        builder.add(sink.repartition(grouped, name, topic, key, change, sink.Nulls()))
        return builder.source(topic, flexible=True, policy=policy_of(self._table.node))


# -- changes held back


def suppressed(table: Side, until: Until, name: str | None) -> Made:
    builder, label = table.builder, name or path(table.name, "suppress")
    wait = until.limit if until.limit is not None else _closing(table)
    spec = stored(builder, label, schema_for(bytes, key=True), suppress.waiting_schema(), kind="internal")
    node = builder.add(suppress.suppress(table.node, spec, table.key_schema, table.value_schema, until, wait))
    lookup = suppress.look_suppressed(table.reading, spec, table.key_schema, table.value_schema)
    return Made(label, table.value_schema, lambda: node, lookup)


def _closing(table: Side) -> int:
    if table.window is None:
        raise TopologyError(
            f"suppress of table {table.name!r}: until_window_closes() is for tables of windows; "
            f"others can wait until_time_limit(...)"
        )
    after = closing_after(table.window)
    if after is None:
        raise TopologyError(f"suppress of table {table.name!r}: {table.window!r} does not close by time")
    return after
