"""Groups of several streams that are aggregated into one table, each by an aggregator of its own."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, Protocol, TypedDict, TypeVar, Unpack

from streamz_actors.aggregation import cogroup
from streamz_actors.aggregation.folding import Folding, aggregating
from streamz_actors.dataflow.lateness import OnLate
from streamz_actors.dataflow.node import Node, StoreSpec, is_async
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import TopologyError
from streamz_actors.operators import aggregate
from streamz_actors.serde.schema import Schema
from streamz_actors.streams import windowed
from streamz_actors.streams.flow import Flow
from streamz_actors.streams.inference import returned, schema_of
from streamz_actors.streams.naming import path
from streamz_actors.streams.stores import stored
from streamz_actors.windows.definitions import CountWindow, Duration, Session, Sliding, Unlimited, Window

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")
T = TypeVar("T")
W = TypeVar("W")

Function = Callable[..., Any]


class Options(TypedDict, total=False):
    """What a windowed aggregation of groups may be given: see `windowed.Options`. Each change leaves at once; for one
    result of each window use `suppress`.
    """

    on_late: OnLate
    retention: Duration | None


class Grouped(Protocol[K, V]):
    """A grouped stream, as far as it matters here."""

    @property
    def name(self) -> str: ...

    @property
    def key_schema(self) -> Schema[Any]: ...

    def stream(self, name: str | None = None, key_schema: Schema[Any] | None = None) -> Flow[K, V]: ...


class Tables(NamedTuple, Generic[T, W]):
    """Makes the tables that results are."""

    plain: Callable[[TopologyBuilder, StoreSpec, Node], T]
    windowed: Callable[[TopologyBuilder, StoreSpec, Node, Window], W]


class Groups:
    """The groups with their aggregators, in the order in which they were named."""

    def __init__(self, groups: tuple[tuple[Grouped[Any, Any], Function], ...]) -> None:
        self.groups = groups
        self.adders = [adder for _, adder in groups]
        self.name = "-cogroup-".join(grouped.name for grouped, _ in groups)

    def and_(self, grouped: Grouped[Any, Any], adder: Function) -> "Groups":
        return Groups((*self.groups, (grouped, adder)))

    def placed(self, name: str | None) -> list[Flow[Any, Any]]:
        """The streams, each record in the partition of its key, equal keys in the same. `name`: of the table."""
        first = self.groups[0][0].key_schema
        flows = []
        for grouped, _ in self.groups:
            flow = grouped.stream(None if name is None else path(name, grouped.name), first)
            if flow.key_schema.codec != first.codec:
                raise TopologyError(
                    f"cogroup of {self.name!r}: {grouped.name!r} writes its keys as {flow.key_schema.codec}, "
                    f"{self.groups[0][0].name!r} as {first.codec}, so that equal keys may be in different partitions: "
                    f"group behind .repartition(key_type=...) with one key type for all"
                )
            flows.append(flow)
        return flows

    def value(self, initializer: Function, value_type: Any) -> Schema[Any]:
        """The schema of the aggregate: as declared, else as an aggregator or the initializer is annotated."""
        if is_async(initializer):
            raise TopologyError(f"aggregate of {self.name!r}: the initializer is a plain function, not `async def`")
        known = [told for function in (*self.adders, initializer) if (told := returned(function)) is not Any]
        return schema_of(value_type, known[0] if known else Any)


class CogroupedStream(Generic[K, A, T, W]):
    """Groups on their way into one table. Aggregators take (key, value, aggregate)."""

    def __init__(self, groups: Groups, tables: Tables[T, W]) -> None:
        self._groups, self._tables = groups, tables

    def cogroup(
        self, grouped: Grouped[K, V], aggregator: Callable[[K, V, A], A | Awaitable[A]]
    ) -> "CogroupedStream[K, A, T, W]":
        """With another group, whose values `aggregator(key, value, aggregate)` adds."""
        return CogroupedStream(self._groups.and_(grouped, aggregator), self._tables)

    def windowed_by(self, window: Window) -> "WindowedCogroupedStream[K, A, T, W]":
        """The groups in windows of event time: Tumbling, Hopping, Sliding, Session."""
        checked = windowed.checked_window(window, self._groups.name)
        if isinstance(checked, CountWindow | Unlimited):
            raise TopologyError(
                f"cogroup of {self._groups.name!r}: {window!r} is not for several groups; pass Tumbling, Hopping, "
                f"Sliding or Session"
            )
        return WindowedCogroupedStream(self._groups, self._tables, checked)

    def aggregate(self, initializer: Callable[[], A], name: str | None = None, *, value_type: Any = None) -> T:
        """Folds the values of each key, from whatever group, from what `initializer()` gives. None deletes.

        Records without a key or a value count for nothing.
        """
        groups = self._groups
        value, flows, full = groups.value(initializer, value_type), groups.placed(name), name or _path(groups)
        builder = flows[0].builder
        spec = stored(builder, full, flows[0].key_schema, value)
        parts = [
            cogroup.parted(aggregate.aggregate(flow.node, spec, initializer, adder))
            for flow, adder in zip(flows, groups.adders, strict=True)
        ]
        return self._tables.plain(builder, spec, _together(builder, parts, full))


class WindowedCogroupedStream(Generic[K, A, T, W]):
    """Groups in windows, on their way into one table."""

    def __init__(self, groups: Groups, tables: Tables[T, W], window: Window) -> None:
        self._groups, self._tables, self._window = groups, tables, window

    def aggregate(
        self,
        initializer: Callable[[], A],
        name: str | None = None,
        *,
        merger: Callable[[K, A, A], A | Awaitable[A]] | None = None,
        value_type: Any = None,
        **options: Unpack[Options],
    ) -> W:
        """Folds the values of each window, from whatever group, from what `initializer()` gives. None deletes.

        Sessions that meet become one by `merger(key, one, two)`. `on_late` and `retention` as in `windowed.Options`.
        """
        groups, window = self._groups, self._window
        windowed.check_merger(window, groups.name, merger)
        value, flows, full = groups.value(initializer, value_type), groups.placed(name), name or _path(groups)
        builder, late = flows[0].builder, options.get("on_late")
        spec = windowed.state_of(
            builder, full, window, flows[0].key_schema, value, {"retention": options.get("retention")}
        )
        foldings = [aggregating(full, initializer, adder, merger) for adder in groups.adders]
        parts = _parts(tuple(flow.node for flow in flows), spec, window, foldings, late)
        return self._tables.windowed(builder, spec, _together(builder, parts, full), window)


def _parts(
    parents: tuple[Node, ...], spec: StoreSpec, window: Window, foldings: list[Folding], on_late: OnLate
) -> list[Node]:
    if isinstance(window, Session | Sliding):
        return cogroup.spans_parts(parents, spec, window, foldings, on_late)
    assert not isinstance(window, CountWindow | Unlimited), "windowed_by has seen to it"
    return cogroup.time_parts(parents, spec, window, foldings, on_late)


def _together(builder: TopologyBuilder, parts: list[Node], name: str) -> Node:
    for part in parts:
        builder.add(part)
    return builder.add(cogroup.together(tuple(parts), name))


def _path(groups: Groups) -> str:
    return path(groups.name, "aggregate")
