"""What `App` declares streams and tables with."""

from collections.abc import Sequence
from typing import Any, cast

from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.dataflow.topics import Topic
from streamz_actors.dataflow.topology import GlobalSpec, TopologyBuilder
from streamz_actors.errors import TopologyError
from streamz_actors.operators import join_table, routes, update
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.streams import joins
from streamz_actors.streams.global_table import GlobalTable
from streamz_actors.streams.mapped import default_factory
from streamz_actors.streams.naming import checked
from streamz_actors.streams.set_table import SetTable
from streamz_actors.streams.stores import checked_standbys, stored
from streamz_actors.streams.stream import (
    GroupedStream,
    Stream,
    Table,
    VersionedTable,
    kept_table,
    source_stream,
    versioned_table,
)
from streamz_actors.streams.windowed_table import WindowTable
from streamz_actors.windows.definitions import Duration

Streamed = Topic[Any, Any] | Stream[Any, Any] | GroupedStream[Any, Any] | Table[Any, Any] | WindowTable[Any, Any]


def declare_stream(builder: TopologyBuilder, source: Streamed | Sequence[Streamed]) -> Stream[Any, Any]:
    """The records of a topic, the changes of a table, or the records of several of them together."""
    if isinstance(source, Topic):
        return source_stream(builder, source)
    if isinstance(source, Table):
        return source.to_stream()
    if isinstance(source, WindowTable):
        node, key, value = source.changes()
        return Stream(builder, node, source.name, key, value)
    if isinstance(source, GroupedStream):
        return source.stream()
    if isinstance(source, Stream):
        return source
    if isinstance(source, list | tuple) and source:
        first, *others = (declare_stream(builder, each) for each in source)
        return first.merge(*others) if others else first
    raise TopologyError(f"{source!r} is no source of a stream: topics, streams and tables are")


def declare_table(
    builder: TopologyBuilder,
    name_or_topic: str | Topic[Any, Any],
    *,
    key_type: Any = None,
    value_type: Any = None,
    default: Any = None,
    partitions: int | None = None,
    changelog: bool = True,
    codec: str | None = None,
    per_partition: bool = False,
    allow_pickle: bool = False,
    versioned: Duration | None = None,
    standby_replicas: int | None = None,
) -> Table[Any, Any]:
    """A name makes a table that handlers write to, a topic the table of that topic's latest values.

    Without `value_type` a `default` that is a class stands for it. `codec` is that of the values. `versioned`: how long
    the table of a topic keeps what keys held before. `standby_replicas`: in place of the application's setting.
    """
    if isinstance(name_or_topic, Topic):
        given = (key_type, value_type, partitions, codec)
        if any(option is not None for option in given) or per_partition or not changelog:
            raise TopologyError(
                f"table of topic {name_or_topic}: types and partitions are its own; pass default=, versioned= and "
                f"standby_replicas= only"
            )
        if versioned is not None:
            return _versioned_table(builder, name_or_topic, default, versioned, standby_replicas)
        return _topic_table(builder, name_or_topic, default, standby_replicas)
    if versioned is not None:
        raise TopologyError(f"table {name_or_topic!r}: versioned= is for the table of a topic: app.table(topic, ...)")
    if value_type is None and isinstance(default, type):
        value_type = default
    spec = stored(
        builder,
        name_or_topic,
        schema_for(key_type, key=True),
        schema_for(value_type, codec, allow_pickle=allow_pickle),
        changelog=changelog,
        partitions=partitions,
        per_partition=per_partition,
        standby_replicas=standby_replicas,
    )
    return _written_table(Table, builder, spec, default)


def declare_set_table(
    builder: TopologyBuilder,
    name: str,
    *,
    key_type: Any = None,
    value_type: Any = None,
    partitions: int | None = None,
    changelog: bool = True,
    codec: str | None = None,
    per_partition: bool = False,
    allow_pickle: bool = False,
    standby_replicas: int | None = None,
) -> SetTable[Any, Any]:
    """`value_type` is that of the members."""
    members: Any = set if value_type is None else set[value_type]
    spec = stored(
        builder,
        name,
        schema_for(key_type, key=True),
        schema_for(members, codec, allow_pickle=allow_pickle),
        changelog=changelog,
        partitions=partitions,
        per_partition=per_partition,
        standby_replicas=standby_replicas,
    )
    return cast("SetTable[Any, Any]", _written_table(SetTable, builder, spec, set))


def declare_global_table(
    builder: TopologyBuilder, topic: Topic[Any, Any], name: str | None = None
) -> GlobalTable[Any, Any]:
    """Asked for twice, the same table."""
    full = checked(topic.name if name is None else name, "global table")
    spec = builder.globals.get(full)
    if spec is None or spec.topic is not topic:
        spec = builder.global_table(GlobalSpec(full, topic))
    return GlobalTable(builder, spec)


def _topic_table(
    builder: TopologyBuilder, topic: Topic[Any, Any], default: Any, standbys: int | None
) -> Table[Any, Any]:
    """Asked for twice, two tables over the same state."""
    name = checked(topic.name, "table")
    spec = builder.tables.get(name)
    if spec is None or spec.changelog is not topic:
        key, value, standbys = topic.key_schema, topic.value_schema, checked_standbys(name, standbys)
        spec = builder.table(StoreSpec(name, key, value, topic, source=True, standby_replicas=standbys))
        builder.add(update.update_table(builder.source(topic), spec, "table"))
    _agreed(spec, standbys)
    node = next(node for node in builder.nodes if node.kind == "table" and spec in node.stores)
    return kept_table(builder, spec, node, default_factory(spec.name, default))


def _agreed(spec: StoreSpec, standbys: int | None) -> None:
    """Raises TopologyError if a table that is asked for again is to have another number of standbys."""
    if standbys not in (None, spec.standby_replicas):
        raise TopologyError(
            f"table {spec.name!r} was declared before with standby_replicas={spec.standby_replicas}: declare it once"
        )


def _versioned_table(
    builder: TopologyBuilder, topic: Topic[Any, Any], default: Any, kept: Duration, standbys: int | None
) -> VersionedTable[Any, Any]:
    """Asked for twice, two tables over the same state."""
    name, source = checked(topic.name, "table"), builder.source(topic)
    parts = joins.declared_versions(builder, source, name, kept) or joins.versioned_parts(
        builder, source, name, "table", topic.key_schema, topic.value_schema, kept, standby_replicas=standbys
    )
    _agreed(parts.spec, standbys)
    return versioned_table(builder, parts, default_factory(name, default))


def _written_table(
    kind: type[Table[Any, Any]], builder: TopologyBuilder, spec: StoreSpec, default: Any
) -> Table[Any, Any]:
    """A table that handlers write."""
    schemas: tuple[Schema[Any], Schema[Any]] = (spec.key_schema, spec.value_schema)

    def changes() -> Node:
        return builder.add(routes.changes(spec))

    return kind(
        builder,
        spec.name,
        schemas,
        changes,
        join_table.by_row_key(spec),
        spec=spec,
        default=default_factory(spec.name, default),
    )
