"""Aggregations in windows: for each kind of window, how its state lies in a store and which operator keeps it.

What users call stands in `stream` (`WindowedStream`), which gives tables; here is what it makes nodes and stores with.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypedDict

from streamz_actors.aggregation.count_windows import count_state, count_windows
from streamz_actors.aggregation.folding import Folding
from streamz_actors.aggregation.sessions import session, session_state
from streamz_actors.aggregation.sliding_windows import sliding, sliding_state
from streamz_actors.aggregation.time_windows import time_state, time_windows, unlimited_state
from streamz_actors.dataflow.lateness import OnLate
from streamz_actors.dataflow.node import Layout, Node, StoreSpec
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import TopologyError
from streamz_actors.serde.schema import Schema
from streamz_actors.streams.arrangement import arrangement_of
from streamz_actors.streams.stores import stored
from streamz_actors.windows.definitions import (
    CountWindow,
    Duration,
    Hopping,
    Session,
    Sliding,
    Tumbling,
    Unlimited,
    Window,
    milliseconds,
)

KIND = "windowed"
"""The kind of a table that holds windows."""


class Options(TypedDict, total=False):
    """What every windowed aggregation may be given.

    `emit`: "update" (each change, the default) or "close" (one result for a window, when it has closed). `on_late`: a
    function that is called with a `Late`, or a topic that late records go to. `close_on_idle`, with emit="close":
    seconds of the wall clock without a record, after which all windows close. `retention`: how long windows can be
    looked up, in seconds, where that is to be longer than they take records.
    """

    emit: Literal["update", "close"]
    on_late: OnLate
    close_on_idle: Duration | None
    retention: Duration | None


class State(NamedTuple):
    """The schema of what is stored, how it lies there, and how long it is kept; ms, None: for ever."""

    schema: Schema[Any]
    layout: Layout
    retention: int | None


class MakeState(Protocol):
    def __call__(self, window: Any, value: Schema[Any], retention: int, /) -> tuple[Schema[Any], Layout, int | None]:
        """`retention`: what the user asks for, in ms; 0: no more than the window needs."""
        ...


class MakeNode(Protocol):
    def __call__(
        self, parent: Node, spec: StoreSpec, window: Any, folding: Folding, /, *,
        emit: str, on_late: OnLate, close_on_idle: int | None,
    ) -> Node:
        """`close_on_idle` is in ms."""
        ...


class Kind(NamedTuple):
    state: MakeState
    node: MakeNode
    closes: bool = True
    """Whether emit="close" means anything."""


KINDS: Mapping[type, Kind] = {
    Tumbling: Kind(time_state, time_windows),
    Hopping: Kind(time_state, time_windows),
    Unlimited: Kind(unlimited_state, time_windows, closes=False),
    CountWindow: Kind(count_state, count_windows),
    Sliding: Kind(sliding_state, sliding),
    Session: Kind(session_state, session),
}


def checked_window(window: Any, what: str) -> Window:
    """Raises TopologyError for what is no window."""
    if type(window) not in KINDS:
        raise TopologyError(f"windowed_by of {what}: {window!r} is no window: pass Tumbling, Hopping or another")
    return window  # type: ignore[no-any-return]  # its type is one of those


def state_of(
    builder: TopologyBuilder, name: str, window: Window, key: Schema[Any], value: Schema[Any], options: Options
) -> StoreSpec:
    """The store of a windowed aggregation whose results are of `value`."""
    asked = options.get("retention")
    given = 0 if asked is None else milliseconds(asked, "retention")
    if options.get("emit") == "close" and isinstance(window, Tumbling | Hopping):
        # As in Kafka Streams: so that what has just closed can still be joined.
        given = max(given, window.retention + 1)
    schema, layout, retention = KINDS[type(window)].state(window, value, given)
    arrangement = arrangement_of(window, retention)
    return stored(
        builder, name, key, schema, retention=retention, kind=KIND, layout=layout, arrangement=arrangement
    )


def node_of(parent: Node, spec: StoreSpec, window: Window, folding: Folding, options: Options) -> Node:
    """The operator that keeps it. Raises TopologyError for options that do not fit."""
    kind, what = KINDS[type(window)], folding.what
    emit, idle = options.get("emit", "update"), options.get("close_on_idle")
    if emit not in ("update", "close"):
        raise TopologyError(f'{what}: emit={emit!r}: "update" or "close" is wanted')
    if emit == "close" and not kind.closes:
        raise TopologyError(f'{what}: a window of {window!r} never closes: emit="close" would give nothing')
    if idle is not None and emit != "close":
        raise TopologyError(f'{what}: close_on_idle= is for emit="close": with updates each result has left already')
    return kind.node(
        parent,
        spec,
        window,
        folding,
        emit=emit,
        on_late=options.get("on_late"),
        close_on_idle=None if idle is None else milliseconds(idle, "close_on_idle", least=1),
    )


def check_merger(window: Window, what: str, merger: object) -> None:
    """Raises TopologyError where there is none and windows may merge, and where there is one for nothing."""
    merges = isinstance(window, Session)
    if merges and merger is None:
        raise TopologyError(f"aggregate of {what!r}: sessions that meet become one: pass merger=(key, one, two) → one")
    if merger is not None and not merges:
        raise TopologyError(f"aggregate of {what!r}: {window!r} windows never merge: merger= is for sessions")
