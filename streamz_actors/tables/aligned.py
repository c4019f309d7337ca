"""Tumbling and hopping windows of a table that handlers write: an entry for each window and key, under its start."""

from collections.abc import Callable
from typing import Any

from streamz_actors.dataflow.node import WindowRow
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import FIRST, LoggedStore
from streamz_actors.stores.segments import START, key_of, time_of, timed_key
from streamz_actors.stores.windowed import AlignedWindows
from streamz_actors.tables.windowed import Change, Effects
from streamz_actors.types import Windowed
from streamz_actors.windows.definitions import Hopping, Tumbling


class Aligned:
    """`kept`, in ms, is how long a window can be read after its end."""

    def __init__(
        self,
        window: Tumbling | Hopping,
        value_schema: Schema[Any],
        kept: int,
        on_close: Callable[[Windowed[Any], Any], object] | None,
    ) -> None:
        self.value_schema, self.on_close = value_schema, on_close
        self.size = window.size
        self._window = window
        self._open = window.grace if on_close is not None else max(kept, window.grace)
        """How long a window takes writes after its end."""
        self.retention = window.size + max(kept, window.grace)
        self._entries = AlignedWindows(value_schema, window.size, window.advance, self.retention)

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[WindowRow]:
        return self._entries.windows(logged, raw, start, stop)

    def at(self, logged: LoggedStore, raw: bytes, time: int, moment: int) -> Any:
        """Of several windows that hold the time, the oldest: it has seen the most of what was before."""
        starts = self._window.starts(time)
        if not starts or starts[0] < self._entries.oldest(moment):
            return None
        return logged.get(timed_key(starts[0], raw))

    def change(
        self, logged: LoggedStore, raw: bytes, time: int, moment: int, change: Change, effects: Effects
    ) -> None:
        for start in self._window.starts(time):
            end = start + self.size
            if end + self._open <= moment:
                effects.late.append((start, end))
                continue
            key = timed_key(start, raw)
            before = logged.find(key)
            old = logged.value(before)
            now = logged.put(key, change(old), time if old is None else max(time, before[2]))
            effects.undo(key, before, now)
            if old is None:
                effects.opened.append((start, end))

    def expire(self, logged: LoggedStore, moment: int) -> None:
        logged.expire(START.pack(self._entries.oldest(moment)))

    def closes(self, start: int, end: int) -> int:
        return end + self._open

    def all(self, logged: LoggedStore) -> list[tuple[bytes, int, int]]:
        return [(key_of(key), time_of(key), time_of(key) + self.size) for key, _ in logged.scan(FIRST)]
