"""Pages of a table's rows, in the order of their encoded keys: out of partitions, with a bounded amount of work, and
out of the pages of several workers."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Any

from streamz_actors.query.found import Piece
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import Entry
from streamz_actors.stores.prefix import after_prefix
from streamz_actors.tables.mapping import State

SCAN = 5_000
"""Entries looked at for one page: it holds the loop for about 20 ms."""

Held = list[tuple[int, State, Entry]]
"""What the partitions hold under one key."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which keys are wanted: start <= key < stop, beginning with `prefix`; None asks for nothing."""

    prefix: str | bytes | None = None
    start: Any = None
    stop: Any = None

    def raw(self, schema: Schema[Any]) -> tuple[bytes | None, bytes | None]:
        """As encoded keys, where encodings sort as keys do."""
        lows = [schema.encode(self.start)]
        highs = [schema.encode(self.stop)]
        if self.prefix is not None:
            prefix = schema.encode(self.prefix) or b""
            lows.append(prefix)
            highs.append(after_prefix(prefix))
        return (
            max((low for low in lows if low is not None), default=None),
            min((high for high in highs if high is not None), default=None),
        )

    def holds(self, key: Any) -> bool:
        """For keys whose encodings sort otherwise. A key that cannot be compared is not wanted."""
        if self.prefix is not None and not _begins(key, self.prefix):
            return False
        try:
            return (self.start is None or key >= self.start) and (self.stop is None or key < self.stop)
        except TypeError:
            return False


def _begins(key: Any, prefix: str | bytes) -> bool:
    if isinstance(prefix, str):
        return isinstance(key, str) and key.startswith(prefix)
    return isinstance(key, bytes) and key.startswith(prefix)


def page(
    states: Mapping[int, State],
    schema: Schema[Any],
    bounds: Bounds,
    limit: int,
    after: bytes | None,
) -> tuple[list[tuple[bytes, Any, Held]], bytes | None]:
    """Up to `limit` rows behind the key `after`: encoded key, key, what is held; and how far they go, None: to the end.

    In key order where the key's encoding keeps it (text, bytes), else in the order of the encodings. A page may be
    short, even empty, and not the last: when `SCAN` entries were looked at.
    """
    low, high = bounds.raw(schema) if schema.ordered else (None, None)
    if after is not None:
        behind = after + b"\0"
        low = behind if low is None else max(low, behind)
    rows: list[tuple[bytes, Any, Held]] = []
    last: bytes | None = None
    seen = 0
    wanted: Callable[[Any], bool] = (lambda key: True) if schema.ordered else bounds.holds
    with closing(_merged(states, low, high)) as merged:
        for raw, held in merged:
            if last is not None and (len(rows) >= limit or seen >= SCAN):
                return rows, last
            last = raw
            seen += len(held)
            key = schema.decode(raw)
            if wanted(key):
                rows.append((raw, key, held))
    return rows, None


@dataclass(frozen=True, slots=True)
class Part:
    """One worker's page: what its partitions have under each encoded key, up to `frontier` (None: to the end)."""

    rows: Sequence[tuple[bytes, Sequence[Piece]]]
    frontier: bytes | None


def joined(parts: Sequence[Part], limit: int) -> tuple[list[tuple[bytes, list[Piece]]], bytes | None]:
    """The page that the pages of all owners make together, and how far it goes.

    Behind the smallest frontier an owner may have more rows: what others have there is left for the next page.
    """
    frontier = min((part.frontier for part in parts if part.frontier is not None), default=None)
    rows: dict[bytes, list[Piece]] = {}
    for part in parts:
        for raw, pieces in part.rows:
            if frontier is None or raw <= frontier:
                rows.setdefault(raw, []).extend(pieces)
    ordered = sorted(rows.items())
    if len(ordered) > limit:
        ordered = ordered[:limit]
        frontier = ordered[-1][0]
    return ordered, frontier


def _merged(
    states: Mapping[int, State], low: bytes | None, high: bytes | None
) -> Generator[tuple[bytes, Held], None, None]:
    scans = [_of_one(number, state, low, high) for number, state in states.items()]
    for raw, group in groupby(merge(*scans, key=_raw), key=_raw):
        yield raw, [(number, state, entry) for _, number, state, entry in group]


def _of_one(
    number: int, state: State, low: bytes | None, high: bytes | None
) -> Iterator[tuple[bytes, int, State, Entry]]:
    for raw, entry in state.logged.scan(low, high):
        yield raw, number, state, entry


def _raw(row: tuple[bytes, int, State, Entry]) -> bytes:
    return row[0]
