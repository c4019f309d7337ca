"""Updates of tables that wait for the next commit: of all that a key gets until then, only the last goes on.

What `cache_max_bytes` buys: fewer records behind an aggregation, each up to a commit interval later. What a table holds
is the newest at any time, whoever asks; only those who follow its changes see fewer of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from sys import getsizeof
from typing import Any, Final

from streamz_actors.dataflow.batch import Batch, Column

ROW: Final = 300
"""Bytes that a waiting update takes besides its key and its value."""


@dataclass(slots=True)
class Room:
    """What all tasks of one worker together may keep waiting, in bytes. 0: nothing waits."""

    limit: int
    taken: int = 0

    @property
    def full(self) -> bool:
        return self.taken > self.limit


@dataclass(slots=True)
class Update:
    """The last update of a key, in the batch that it came in; what the key held before the first that waited."""

    batch: Batch
    row: int
    key: Any
    value: Any
    old: Any
    size: int


class Updates:
    """Those of one node in one task."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._waiting: dict[bytes | None, Update] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, batch: Batch) -> None:
        """Rows of a table's changes; a later one of a key replaces an earlier one, and stands where it came."""
        waiting, olds = self._waiting, batch.olds
        raws, values = batch.encoded_keys(batch.key_schema), batch.values
        for row, (raw, value) in enumerate(zip(raws, values, strict=True)):
            before = waiting.pop(raw, None)
            old = before.old if before is not None else None if olds is None else olds[row]
            size = ROW + len(raw or b"") + getsizeof(value)
            self._room.taken += size - (0 if before is None else before.size)
            waiting[raw] = Update(batch, row, raw, value, old, size)

    def take(self) -> Iterator[Batch]:
        """All that waits, in the order in which it came; a batch for each run of rows from one source partition."""
        waiting = list(self._waiting.values())
        self.drop()
        for _, run in groupby(waiting, lambda update: (update.batch.origin, update.batch.headers is None)):
            yield _gathered(list(run))

    def drop(self) -> None:
        """Forgets all: what is not committed comes again."""
        self._room.taken -= sum(update.size for update in self._waiting.values())
        self._waiting = {}


def _gathered(run: list[Update]) -> Batch:
    first = run[0].batch
    return Batch(
        first.origin,
        [update.batch.offsets[update.row] for update in run],
        [update.batch.timestamps[update.row] for update in run],
        first.key_schema,
        first.value_schema,
        raw_keys=[update.key for update in run],
        values=[update.value for update in run],
        headers=None if first.headers is None else [_headers(update) for update in run],
        olds=_olds(run),
    )


def _headers(update: Update) -> Any:
    assert update.batch.headers is not None
    return update.batch.headers[update.row]


def _olds(run: Iterable[Update]) -> Column | None:
    return None if any(update.batch.olds is None for update in run) else [update.old for update in run]
