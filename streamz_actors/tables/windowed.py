"""Tables of windows that handlers write: one partition of one, at run time.

A write goes to every window that holds its time; a window takes writes until it is closed, and can be read until it has
expired. Both are judged by the highest time at which a handler has used the table in this partition: it is kept with
the windows, and survives a restart.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Protocol, runtime_checkable

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Context
from streamz_actors.dataflow.node import StoreSpec, WindowRow
from streamz_actors.serde.schema import Schema, windowed_around
from streamz_actors.serde.windowed import bounds
from streamz_actors.stores.abc import Store
from streamz_actors.stores.logged import Held, LoggedStore
from streamz_actors.stores.segments import key_of, time_of
from streamz_actors.tables.mapping import State
from streamz_actors.types import Windowed

Change = Callable[[Any], Any]
"""The new value of a window for its old one; None for none, in both."""

Bounds = tuple[int, int]
"""Start and end of a window, in ms."""


@dataclass(slots=True)
class Effects:
    """What one change does: `undo` gets each write to the store, as key, what was there, what is there now."""

    undo: Callable[[bytes, Held, Held], None]
    opened: list[Bounds] = field(default_factory=list)
    """Windows that were not there before."""
    late: list[Bounds] = field(default_factory=list)
    """Windows that should have been changed, and were closed."""


@runtime_checkable
class WindowLayout(Protocol):
    """How the windows of one table lie in its store, and what a write does to them. Times are in ms."""

    value_schema: Schema[Any]
    """Of a window's value."""
    on_close: Callable[[Windowed[Any], Any], object] | None
    """Called with key and value of a window that has closed. Without it, a window takes writes while it is kept."""
    size: int
    """Of the windows; of sessions 0, for they have none."""

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[WindowRow]:
        """The windows of an encoded key that begin at start <= ms < stop and are still kept, oldest first."""
        ...

    def at(self, logged: LoggedStore, raw: bytes, time: int, moment: int) -> Any:
        """The value of the window that stands for a time; None if there is none."""
        ...

    def change(
        self, logged: LoggedStore, raw: bytes, time: int, moment: int, change: Change, effects: Effects
    ) -> None:
        """Changes every window that holds a time and is not closed."""
        ...

    def expire(self, logged: LoggedStore, moment: int) -> None:
        """Lets go of what is no longer kept."""
        ...

    def closes(self, start: int, end: int) -> int:
        """The earliest time at which a window is closed."""
        ...

    def all(self, logged: LoggedStore) -> list[tuple[bytes, int, int]]:
        """Encoded keys and bounds of all windows: asked for once, after a restart."""
        ...


class WindowState(State):
    """One table of windows in one task."""

    def __init__(
        self,
        spec: StoreSpec,
        store: Store,
        partition: int,
        partitions: int,
        layout: WindowLayout,
        *,
        followed: bool = False,
    ) -> None:
        super().__init__(spec, store, partition, partitions, followed=followed)
        self._layout = layout
        self._moment: int | None = None
        self._telling = False
        """Whether somebody is being told of a window that closes: what he does here moves no time."""
        self._open: list[tuple[int, bytes, int, int]] | None = None
        """A heap of windows by the time at which they are closed. Made when it is needed first: not before the store
        has been restored.
        """

    @property
    def moment(self) -> int:
        if self._moment is None:
            self._moment = self.logged.moment
        return self._moment

    def value_at(self, key: Any, time: int) -> Any:
        """The value of a key's window that stands for a time; None if there is none."""
        return self._layout.at(self.logged, self.encode_key(key), time, self.moment)

    # -- time

    def observe(self, time: int) -> None:
        """A handler uses the table at a time: windows that close are told, those that expire go."""
        if time <= self.moment or self._telling:
            return
        self._telling = True
        try:
            self._close(time)  # by what is still kept at the time before
        finally:
            self._telling = False
        self._moment = time
        self.logged.note(time)
        self._layout.expire(self.logged, time)

    def _close(self, time: int) -> None:
        heap, told = self._closing(), self._layout.on_close
        while heap and heap[0][0] <= time:
            _, raw, start, end = heap[0]
            found = self._layout.windows(self.logged, raw, start, start + 1)
            value = next((row[2] for row in found if row[1] == end), None)
            if value is not None and told is not None:
                told(Windowed(self.spec.key_schema.decode(raw), start, end), value)
            heappop(heap)  # not before: if it fails, its event is tried again

    def _closing(self) -> list[tuple[int, bytes, int, int]]:
        """Empty where nobody is to be told."""
        if self._open is None:
            self._open = []
            for raw, start, end in self._layout.all(self.logged) if self._layout.on_close is not None else ():
                if self._layout.closes(start, end) > self.moment:
                    self._opened(self._open, raw, (start, end))
        return self._open

    def _opened(self, heap: list[tuple[int, bytes, int, int]], raw: bytes, window: Bounds) -> None:
        heappush(heap, (self._layout.closes(*window), raw, *window))

    # -- writing

    def update(self, context: Context, key: Any, time: int, change: Change) -> list[Bounds]:
        """Changes the windows of a key that hold a time; undone if the event fails. Gives those that it came too late
        for.
        """
        raw = self._owned(context, key)

        def undo(stored: bytes, before: Held, now: Held) -> None:
            context.journal.append((self, stored, before, now))

        effects, heap = Effects(undo), self._closing()
        self._layout.change(self.logged, raw, time, self.moment, change, effects)
        if self._layout.on_close is not None:
            for window in effects.opened:
                self._opened(heap, raw, window)
        return effects.late

    def _owned(self, context: Context, key: Any) -> bytes:
        raw, batch = self.encode_key(key), context.batch
        if batch is not None and (batch.raw_keys is None or batch.raw_keys[context.index] != raw):
            self._check_owned(context, key, raw)
        return raw

    def change(self, raw: bytes, before: Held, written: Held, batch: Batch, index: int) -> Batch:
        """As that of a plain table, under windowed keys; where each window is an entry of its own."""
        start, row = time_of(raw), super().change(raw, before, written, batch, index)
        key = key_of(raw) + bounds(start, start + self._layout.size)
        return Batch(
            row.origin,
            row.offsets,
            row.timestamps,
            windowed_around(self.spec.key_schema),
            row.value_schema,
            raw_keys=[key],
            values=row.values,
            olds=row.olds,
            headers=row.headers,
        )
