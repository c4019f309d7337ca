"""The DSL: streams, grouped streams and tables. Each method adds a node; none does I/O.

They stand in one file because each gives the others. What needs none of the others is in `flow` and `mapped`.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar, Unpack, overload

from streamz_actors.aggregation import folding
from streamz_actors.dataflow.calls import over_columns
from streamz_actors.dataflow.context import current_context
from streamz_actors.dataflow.lookups import Lookup
from streamz_actors.dataflow.node import Node, StoreSpec, is_async
from streamz_actors.dataflow.pacing import Limits
from streamz_actors.dataflow.policies import Retry
from streamz_actors.dataflow.topics import Topic
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import TopologyError, UsageError
from streamz_actors.operators import (
    aggregate,
    join_table,
    map_async,
    processor,
    regroup,
    routes,
    stateless,
    update,
    versioned,
    views,
    window_lookup,
)
from streamz_actors.serde.schema import Schema, schema_for, windowed_around
from streamz_actors.stores.versions import Versions
from streamz_actors.streams import derived, joins, windowed
from streamz_actors.streams.cogrouped import CogroupedStream, Groups, Tables
from streamz_actors.streams.flow import Flow
from streamz_actors.streams.global_table import GlobalTable
from streamz_actors.streams.inference import common, item_of, pair_of, returned, schema_of
from streamz_actors.streams.naming import path, source_name
from streamz_actors.streams.split import Split
from streamz_actors.streams.stores import stored
from streamz_actors.streams.windowed_table import Windowing
from streamz_actors.types import Windowed, WindowValue
from streamz_actors.windows.definitions import Duration, JoinWindow, Window
from streamz_actors.windows.suppression import Until

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")
A = TypeVar("A")

Function = Callable[..., Any]


def source_stream(builder: TopologyBuilder, topic: Topic[K, V]) -> "Stream[K, V]":
    """The records of a topic; asked for twice, two streams of the same records."""
    return Stream(builder, builder.source(topic), source_name(topic.names), topic.key_schema, topic.value_schema)


class Stream(Flow[K, V]):
    """Functions take (key, value), or (value) in `map_values` and `flat_map_values`; each may be `async def`.

    `key_type` and `value_type` name what a function gives where its annotations don't: needed where that goes through
    an internal topic and is more than plain JSON.
    """

    def _valued(self, node: Node, name: str, value: Schema[Any]) -> "Stream[K, Any]":
        """The same keys with other values."""
        self.builder.add(node)
        return Stream(self.builder, node, name, self.key_schema, value, rekeyed=self.rekeyed, nulls=self.nulls)

    def _keyed(self, node: Node, name: str, key: Schema[Any], value: Schema[Any]) -> "Stream[Any, Any]":
        """Other keys: what is partitioned by key needs a repartition topic first."""
        return Stream(self.builder, self.builder.add(node), name, key, value, rekeyed=True)

    # -- record by record

    def map(
        self,
        function: Callable[[K, V], tuple[K2, V2] | Awaitable[tuple[K2, V2]]],
        *,
        key_type: Any = None,
        value_type: Any = None,
    ) -> "Stream[K2, V2]":
        """Each record as the (key, value) pair that `function(key, value)` gives."""
        name, (key, value) = path(self.name, "map", function), pair_of(returned(function))
        schemas = schema_of(key_type, key, key=True), schema_of(value_type, value)
        return self._keyed(stateless.map_pairs(self.node, name, function, *schemas), name, *schemas)

    def flat_map(
        self,
        function: Callable[[K, V], Iterable[tuple[K2, V2]] | Awaitable[Iterable[tuple[K2, V2]]]],
        *,
        key_type: Any = None,
        value_type: Any = None,
    ) -> "Stream[K2, V2]":
        """Each record as the pairs that `function(key, value)` gives, perhaps none."""
        name, (key, value) = path(self.name, "flat_map", function), pair_of(item_of(returned(function)))
        schemas = schema_of(key_type, key, key=True), schema_of(value_type, value)
        return self._keyed(stateless.flat_map(self.node, name, function, *schemas), name, *schemas)

    @overload
    def map_values(self, function: Callable[[V], Awaitable[V2]], *, value_type: Any = None) -> "Stream[K, V2]": ...
    @overload
    def map_values(self, function: Callable[[V], V2], *, value_type: Any = None) -> "Stream[K, V2]": ...
    def map_values(self, function: Function, *, value_type: Any = None) -> "Stream[K, Any]":
        """Each value as `function(value)` gives it. It is called for None too."""
        name, value = path(self.name, "map_values", function), schema_of(value_type, returned(function))
        return self._valued(stateless.map_values(self.node, name, function, value), name, value)

    def flat_map_values(
        self, function: Callable[[V], Iterable[V2] | Awaitable[Iterable[V2]]], *, value_type: Any = None
    ) -> "Stream[K, V2]":
        """Each record once per value that `function(value)` gives, perhaps not at all."""
        name = path(self.name, "flat_map_values", function)
        value = schema_of(value_type, item_of(returned(function)))
        return self._valued(stateless.flat_map_values(self.node, name, function, value), name, value)

    @overload
    def select_key(self, selector: Callable[[K, V], Awaitable[K2]], *, key_type: Any = None) -> "Stream[K2, V]": ...
    @overload
    def select_key(self, selector: Callable[[K, V], K2], *, key_type: Any = None) -> "Stream[K2, V]": ...
    def select_key(self, selector: Function, *, key_type: Any = None) -> "Stream[Any, V]":
        """Each value under the key that `selector(key, value)` gives."""
        return self._selected("select_key", selector, key_type)

    def _selected(self, kind: str, selector: Function, key_type: Any) -> "Stream[Any, V]":
        name, key = path(self.name, kind, selector), schema_of(key_type, returned(selector), key=True)
        node = stateless.select_key(self.node, name, selector, key, kind)
        return self._keyed(node, name, key, self.value_schema)

    @overload
    def map_async(
        self, function: Callable[[V], Awaitable[V2]], *, concurrency: int = 16,
        ordered: bool | Literal["key", "partition"] = True, timeout: Duration | None = None,
        retry: Retry | None = None, rate_limit: float | None = None, value_type: Any = None,
    ) -> "Stream[K, V2]": ...
    @overload
    def map_async(
        self, function: Callable[[K, V], Awaitable[V2]], *, concurrency: int = 16,
        ordered: bool | Literal["key", "partition"] = True, timeout: Duration | None = None,
        retry: Retry | None = None, rate_limit: float | None = None, value_type: Any = None,
    ) -> "Stream[K, V2]": ...
    def map_async(
        self, function: Function, *, concurrency: int = 16,
        ordered: bool | Literal["key", "partition"] = True, timeout: Duration | None = None,
        retry: Retry | None = None, rate_limit: float | None = None, value_type: Any = None,
    ) -> "Stream[K, Any]":
        """Each value as `await function(value)`, or `function(key, value)`, gives it: for slow I/O, up to `concurrency`
        calls at a time in each partition. The task goes on meanwhile; a record counts as done only when its result has
        passed what comes behind.

        `ordered`: records of one key are called for one after the other and stay in order, those of different keys
        overtake each other. "partition": all results are in the records' order. False: as they come. `timeout`: of one
        attempt. `retry`: what to do with a call that fails (default: the worker stops there). `rate_limit`: calls a
        second, in each partition.
        """
        name, value = path(self.name, "map_async", function), schema_of(value_type, returned(function))
        limits, order = Limits(concurrency, timeout, retry, rate_limit), map_async.order(ordered, name)
        return self._valued(map_async.map_async(self.node, name, function, value, limits, order), name, value)

    def process(
        self, factory: Callable[[], Any], *, key_type: Any = None, value_type: Any = None
    ) -> "Stream[Any, Any]":
        """Hands each record to an object of your own, one per task: `process(key, value)`, and before, if it has it,
        `init(context)`, whose context forwards records and schedules calls. The stream is what it forwards.
        """
        name = path(self.name, "process")
        schemas = schema_for(key_type, key=True), schema_for(value_type)
        return self._keyed(processor.process(self.node, name, factory, *schemas), name, *schemas)

    # -- ways that meet and part

    def merge(self, *others: "Stream[K, V]") -> "Stream[K, V]":
        """The records of all, in no order between them."""
        flows: list[Stream[K, V]] = [self, *others]
        name = "-merge-".join(flow.name for flow in flows)
        node = self.builder.add(routes.merge(tuple(flow.node for flow in flows), name))
        key = common([flow.key_schema for flow in flows], key=True)
        value = common([flow.value_schema for flow in flows])
        return Stream(self.builder, node, name, key, value, rekeyed=any(flow.rekeyed for flow in flows))

    def split(self) -> "Split[K, V, Stream[K, V]]":
        """Begins branches: `.branch(predicate, name)` …, then `.default(name)` or `.no_default()`."""
        return Split(self)

    # -- through topics

    def through(self, topic: Topic[Any, Any]) -> "Stream[Any, Any]":
        """Writes to `topic` and goes on with what is read from it."""
        self.to(topic)
        return source_stream(self.builder, topic)

    def through_agent(
        self, agent: Any, *, key_type: Any = None, value_type: Any = None, rekeyed: bool = False, **options: Any
    ) -> "Stream[Any, Any]":
        """Hands each record to an agent and goes on with what that yields: no topic is between, and a record counts as
        done only when its yields have passed what comes behind.

        `agent`: one declared without a source, or a function as `@app.agent` takes it, then with options as that has.
        `rekeyed`: yields may have other keys than their events (implied by `key_type`).
        """
        if self.builder.make_agent is None:
            raise TopologyError(f"stream {self.name!r} belongs to no application: there are no agents here")
        made = self.builder.make_agent(agent, self, **options)
        stream: Stream[Any, Any] = made.stream(key_type=key_type, value_type=value_type, rekeyed=rekeyed)
        return stream

    def repartition(
        self,
        name: str | None = None,
        partitions: int | None = None,
        *,
        key_type: Any = None,
        value_type: Any = None,
    ) -> "Stream[K, V]":
        """Sends the stream through `<app id>-<name>-repartition`, each record to the partition of its key.

        Without a key a record belongs to none and is dropped, unless a left join follows.
        """
        key = self.key_schema if key_type is None else schema_for(key_type, key=True)
        value = self.value_schema if value_type is None else schema_for(value_type)
        moved = self._through(name or self.name, key, value, partitions)
        moved.name = path(self.name, "repartition")
        return moved

    # -- grouping and tables

    @overload
    def group_by(
        self, selector: Callable[[K, V], Awaitable[K2]], *, name: str | None = None, key_type: Any = None
    ) -> "GroupedStream[K2, V]": ...
    @overload
    def group_by(
        self, selector: Callable[[K, V], K2], *, name: str | None = None, key_type: Any = None
    ) -> "GroupedStream[K2, V]": ...
    def group_by(
        self, selector: Function, *, name: str | None = None, key_type: Any = None
    ) -> "GroupedStream[Any, V]":
        """Groups by the key that `selector(key, value)` gives, through a repartition topic (called `name`)."""
        return GroupedStream(self._selected("group_by", selector, key_type), name)

    def group_by_key(self, *, name: str | None = None) -> "GroupedStream[K, V]":
        """Groups by the key as it is; through a repartition topic only if it has been changed."""
        return GroupedStream(self, name)

    @overload
    def to_table(self, name: str | None = None) -> "Table[K, V]": ...
    @overload
    def to_table(self, name: str | None = None, *, versioned: Duration) -> "VersionedTable[K, V]": ...
    def to_table(self, name: str | None = None, *, versioned: Duration | None = None) -> "Table[K, V]":
        """The table of the latest value of each key. A record without a key is dropped, one without a value deletes.

        `versioned`: how long it keeps what each key held before.
        """
        source, full = self.placed(name), name or path(self.name, "to_table")
        if versioned is not None:
            schemas = self.key_schema, self.value_schema
            return versioned_table(
                self.builder, joins.versioned_parts(self.builder, source.node, full, "to_table", *schemas, versioned)
            )
        spec = stored(self.builder, full, self.key_schema, self.value_schema)
        decoded = source is self and not self._is_internal()
        node = update.update_table(source.node, spec, "to_table", decoded=decoded)
        return kept_table(self.builder, spec, self.builder.add(node))

    def _is_internal(self) -> bool:
        """Whether it comes straight from a topic that only the application writes."""
        return self.nulls is not None and self.node.kind == "source"

    # -- joining

    @overload
    def join(
        self, other: "Stream[K, V2]", joiner: Callable[[V, V2], Awaitable[A]], *,
        within: JoinWindow, **options: Unpack[joins.StreamOptions],
    ) -> "Stream[K, A]": ...
    @overload
    def join(
        self, other: "Stream[K, V2]", joiner: Callable[[V, V2], A], *,
        within: JoinWindow, **options: Unpack[joins.StreamOptions],
    ) -> "Stream[K, A]": ...
    @overload
    def join(
        self, other: "AnyTable[V2]", joiner: Callable[[V, V2], Awaitable[A]], **options: Unpack[joins.TableOptions]
    ) -> "Stream[K, A]": ...
    @overload
    def join(
        self, other: "AnyTable[V2]", joiner: Callable[[V, V2], A], **options: Unpack[joins.TableOptions]
    ) -> "Stream[K, A]": ...
    def join(
        self, other: "Stream[K, Any] | AnyTable[Any]", joiner: Function, *,
        within: JoinWindow | None = None, **options: Any,
    ) -> "Stream[K, Any]":
        """With a stream: `joiner(value, other's value)` for each pair of records of one key whose times are `within` a
        window, under the later time. With a table: for each record whose key the table holds at that moment, or, if it
        is versioned, held at the record's time.
        """
        return self._joined("join", other, joiner, within, options)

    @overload
    def left_join(
        self, other: "Stream[K, V2]", joiner: Callable[[V, V2 | None], Awaitable[A]], *,
        within: JoinWindow, **options: Unpack[joins.StreamOptions],
    ) -> "Stream[K, A]": ...
    @overload
    def left_join(
        self, other: "Stream[K, V2]", joiner: Callable[[V, V2 | None], A], *,
        within: JoinWindow, **options: Unpack[joins.StreamOptions],
    ) -> "Stream[K, A]": ...
    @overload
    def left_join(
        self, other: "AnyTable[V2]", joiner: Callable[[V, V2 | None], Awaitable[A]],
        **options: Unpack[joins.TableOptions],
    ) -> "Stream[K, A]": ...
    @overload
    def left_join(
        self, other: "AnyTable[V2]", joiner: Callable[[V, V2 | None], A], **options: Unpack[joins.TableOptions]
    ) -> "Stream[K, A]": ...
    def left_join(
        self, other: "Stream[K, Any] | AnyTable[Any]", joiner: Function, *,
        within: JoinWindow | None = None, **options: Any,
    ) -> "Stream[K, Any]":
        """As `join`, with None for what there is not: of two streams once no partner can come any more."""
        return self._joined("left_join", other, joiner, within, options)

    @overload
    def outer_join(
        self, other: "Stream[K, V2]", joiner: Callable[[V | None, V2 | None], Awaitable[A]], *,
        within: JoinWindow, **options: Unpack[joins.StreamOptions],
    ) -> "Stream[K, A]": ...
    @overload
    def outer_join(
        self, other: "Stream[K, V2]", joiner: Callable[[V | None, V2 | None], A], *,
        within: JoinWindow, **options: Unpack[joins.StreamOptions],
    ) -> "Stream[K, A]": ...
    def outer_join(
        self, other: "Stream[K, Any]", joiner: Function, *, within: JoinWindow, **options: Unpack[joins.StreamOptions]
    ) -> "Stream[K, Any]":
        """As `left_join` of two streams, for the records of both."""
        if not isinstance(other, Stream):
            raise TopologyError(f"outer_join of stream {self.name!r}: {other!r} is no stream: left_join is for tables")
        return self._joined("outer_join", other, joiner, within, dict(options))

    def _joined(
        self, kind: str, other: "Stream[K, Any] | AnyTable[Any]", joiner: Function, within: JoinWindow | None,
        options: dict[str, Any],
    ) -> "Stream[K, Any]":
        if isinstance(other, Stream):
            made = joins.joined_streams(self, other, kind, joiner, within, **options)
            node = self.builder.add(made.node)
            return Stream(self.builder, node, made.name, made.left.key_schema, made.value, nulls=made.left.nulls)
        if within is not None:
            raise TopologyError(f"{kind} with table {other.name!r}: within= is for streams")
        return self._looked_up(kind, other, joiner, **options)

    def _looked_up(
        self, kind: str, table: "AnyTable[Any]", joiner: Function, *,
        key: Function | None = None, grace: Duration | None = None, value_type: Any = None, name: str | None = None,
    ) -> "Stream[K, Any]":
        left, label, value = kind == "left_join", path(self.name, kind, joiner), schema_of(value_type, returned(joiner))
        if isinstance(table, GlobalTable):
            if grace is not None:
                raise TopologyError(f"join with global table {table.name!r}: it has no history to wait for with grace=")
            chosen = key or (lambda own, _: own)
            lookup = join_table.by_chosen_key(table.name, table.spec.topic.key_schema, chosen, f"join {label!r}")
            return self._valued(join_table.join_table(self.node, label, lookup, joiner, value, left=left), label, value)
        if key is not None:
            raise TopologyError(f"join with table {table.name!r}: key= is for global tables; use select_key first")
        placed = self.placed(name, table.key_schema)
        _check_keys(placed, table)
        if left and placed.nulls is not None:
            placed.nulls.kept = True
        source, past = placed.node, table.past
        if grace is not None:
            waiting = name or path(self.name, f"{kind}-{table.name}", joiner)
            source = joins.delayed(placed, table.name, past, grace, waiting, left=left)
        lookup = table.reading if past is None else past.as_of
        return placed._valued(join_table.join_table(source, label, lookup, joiner, value, left=left), label, value)


def _check_keys(stream: Stream[Any, Any], table: "Table[Any, Any]") -> None:
    if stream.key_schema.codec != table.key_schema.codec:
        raise TopologyError(
            f"stream {stream.name!r} writes its keys as {stream.key_schema.codec}, table {table.name!r} as "
            f"{table.key_schema.codec}, so that equal keys may be in different partitions: join behind "
            f".repartition(key_type=...) with the table's key type"
        )


class GroupedStream(Generic[K, V]):
    """A stream grouped by key. Records without a key or a value count for nothing.

    All that is computed from one grouped stream shares one repartition topic. `name=` names tables and internal topics.
    """

    def __init__(self, stream: Stream[K, V], name: str | None) -> None:
        self._stream, self._name = stream, name
        self.name, self.key_schema, self.value_schema = stream.name, stream.key_schema, stream.value_schema

    def stream(self, name: str | None = None, key_schema: Schema[Any] | None = None) -> Stream[K, V]:
        """The records, each in the partition of its group: what an agent or a table follows."""
        return self._stream.placed(self._name or name, key_schema)

    def count(self, name: str | None = None) -> "Table[K, int]":
        """How many records each key has had."""
        source, spec = self._placed(name, "count", None, schema_for(int))
        return self._kept(spec, aggregate.count(source.node, spec))

    def reduce(
        self, reducer: Callable[[V, V], V | Awaitable[V]], name: str | None = None
    ) -> "Table[K, V]":
        """Folds values by `reducer(aggregate, value)`; the first value is the first aggregate. None deletes."""
        source, spec = self._placed(name, "reduce", reducer, self._stream.value_schema)
        return self._kept(spec, aggregate.reduce(source.node, spec, reducer))

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A | Awaitable[A]],
        name: str | None = None,
        *,
        value_type: Any = None,
    ) -> "Table[K, A]":
        """Folds values by `aggregator(key, value, aggregate)`, from what `initializer()` gives. None deletes."""
        value = _aggregate_schema(self.name, initializer, aggregator, value_type)
        source, spec = self._placed(name, "aggregate", aggregator, value)
        return self._kept(spec, aggregate.aggregate(source.node, spec, initializer, aggregator))

    def windowed_by(self, window: Window) -> "WindowedStream[K, V]":
        """Each key's records in windows of event time: Tumbling, Hopping, Sliding, Session, Unlimited, CountWindow."""
        return WindowedStream(self, windowed.checked_window(window, self.name))

    @overload
    def cogroup(
        self, aggregator: Callable[[K, V, A], Awaitable[A]]
    ) -> "CogroupedStream[K, A, Table[K, A], WindowedTable[K, A]]": ...
    @overload
    def cogroup(
        self, aggregator: Callable[[K, V, A], A]
    ) -> "CogroupedStream[K, A, Table[K, A], WindowedTable[K, A]]": ...
    def cogroup(self, aggregator: Function) -> "CogroupedStream[K, Any, Table[K, Any], WindowedTable[K, Any]]":
        """Begins one table of several groups: `.cogroup(other, aggregator)` for each more, then
        `.aggregate(initializer)`, perhaps behind `.windowed_by(window)`. `aggregator(key, value, aggregate)` adds the
        values of its own group.
        """
        return CogroupedStream(Groups(((self, aggregator),)), Tables(kept_table, windowed_table))

    def _kept(self, spec: StoreSpec, node: Node) -> "Table[K, Any]":
        builder = self._stream.builder
        return kept_table(builder, spec, builder.add(node))

    def _placed(
        self, name: str | None, operation: str, function: Function | None, value: Schema[Any]
    ) -> tuple[Stream[K, V], StoreSpec]:
        source = self.stream(name)
        return source, stored(self._stream.builder, name or self.path(operation, function), source.key_schema, value)

    def path(self, operation: str, function: Function | None) -> str:
        """The name of what is aggregated without one."""
        return path(self._name or self.name, operation, function)


def _aggregate_schema(name: str, initializer: Function, aggregator: Function, value_type: Any) -> Schema[Any]:
    """The schema of what an aggregator gives: as declared, else as it or the initializer is annotated."""
    if is_async(initializer):
        raise TopologyError(f"aggregate of {name!r}: the initializer is a plain function, not `async def`")
    inferred = returned(aggregator)
    return schema_of(value_type, returned(initializer) if inferred is Any else inferred)


class WindowedStream(Generic[K, V]):
    """A grouped stream in windows. Each aggregation is a table whose keys are `Windowed(key, start, end)`.

    All take the options of `Options`: `emit="close"` gives one result for each window, once it has closed; `on_late`
    is told of records that came too late; `close_on_idle`, `retention`.
    """

    def __init__(self, grouped: GroupedStream[K, V], window: Window) -> None:
        self._grouped, self.window, self.name = grouped, window, grouped.name

    def count(self, name: str | None = None, **options: Unpack[windowed.Options]) -> "WindowedTable[K, int]":
        """How many records each window has. Records without a value count."""
        return self._table(name, "count", None, schema_for(int), folding.counting, options)

    def reduce(
        self, reducer: Callable[[V, V], V | Awaitable[V]], name: str | None = None, *,
        value_type: Any = None, **options: Unpack[windowed.Options],
    ) -> "WindowedTable[K, V]":
        """Folds values by `reducer(aggregate, value)`; the first value of a window is its first aggregate.

        Sessions that meet become one by `reducer(earlier, later)`.
        """
        value = self._grouped.value_schema if value_type is None else schema_for(value_type)
        return self._table(name, "reduce", reducer, value, lambda full: folding.reducing(full, reducer), options)

    def aggregate(
        self, initializer: Callable[[], A], aggregator: Callable[[K, V, A], A | Awaitable[A]],
        name: str | None = None, *, merger: Callable[[K, A, A], A | Awaitable[A]] | None = None,
        value_type: Any = None, **options: Unpack[windowed.Options],
    ) -> "WindowedTable[K, A]":
        """Folds values by `aggregator(key, value, aggregate)`, from what `initializer()` gives. None deletes.

        Records without a value are folded, too. Sessions that meet become one by `merger(key, one, two)`.
        """
        windowed.check_merger(self.window, self.name, merger)
        value = _aggregate_schema(self.name, initializer, aggregator, value_type)

        def made(full: str) -> folding.Folding:
            return folding.aggregating(full, initializer, aggregator, merger)

        return self._table(name, "aggregate", aggregator, value, made, options)

    def _table(
        self, name: str | None, operation: str, function: Function | None, value: Schema[Any],
        fold: Callable[[str], folding.Folding], options: windowed.Options,
    ) -> "WindowedTable[K, Any]":
        source, full = self._grouped.stream(name), name or self._grouped.path(operation, function)
        spec = windowed.state_of(source.builder, full, self.window, source.key_schema, value, options)
        node = windowed.node_of(source.node, spec, self.window, fold(full), options)
        return windowed_table(source.builder, spec, source.builder.add(node), self.window)


class Table(Windowing[K, V]):
    """A mapping in handlers; in the DSL, a value for each key and the changes of them."""

    window: Window | None = None
    """Where its keys are `Windowed`, of a windowed aggregation: what windows they are."""
    past: joins.Past | None = None
    """Of a versioned table, and of a view of one: what it was."""

    def __init__(
        self,
        builder: TopologyBuilder,
        name: str,
        schemas: tuple[Schema[Any], Schema[Any]],
        changes: Callable[[], Node],
        lookup: Lookup,
        *,
        spec: StoreSpec | None = None,
        default: Callable[[], V] | None = None,
        sealed: str | None = None,
    ) -> None:
        """`changes` makes the node that its changes come from, once somebody follows them. Without `spec` it is a view:
        it has no store, and `lookup` reads through it.
        """
        super().__init__(builder, name, spec, default=default, sealed=sealed)
        self.key_schema, self.value_schema = schemas
        self.reading = lookup
        self._changes = changes

    @cached_property
    def node(self) -> Node:
        """Where its changes come from."""
        return self._changes()

    @cached_property
    def flow(self) -> Node:
        """Where all its changes come from, of a versioned table also those of the past."""
        return self.node if self.past is None else self.past.flow()

    def to_stream(self) -> Stream[K, V]:
        """Its changes: each new value under its key, None where a key was deleted."""
        return Stream(self.builder, self.flow, self.name, self.key_schema, self.value_schema)

    def filter(self, predicate: Callable[[K, V], object], name: str | None = None) -> "Table[K, V]":
        """The entries for which `predicate(key, value)` holds: a view, or a table of its own with `name`."""
        derive = views.filtering(over_columns(predicate, f"filter of table {self.name!r}"))
        return self._view("filter", predicate, name, derive, self.value_schema, reads_keys=True)

    @overload
    def map_values(
        self, function: Callable[[V], Awaitable[V2]], name: str | None = None, *, value_type: Any = None
    ) -> "Table[K, V2]": ...
    @overload
    def map_values(
        self, function: Callable[[V], V2], name: str | None = None, *, value_type: Any = None
    ) -> "Table[K, V2]": ...
    def map_values(self, function: Function, name: str | None = None, *, value_type: Any = None) -> "Table[K, Any]":
        """Each value as `function(value)` gives it: a view, or a table of its own with `name`."""
        derive = views.mapping(over_columns(function, f"map_values of table {self.name!r}"))
        value = schema_of(value_type, returned(function))
        return self._view("map_values", function, name, derive, value, reads_keys=False)

    def _view(
        self,
        kind: str,
        function: Function,
        name: str | None,
        derive: views.Derive,
        value: Schema[Any],
        *,
        reads_keys: bool,
    ) -> "Table[Any, Any]":
        label, waits = name or path(self.name, kind, function), is_async(function)
        spec = None if name is None else stored(self.builder, name, self.key_schema, value)

        def changes(of: Node) -> Node:
            made = views.view(of, label, kind, derive, value, spec, reads_keys=reads_keys, asynchronous=waits)
            return self.builder.add(made)

        def seen(lookup: Lookup) -> Lookup:
            return views.look_through(lookup, derive, reads_keys=reads_keys, asynchronous=waits)

        if spec is not None:
            table = kept_table(self.builder, spec, changes(self.node))
        else:
            schemas, past = (self.key_schema, value), self.past
            table = Table(self.builder, label, schemas, lambda: changes(self.node), seen(self.reading))
            if past is not None:
                table.past = joins.Past(lambda: changes(self.flow), seen(past.as_of), past.retention)
        table.window = self.window
        return table

    # -- joining

    @overload
    def join(
        self, table: "Table[Any, V2]", joiner: Callable[[V, V2], Awaitable[A]], *,
        foreign_key: Callable[[K, V], Any] | None = None, name: str | None = None, value_type: Any = None,
    ) -> "Table[K, A]": ...
    @overload
    def join(
        self, table: "Table[Any, V2]", joiner: Callable[[V, V2], A], *,
        foreign_key: Callable[[K, V], Any] | None = None, name: str | None = None, value_type: Any = None,
    ) -> "Table[K, A]": ...
    def join(
        self, table: "Table[Any, V2]", joiner: Function, *,
        foreign_key: Function | None = None, name: str | None = None, value_type: Any = None,
    ) -> "Table[K, Any]":
        """`joiner(value, other's value)` for the keys that both tables hold, kept up to date from both sides: a view,
        or a table of its own with `name`.

        With `foreign_key(key, value)`: for each entry what the other table holds under the key that it gives, None
        matching nothing; always a table of its own, by way of internal topics called after it.
        """
        return self._joined("join", table, joiner, foreign_key, name, value_type)

    @overload
    def left_join(
        self, table: "Table[Any, V2]", joiner: Callable[[V, V2 | None], Awaitable[A]], *,
        foreign_key: Callable[[K, V], Any] | None = None, name: str | None = None, value_type: Any = None,
    ) -> "Table[K, A]": ...
    @overload
    def left_join(
        self, table: "Table[Any, V2]", joiner: Callable[[V, V2 | None], A], *,
        foreign_key: Callable[[K, V], Any] | None = None, name: str | None = None, value_type: Any = None,
    ) -> "Table[K, A]": ...
    def left_join(
        self, table: "Table[Any, V2]", joiner: Function, *,
        foreign_key: Function | None = None, name: str | None = None, value_type: Any = None,
    ) -> "Table[K, Any]":
        """As `join`, for every key of this table: with None for what the other one does not hold."""
        return self._joined("left_join", table, joiner, foreign_key, name, value_type)

    @overload
    def outer_join(
        self, table: "Table[Any, V2]", joiner: Callable[[V | None, V2 | None], Awaitable[A]], *,
        name: str | None = None, value_type: Any = None,
    ) -> "Table[K, A]": ...
    @overload
    def outer_join(
        self, table: "Table[Any, V2]", joiner: Callable[[V | None, V2 | None], A], *,
        name: str | None = None, value_type: Any = None,
    ) -> "Table[K, A]": ...
    def outer_join(
        self, table: "Table[Any, V2]", joiner: Function, *, name: str | None = None, value_type: Any = None
    ) -> "Table[K, Any]":
        """As `join`, for every key of either table: with None for what one of them does not hold."""
        return self._joined("outer_join", table, joiner, None, name, value_type)

    def _joined(
        self, kind: str, table: "Table[Any, Any]", joiner: Function, foreign_key: Function | None,
        name: str | None, value_type: Any,
    ) -> "Table[K, Any]":
        if not isinstance(table, Table):
            raise TopologyError(f"{kind} of table {self.name!r} with {table!r}: only tables can be joined with tables")
        if foreign_key is None:
            made = self._made(derived.joined(self, table, kind, joiner, name, value_type))
            made.window = derived.common_window(self, table)
            return made
        spec, node = derived.joined_by_foreign_key(self, table, kind, joiner, foreign_key, name, value_type)
        made = kept_table(self.builder, spec, node)
        made.window = self.window
        return made

    def _made(self, made: derived.Made) -> "Table[K, Any]":
        if made.spec is not None:
            return kept_table(self.builder, made.spec, made.changes())
        return Table(self.builder, made.name, (self.key_schema, made.value), made.changes, made.lookup)

    # -- grouping, holding back

    def group_by(
        self,
        selector: Callable[[K, V], tuple[K2, V2] | Awaitable[tuple[K2, V2] | None] | None],
        *,
        name: str | None = None,
        key_type: Any = None,
        value_type: Any = None,
    ) -> "GroupedTable[K2, V2]":
        """Groups entries by the (key, value) that `selector(key, value)` gives, or None for no group, through a
        repartition topic (called `name`). When an entry changes, it leaves its group and enters the other one.
        """
        return GroupedTable(self.builder, derived.Regrouped(self, selector, name, key_type, value_type))

    def suppress(self, until: Until, name: str | None = None) -> "Table[K, V]":
        """Its changes held back, `until_window_closes()` or `until_time_limit(...)`. `name`: of what waits."""
        made = self._made(derived.suppressed(self, until, name))
        made.window = self.window
        return made


class GroupedTable(Generic[K, V]):
    """A table's entries in groups. Each aggregation is a table that follows them: of an entry that changes, what it was
    is subtracted before what it is is added.
    """

    def __init__(self, builder: TopologyBuilder, regrouped: derived.Regrouped) -> None:
        self.builder, self.name, self._regrouped = builder, regrouped.name, regrouped

    def count(self, name: str | None = None) -> Table[K, int]:
        """How many entries each group has: 0 for one that had some."""
        return self._table("count", None, name, schema_for(int), regroup.counting)

    def reduce(
        self, adder: Callable[[V, V], V | Awaitable[V]], subtractor: Callable[[V, V], V | Awaitable[V]],
        name: str | None = None,
    ) -> Table[K, V]:
        """Folds values by `adder(aggregate, value)`, and back by `subtractor(aggregate, value)`; the first value of a
        group is its first aggregate.
        """
        value = self._regrouped.value_schema
        return self._table("reduce", adder, name, value, lambda full: regroup.reducing(full, adder, subtractor))

    def aggregate(
        self, initializer: Callable[[], A], adder: Callable[[K, V, A], A | Awaitable[A]],
        subtractor: Callable[[K, V, A], A | Awaitable[A]], name: str | None = None, *, value_type: Any = None,
    ) -> Table[K, A]:
        """Folds values by `adder(key, value, aggregate)`, from what `initializer()` gives, and back by
        `subtractor(key, value, aggregate)`. None deletes.
        """
        value = _aggregate_schema(self.name, initializer, adder, value_type)
        return self._table(
            "aggregate", adder, name, value, lambda full: regroup.aggregating(full, initializer, adder, subtractor)
        )

    def _table(
        self, operation: str, function: Function | None, name: str | None, value: Schema[Any],
        how: Callable[[str], regroup.Revising],
    ) -> Table[K, Any]:
        return kept_table(self.builder, *self._regrouped.revised(operation, function, name, value, how))


class VersionedTable(Table[K, V]):
    """A table that keeps what each key held, and when, for as long as it was told to; the latest value for ever.

    Of what comes out of order each takes the place that its time gives it. As a mapping it is the latest values.
    """

    @property
    def beside(self) -> tuple[str, ...]:
        """The tables that are kept with it: an agent that names it has them, too."""
        return (joins.history_of(self.name),)

    def at(self, key: K, timestamp: int) -> V | None:
        """In a handler: what a key held at a time, in ms; None for nothing, or if that is no longer known."""
        raw, versions = self._versions(key)
        value: V | None = versions.at(raw, timestamp)
        return value

    def versions(self, key: K) -> list[WindowValue[V]]:
        """In a handler: what a key held before its latest value, and from when to when, oldest first."""
        raw, versions = self._versions(key)
        return [WindowValue(*row) for row in versions.replaced(raw)]

    async def lookup(self, key: K, *, at: int | None = None) -> V | None:
        """The latest value, or what the key held at a time in ms, from whichever worker owns the key."""
        if at is None:
            return await super().lookup(key)
        runtime = self.builder.link.get(f"table {self.name!r}")
        latest = await runtime.dated(self.name, key)
        if latest is not None and latest[1] <= at:
            value: V = latest[0]
            return value
        replaced: list[WindowValue[V]] = await runtime.windows(self.beside[0], key, None, at + 1)
        return next((version.value for version in reversed(replaced) if version.end > at), None)

    def _versions(self, key: K) -> tuple[bytes, Versions]:
        state, states = self._state(), current_context().states
        return state.encode_key(key), versioned.versions_of(states, state.spec, states[self.beside[0]].spec)


class WindowedTable(Table[Windowed[K], V]):
    """What windows hold. In a handler `t[Windowed(key, start, end)]` is one of them, `t.windows(key)` all of a key.

    Windows are kept as long as they take records, and for the `retention` that was asked for.
    """

    def __getitem__(self, key: Windowed[K]) -> V:
        value: V | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: Windowed[K], /, default: Any = None) -> Any:
        found = self.windows(key.key, key.start, key.start + 1)
        return next((row.value for row in found if row.end == key.end), default)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, Windowed) and self.get(key) is not None

    def windows(self, key: K, from_: int | None = None, to: int | None = None) -> list[WindowValue[V]]:
        """In a handler: the windows of a key that begin at from_ <= ms < to, oldest first."""
        state = self._state()
        found = state.spec.layout.windows(state.logged, state.encode_key(key), from_, to)
        return [WindowValue(*row) for row in found]

    async def lookup_windows(self, key: K, from_: int | None = None, to: int | None = None) -> list[WindowValue[V]]:
        """As `windows`, from anywhere: the worker that owns the key is asked."""
        return await self.builder.link.get(f"table {self.name!r}").windows(self.name, key, from_, to)

    async def lookup(self, key: Windowed[K]) -> V | None:
        """What one window holds, from whichever worker owns the key."""
        found = await self.lookup_windows(key.key, key.start, key.start + 1)
        return next((row.value for row in found if row.end == key.end), None)

    def _partitions(self) -> list[Any]:
        raise UsageError(f"table {self.name!r} holds windows: ask for those of a key, .windows(key)")


AnyTable = Table[Any, V2] | GlobalTable[Any, V2]
"""What a stream can look records up in."""


def kept_table(
    builder: TopologyBuilder, spec: StoreSpec, node: Node, default: Callable[[], Any] | None = None
) -> Table[Any, Any]:
    """The table that an operator keeps in a store."""
    return Table(
        builder,
        spec.name,
        (spec.key_schema, spec.value_schema),
        lambda: node,
        join_table.by_row_key(spec),
        spec=spec,
        default=default,
        sealed="the topology keeps it; write to what it is made from",
    )


def versioned_table(
    builder: TopologyBuilder, parts: joins.VersionedParts, default: Callable[[], Any] | None = None
) -> VersionedTable[Any, Any]:
    """The table that an operator keeps in a store, with its history in another."""
    spec = parts.spec
    table: VersionedTable[Any, Any] = VersionedTable(
        builder,
        spec.name,
        (spec.key_schema, spec.value_schema),
        lambda: builder.add(versioned.latest_changes(parts.node, spec.name)),
        join_table.by_row_key(spec),
        spec=spec,
        default=default,
        sealed="the topology keeps it; write to what it is made from",
    )
    table.past = parts.past
    return table


def windowed_table(
    builder: TopologyBuilder, spec: StoreSpec, node: Node, window: Window
) -> WindowedTable[Any, Any]:
    """The table of windows that an operator keeps in a store."""
    assert spec.layout is not None, "it says how windows lie in the store"
    table: WindowedTable[Any, Any] = WindowedTable(
        builder,
        spec.name,
        (windowed_around(spec.key_schema), spec.layout.value_schema),
        lambda: node,
        window_lookup.by_window(spec),
        spec=spec,
        sealed="the topology keeps it; write to what it is made from",
    )
    table.window = window
    return table
