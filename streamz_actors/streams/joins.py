"""What joins of streams, versioned tables and joins as of a time declare. The methods stand with streams and tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from streamz_actors.dataflow.lateness import OnLate
from streamz_actors.dataflow.lookups import Lookup
from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import TopologyError
from streamz_actors.operators import delay, routes, versioned
from streamz_actors.operators.join_streams import Input, StreamJoin, join_streams, kept_schema, waiting_schema
from streamz_actors.operators.versioned import VersionLayout, history_schema
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.stores import versions
from streamz_actors.stores.segments import segment_length
from streamz_actors.streams.arrangement import in_segments
from streamz_actors.streams.flow import Flow
from streamz_actors.streams.inference import returned, schema_of
from streamz_actors.streams.naming import path
from streamz_actors.streams.stores import stored
from streamz_actors.windows.definitions import Duration, JoinWindow, milliseconds

Function = Callable[..., Any]
AnyFlow = Flow[Any, Any]

INTERNAL: Final = "internal"
HISTORY: Final = "history"

EMITS_LEFT: Final = ("left_join", "outer_join")
EMITS_RIGHT: Final = ("outer_join",)
"""The kinds of joins that emit what of a side has met nobody."""


class StreamOptions(TypedDict, total=False):
    """What a join of two streams may be given. `name`: of its stores and of repartition topics. `on_late`: a function
    that is called with a `Late`, or a topic, for records that come too late to wait for partners.
    """

    value_type: Any
    name: str | None
    on_late: OnLate


class TableOptions(TypedDict, total=False):
    """What a join with a table may be given. `key(key, value)`: the key in a global table (default: the record's own).
    `grace`, with a versioned table: how long a record waits for what the table held at its time. `name`: of the
    repartition topic that a stream with changed keys goes through, and of the store it waits in.
    """

    key: Function | None
    grace: Duration | None
    value_type: Any
    name: str | None


# -- two streams


@dataclass(frozen=True, slots=True)
class Joined:
    """The result of a join. `left` is its left side, in the partitions of its keys; `node` is still to be added."""

    left: AnyFlow
    node: Node
    name: str
    value: Schema[Any]


def joined_streams(
    left: AnyFlow,
    right: AnyFlow,
    kind: str,
    joiner: Function,
    within: JoinWindow | None,
    *,
    name: str | None = None,
    value_type: Any = None,
    on_late: OnLate = None,
) -> Joined:
    """`name` is that of the stores and of repartition topics. The nodes of the sides are added."""
    if not isinstance(within, JoinWindow):
        raise TopologyError(f"{kind} of stream {left.name!r} with stream {right.name!r}: pass within=JoinWindow(...)")
    label = name or path(left.name, f"{kind}-{right.name}", joiner)
    lefts = left.placed(name and f"{name}-left", None if right.rekeyed else right.key_schema)
    rights = right.placed(name and f"{name}-right", lefts.key_schema)
    if lefts.key_schema.codec != rights.key_schema.codec:
        raise TopologyError(
            f"stream {left.name!r} writes its keys as {lefts.key_schema.codec}, stream {right.name!r} as "
            f"{rights.key_schema.codec}, so that equal keys may be in different partitions: join behind "
            f".repartition(key_type=...) with the other's key type"
        )
    value = schema_of(value_type, returned(joiner))
    one, other = _inputs(lefts, rights, kind, label, within)
    join = StreamJoin(label, kind, within, joiner, lefts.key_schema, value, one, other, on_late)
    made = join_streams(join)
    if len(made) == 1:
        return Joined(lefts, made[0], label, value)
    sides = tuple(left.builder.add(node) for node in made)
    return Joined(lefts, routes.merge(sides, label), label, value)


def _inputs(lefts: AnyFlow, rights: AnyFlow, kind: str, label: str, within: JoinWindow) -> tuple[Input, Input]:
    kept = _kept(lefts, f"{label}-left", within)
    if lefts.node is rights.node and kind == "join":
        return Input(lefts.node, lefts.value_schema, kept), Input(rights.node, rights.value_schema, kept)
    return (
        Input(lefts.node, lefts.value_schema, kept, _waiting(lefts, f"{label}-left", kind in EMITS_LEFT)),
        Input(
            rights.node,
            rights.value_schema,
            _kept(rights, f"{label}-right", within),
            _waiting(rights, f"{label}-right", kind in EMITS_RIGHT),
        ),
    )


def _kept(side: AnyFlow, name: str, within: JoinWindow) -> StoreSpec:
    schema = kept_schema(side.value_schema)
    lie = in_segments(segment_length(max(1, within.retention)))
    return stored(
        side.builder, name, _raw_keys(), schema, retention=within.retention, kind=INTERNAL, arrangement=lie
    )


def _waiting(side: AnyFlow, name: str, emits: bool) -> StoreSpec | None:
    """For the records of a side that are emitted without a partner; those that have no key go that far, too."""
    if not emits:
        return None
    if side.nulls is not None:
        side.nulls.kept = True
    return stored(side.builder, f"{name}-unmatched", _raw_keys(), waiting_schema(side.value_schema), kind=INTERNAL)


def _raw_keys() -> Schema[Any]:
    """Of keys that operators make."""
    return schema_for(bytes, key=True)


# -- versioned tables


@dataclass(frozen=True, slots=True)
class Past:
    """What a versioned table, or a view of one, has besides its latest values."""

    flow: Callable[[], Node]
    """Makes the node that all its changes come from, those of the past among them."""
    as_of: Lookup
    """What a key held at the time of each row."""
    retention: int
    """Ms."""


@dataclass(frozen=True, slots=True)
class VersionedParts:
    spec: StoreSpec
    history: StoreSpec
    node: Node

    @property
    def past(self) -> Past:
        assert self.history.retention is not None, "it is kept for a time"
        return Past(lambda: self.node, versioned.as_of(self.spec, self.history), self.history.retention)


def history_of(name: str) -> str:
    """The table of what another one held before: `Windowed` in queries, from when to when."""
    return f"{name}-{HISTORY}"


def versioned_parts(
    builder: TopologyBuilder,
    parent: Node,
    name: str,
    kind: str,
    key: Schema[Any],
    value: Schema[Any],
    kept: Duration,
    standby_replicas: int | None = None,
) -> VersionedParts:
    """Two stores with changelogs of their own: not the source's topic, which knows the order of arrival only."""
    retention = milliseconds(kept, "versioned", least=1)
    spec = stored(builder, name, key, value, standby_replicas=standby_replicas)
    history = stored(
        builder,
        history_of(name),
        key,
        history_schema(value),
        retention=retention,
        kind=HISTORY,
        layout=VersionLayout(value, retention),
        arrangement=in_segments(versions.segment_length(retention)),
        standby_replicas=standby_replicas,
    )
    return VersionedParts(spec, history, builder.add(versioned.update_versions(parent, spec, history, kind)))


def declared_versions(builder: TopologyBuilder, source: Node, name: str, kept: Duration) -> VersionedParts | None:
    """The parts of a topic's table that was declared before. Raises TopologyError for one of another kind."""
    spec, history = builder.tables.get(name), builder.tables.get(history_of(name))
    if spec is None:
        return None
    if history is None or history.kind != HISTORY or history.retention != milliseconds(kept, "versioned", least=1):
        raise TopologyError(f"table {name!r} was declared before, with another history: declare it once")
    node = next(node for node in builder.nodes if node.parents == (source,) and spec in node.stores)
    return VersionedParts(spec, history, node)


def delayed(stream: AnyFlow, table: str, past: Past | None, grace: Duration, name: str, *, left: bool) -> Node:
    """Where the rows of a stream come from when a versioned table is to be asked for each."""
    if past is None:
        raise TopologyError(
            f"join with table {table!r}: grace= waits for what the table held at a record's time, which only a "
            f"versioned table knows: app.table(topic, versioned=...)"
        )
    wait = milliseconds(grace, "grace")
    if wait > past.retention:
        raise TopologyError(f"join with table {table!r}: a grace of {wait} ms is longer than its history")
    if wait == 0:
        return stream.node
    schema = delay.delayed_schema(stream.value_schema)
    spec = stored(stream.builder, f"{name}-delayed", _raw_keys(), schema, kind=INTERNAL)
    node = delay.delay(stream.node, name, spec, stream.key_schema, stream.value_schema, wait, keyless=left)
    return stream.builder.add(node)
