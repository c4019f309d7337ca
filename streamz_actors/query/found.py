"""What queries answer: the value of a key, made of what its partitions have; and what is known of a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Found:
    """The value of a key. `timestamp` is in ms, the newest where several partitions have values."""

    key: Any
    value: Any
    timestamp: int
    partition: int | None
    """None where the value is of no one partition: in global tables, and where it is `gathered`."""
    worker: str
    """Who had it; of what is gathered, who did that."""
    gathered: bool = False
    """Each partition has a value of its own: `value` is a dict of them by partition number."""
    stale: bool = False
    """It comes from a copy that may be behind, while the partition's owner cannot be asked."""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table and how much of it is here. `partitions` is None until the broker was asked."""

    name: str
    kind: str
    key_type: str
    value_type: str
    partitions: int | None
    """Of the whole application."""
    here: tuple[int, ...]
    """Partitions that this worker has and can read."""
    count: int
    """Keys in them, about."""
    per_partition: bool


class Piece(NamedTuple):
    """What one partition has under a key."""

    partition: int
    timestamp: int
    value: Any
    worker: str
    stale: bool = False


def chosen(key: Any, pieces: Sequence[Piece], home: int) -> Found | None:
    """The value of a key that has one: where its hash says (partition `home`), else the newest elsewhere.

    A topic's producer may partition otherwise than by the key's hash.
    """
    if not pieces:
        return None
    best = max(pieces, key=lambda piece: (piece.partition == home, piece.timestamp, not piece.stale))
    return Found(key, best.value, best.timestamp, best.partition, best.worker, stale=best.stale)


def gathered(key: Any, pieces: Sequence[Piece], worker: str) -> Found | None:
    """The values of a key that has one in each partition, of copies the newest."""
    if not pieces:
        return None
    oldest_first = sorted(pieces, key=lambda piece: (piece.timestamp, not piece.stale))
    newest = {piece.partition: piece for piece in oldest_first}
    values = {number: newest[number].value for number in sorted(newest)}
    stale = any(piece.stale for piece in newest.values())
    timestamp = max(piece.timestamp for piece in newest.values())
    return Found(key, values, timestamp, None, worker, gathered=True, stale=stale)
