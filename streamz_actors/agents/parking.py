"""Events of one actor that wait for their next attempt, and behind each the later ones of its key. All else goes on.

    in hand ──failed──▶ parked ──its time has come──▶ due ──taken──▶ in hand ──done──▶ gone, its key is free
                          ▲                                              │
                          └──────────────── failed again ────────────────┘

Between a failure and the end of the last attempt, no event of that key is given out.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamz_actors.clock import Clock, Timer
from streamz_actors.dataflow.batch import Batch

Rows = tuple[Batch, Sequence[int]]
"""Some rows of a batch, by index."""

MOST: Final = 100
"""Events that may wait in one actor. When so many do, the next that fails is waited for, and nothing goes on."""


@dataclass(slots=True, eq=False)
class Parked:
    """An event, how often it was tried, and the rows that wait behind it. An event without a key has none behind it."""

    key: bytes | None
    batch: Batch
    row: int
    attempts: int = 0
    behind: list[Rows] = field(default_factory=list)
    timer: Timer | None = None


class Parking:
    """`due` is called when the time of an event has come."""

    __slots__ = ("_by_key", "_due", "_parked", "_tell", "behind")

    def __init__(self, due: Callable[[], None]) -> None:
        self._tell = due
        self._parked: dict[Parked, None] = {}
        """Those that are not in hand."""
        self._by_key: dict[bytes, Parked] = {}
        """Those in hand as well: their keys are not free."""
        self._due: deque[Parked] = deque()
        self.behind = 0
        """Rows that wait behind others."""

    @property
    def rows(self) -> int:
        """All rows that wait."""
        return len(self._parked) + self.behind

    @property
    def full(self) -> bool:
        return len(self._parked) >= MOST

    @property
    def due(self) -> bool:
        """Whether the time of one has come."""
        return bool(self._due)

    @property
    def keys(self) -> bool:
        """Whether any key is not free."""
        return bool(self._by_key)

    def park(self, event: Parked, seconds: float, clock: Clock) -> None:
        self._parked[event] = None
        if event.key is not None:
            self._by_key[event.key] = event

        def expire() -> None:
            self._due.append(event)
            self._tell()

        event.timer = clock.call_later(seconds, expire)

    def next(self) -> Parked:
        """The first that is due: it is in hand from now on."""
        event = self._due.popleft()
        del self._parked[event]
        return event

    def release(self, event: Parked) -> list[Rows]:
        """One that was in hand is done: what waited behind it, in order."""
        if event.key is not None:
            del self._by_key[event.key]
        self.behind -= sum(len(rows) for _, rows in event.behind)
        return event.behind

    def divert(self, batch: Batch, rows: Sequence[int]) -> Sequence[int]:
        """The rows whose keys are free. The others wait from now on."""
        keys, by_key = batch.encoded_keys(batch.key_schema), self._by_key
        free: list[int] = []
        kept_back: dict[Parked, list[int]] = {}
        for row in rows:
            event = by_key.get(keys[row])  # type: ignore[arg-type]  # None is no key of it
            if event is None:
                free.append(row)
            else:
                kept_back.setdefault(event, []).append(row)
        for event, waiting in kept_back.items():
            event.behind.append((batch, waiting))
            self.behind += len(waiting)
        return free

    def waiting(self) -> Iterator[Rows]:
        """Everything that waits."""
        for event in self._parked:
            yield event.batch, (event.row,)
        for event in self._by_key.values():
            yield from event.behind

    def clear(self) -> None:
        """Nothing will be due any more."""
        for event in self._parked:
            if event.timer is not None:
                event.timer.cancel()
