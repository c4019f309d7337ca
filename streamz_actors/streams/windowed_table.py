"""Tables of windows that handlers write, as they are declared and used: `t[k] += 1`, `t[k].current()`, `.delta(60)`."""

import operator
from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Self, TypeVar, cast

from streamz_actors.dataflow.context import Context, current, event_of
from streamz_actors.dataflow.late import late_row
from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import NotInHandler, TopologyError, UsageError
from streamz_actors.operators import routes
from streamz_actors.serde.schema import Schema, schema_for, windowed_around
from streamz_actors.streams.arrangement import arrangement_of
from streamz_actors.streams.mapped import Mapped, default_factory
from streamz_actors.streams.stores import stored
from streamz_actors.tables.aligned import Aligned
from streamz_actors.tables.spans import SPANS, Sessions, SlidingWindows
from streamz_actors.tables.windowed import WindowState
from streamz_actors.types import Windowed, WindowValue
from streamz_actors.windows.definitions import Duration, Hopping, Session, Sliding, Tumbling, milliseconds

K = TypeVar("K")
V = TypeVar("V")

KEPT: Final = timedelta(days=1)
"""How long a window can be read after its end, where nothing is said."""

WrittenWindow = Tumbling | Hopping | Session | Sliding
OnClose = Callable[[Windowed[Any], Any], object]
Moment = int | datetime
"""Ms since the epoch, or a datetime."""


def declare_windows(
    builder: TopologyBuilder,
    name: str,
    schemas: tuple[Schema[Any], Schema[Any]],
    window: WrittenWindow,
    *,
    default: Callable[[], Any] | None,
    expires: Duration | None = None,
    on_window_close: OnClose | None = None,
    merger: Callable[[Any, Any], Any] | None = None,
    **options: Any,
) -> "WindowTable[Any, Any]":
    """`expires`: how long a window can be read after its end. Options are those of `stored`."""
    kept = milliseconds(KEPT if expires is None else expires, "expires")
    if merger is not None and not isinstance(window, Session):
        raise TopologyError(f"table {name!r}: {window!r} windows never merge: merger= is for sessions")
    layout: Aligned | Sessions | SlidingWindows
    match window:
        case Tumbling() | Hopping():
            layout = Aligned(window, schemas[1], kept, on_window_close)
        case Session():
            layout = Sessions(window, schemas[1], kept, on_window_close, merger or operator.add)
        case Sliding():
            layout = SlidingWindows(window, schemas[1], kept, on_window_close)
        case _:
            raise TopologyError(f"table {name!r}: {window!r} is none of Tumbling, Hopping, Session and Sliding")
    value = schemas[1] if isinstance(layout, Aligned) else SPANS
    arrangement = arrangement_of(window, layout.retention)
    spec = stored(
        builder, name, schemas[0], value,
        retention=layout.retention, kind="windowed", layout=layout, arrangement=arrangement, **options,
    )
    return WindowTable(builder, spec, default)


def named_windows(
    builder: TopologyBuilder,
    name: str,
    window: WrittenWindow,
    *,
    key_type: Any = None,
    value_type: Any = None,
    default: Any = None,
    codec: str | None = None,
    allow_pickle: bool = False,
    **options: Any,
) -> "WindowTable[Any, Any]":
    """Without `value_type` a `default` that is a class stands for it. Options are those of `declare_windows`."""
    if value_type is None and isinstance(default, type):
        value_type = default
    schemas = schema_for(key_type, key=True), schema_for(value_type, codec, allow_pickle=allow_pickle)
    return declare_windows(builder, name, schemas, window, default=default_factory(name, default), **options)


def with_windows(
    builder: TopologyBuilder, spec: StoreSpec, default: Callable[[], Any] | None, window: WrittenWindow, **options: Any
) -> "WindowTable[Any, Any]":
    """In place of a table that has just been declared, and that handlers write, one of windows."""
    builder.retract(spec)
    return declare_windows(
        builder,
        spec.name,
        (spec.key_schema, spec.value_schema),
        window,
        default=default,
        changelog=spec.changelog is not None,
        partitions=spec.partitions,
        per_partition=spec.per_partition,
        standby_replicas=spec.standby_replicas,
        **options,
    )


class WindowTable(Mapped[K, "WindowSet[V]"]):
    """In a handler `t[k]` are the windows of a key, `t[k] += 1` and `t[k] = v` write those that hold the current time.

    That is the event's time, or what `relative_to_now` and `relative_to_field` make of it.
    """

    def __init__(self, builder: TopologyBuilder, spec: StoreSpec, default: Callable[[], V] | None) -> None:
        super().__init__(builder, spec.name, spec)
        self._make = default
        self._time: Callable[[Context], int] = _event_time

    # -- what time it is

    def relative_to_stream(self) -> Self:
        """The same table; its current time is the event's (the default)."""
        return self._timed(_event_time)

    def relative_to_now(self) -> Self:
        """The same table; its current time is the wall clock's."""
        return self._timed(lambda _: self.now())

    def relative_to_field(self, field: str | Callable[[Any], Moment]) -> Self:
        """The same table; its current time is what the event's value has in a field: ms or a datetime."""
        read = field if callable(field) else _reader(field)
        return self._timed(lambda context: moment(read(event_of(_batch(context), context.index).value)))

    def _timed(self, time: Callable[[Context], int]) -> Self:
        view = copy(self)
        view._time = time
        return view

    def now(self) -> int:
        """The wall clock, in ms."""
        return self.builder.link.get(f"table {self.name!r}").clock.now()

    # -- in a handler

    def __getitem__(self, key: K) -> "WindowSet[V]":
        state = cast("WindowState", self._state())
        context = cast("Context", current.get())
        time = self._time(context)
        state.observe(time)
        return WindowSet(state, context, key, time, self._make, self.now)

    def __setitem__(self, key: K, value: "WindowSet[V] | V | None") -> None:
        if isinstance(value, WindowSet):  # what `t[k] += 1` ends with: it has been written
            return
        self[key].apply(lambda _: value)

    def __delitem__(self, key: K) -> None:
        self[key] = None

    def __contains__(self, key: object) -> bool:
        """Whether the key's current window has a value."""
        return self[cast("K", key)].stored() is not None

    def get(self, key: K, /, default: Any = None) -> Any:
        """The windows of a key: there are always some, if none with a value."""
        return self[key]

    def windows(self, key: K, from_: Moment | None = None, to: Moment | None = None) -> list[WindowValue[V]]:
        """In a handler: the windows of a key that begin at from_ <= time < to and are still kept, oldest first."""
        return self[key].windows(from_, to)

    # -- in the DSL

    def changes(self) -> tuple[Node, Schema[Any], Schema[Any]]:
        """Where its changes come from, and their types: keys are `Windowed`. Raises TopologyError where windows merge
        or overlap as records have it: their changes are not kept apart.
        """
        spec = self.spec
        if spec is None or not isinstance(spec.layout, Aligned):
            raise TopologyError(f"table {self.name!r}: of sessions and sliding windows, windowed_by(...) gives changes")
        return self.builder.add(routes.changes(spec)), windowed_around(spec.key_schema), spec.value_schema

    # -- from anywhere

    async def lookup_windows(
        self, key: K, from_: Moment | None = None, to: Moment | None = None
    ) -> list[WindowValue[V]]:
        """As `windows`, from anywhere: the worker that owns the key is asked."""
        runtime = self.builder.link.get(f"table {self.name!r}")
        return await runtime.windows(self.name, key, _moment(from_), _moment(to))

    async def lookup(self, key: K) -> Any:
        """Raises UsageError: a key has many values here."""
        raise UsageError(f"table {self.name!r} holds windows: use lookup_windows(key)")

    def _partitions(self) -> list[Any]:
        raise UsageError(f"table {self.name!r} holds windows: ask for those of a key, t[key].windows()")


class WindowSet(Generic[V]):
    """The windows of one key, at one event. What has no value has the table's default, else None (V says so then)."""

    def __init__(
        self,
        state: WindowState,
        context: Context,
        key: Any,
        time: int,
        default: Callable[[], V] | None,
        now: Callable[[], int],
    ) -> None:
        self._state, self._context, self._key, self._at = state, context, key, time
        self._default, self._now = default, now

    def __repr__(self) -> str:
        return f"<windows of {self._key!r} in table {self._state.spec.name!r}>"

    # -- reading

    def current(self) -> V:
        """Of the window that holds the current time; where several do, of the oldest. A sliding window ends there."""
        return self._or_default(self.stored())

    def now(self) -> V:
        """Of the window that holds the wall clock's time."""
        return self.at(self._now())

    def delta(self, ago: Duration) -> V:
        """Of the window that held the time `ago` (seconds or timedelta) before the current."""
        return self.at(self._at - milliseconds(ago, "delta"))

    def at(self, time: Moment) -> V:
        """Of the window that holds a time."""
        return self._or_default(self._state.value_at(self._key, moment(time)))

    def windows(self, from_: Moment | None = None, to: Moment | None = None) -> list[WindowValue[V]]:
        """All that begin at from_ <= time < to and are still kept, oldest first."""
        layout, raw = self._state.spec.layout, self._state.encode_key(self._key)
        assert layout is not None, "its table has windows"
        return [WindowValue(*row) for row in layout.windows(self._state.logged, raw, _moment(from_), _moment(to))]

    def stored(self) -> V | None:
        """As `current`, without the default."""
        value: V | None = self._state.value_at(self._key, self._at)
        return value

    def _or_default(self, value: V | None) -> V:
        return self._default() if value is None and self._default is not None else cast("V", value)

    # -- writing

    def apply(self, change: Callable[[Any], Any]) -> Self:
        """Gives each window that holds the current time the value that `change(value)` makes of its own; None deletes.

        Too late for one, it leaves that as it is, and is reported.
        """
        context = self._context
        late = self._state.update(context, self._key, self._at, lambda value: change(self._or_default(value)))
        for window in late:
            what = f"table {self._state.spec.name!r}"
            context.late(late_row(what, _batch(context), context.index, self._state.moment, window))
        return self

    def _by(self, function: Callable[[Any, Any], Any], other: Any) -> Self:
        return self.apply(lambda value: function(value, other))

    def __iadd__(self, other: Any) -> Self:
        return self._by(operator.iadd, other)

    def __isub__(self, other: Any) -> Self:
        return self._by(operator.isub, other)

    def __imul__(self, other: Any) -> Self:
        return self._by(operator.imul, other)

    def __itruediv__(self, other: Any) -> Self:
        return self._by(operator.itruediv, other)

    def __ifloordiv__(self, other: Any) -> Self:
        return self._by(operator.ifloordiv, other)

    def __imod__(self, other: Any) -> Self:
        return self._by(operator.imod, other)

    def __iand__(self, other: Any) -> Self:
        return self._by(operator.iand, other)

    def __ior__(self, other: Any) -> Self:
        return self._by(operator.ior, other)

    def __ixor__(self, other: Any) -> Self:
        return self._by(operator.ixor, other)


def moment(time: Moment) -> int:
    """In ms."""
    return round(time.timestamp() * 1000) if isinstance(time, datetime) else int(time)


def _moment(time: Moment | None) -> int | None:
    return None if time is None else moment(time)


def _event_time(context: Context) -> int:
    return context.timestamp


def _batch(context: Context) -> Any:
    if context.batch is None:
        raise NotInHandler(f"{context.name} has no current event")
    return context.batch


def _reader(field: str) -> Callable[[Any], Moment]:
    def read(value: Any) -> Moment:
        found: Moment = value[field] if isinstance(value, dict) else getattr(value, field)
        return found

    return read


class Windowing(Mapped[K, V]):
    """What makes a table that handlers write one of windows."""

    def tumbling(
        self, size: Duration, expires: Duration | None = None, *, grace: Duration = 0,
        on_window_close: OnClose | None = None,
    ) -> "WindowTable[K, V]":
        """This table with windows of event time in place of single values: `t[k] += 1` in a handler counts in the
        window of its event. To be said before the table is used.

        `expires`: how long a window can be read after its end (default: a day), and so long it takes writes. With
        `on_window_close(Windowed(key, start, end), value)` it takes them for `grace` only, and is then told of.
        """
        return self._with_windows(Tumbling(size, grace), expires=expires, on_window_close=on_window_close)

    def hopping(
        self, size: Duration, advance: Duration, expires: Duration | None = None, *, grace: Duration = 0,
        on_window_close: OnClose | None = None,
    ) -> "WindowTable[K, V]":
        """As `tumbling`, with a window at every multiple of `advance`: a write goes to all that hold its time."""
        return self._with_windows(Hopping(size, advance, grace), expires=expires, on_window_close=on_window_close)

    def session(
        self, gap: Duration, expires: Duration | None = None, *, grace: Duration = 0,
        on_window_close: OnClose | None = None, merger: Callable[[V, V], V] | None = None,
    ) -> "WindowTable[K, V]":
        """As `tumbling`, with windows that end where nothing is written for longer than `gap`. Those that meet become
        one, with the value `merger(earlier, later)` (default: their sum).
        """
        return self._with_windows(
            Session(gap, grace), expires=expires, on_window_close=on_window_close, merger=merger
        )

    def sliding(
        self, size: Duration, expires: Duration | None = None, *, grace: Duration = 0,
        on_window_close: OnClose | None = None,
    ) -> "WindowTable[K, V]":
        """As `tumbling`, with a window for each set of writes that lie at most `size` apart; the current one ends at
        the current time.
        """
        return self._with_windows(Sliding(size, grace), expires=expires, on_window_close=on_window_close)

    def _with_windows(self, window: WrittenWindow, **options: Any) -> "WindowTable[K, V]":
        if self.spec is None or self.spec.source or self._sealed is not None:
            raise TopologyError(f"table {self.name!r} is not written by handlers: use windowed_by(...)")
        self._sealed = "it has windows: use the table that .tumbling(...) and its like gave"
        return with_windows(self.builder, self.spec, self._default, window, **options)
