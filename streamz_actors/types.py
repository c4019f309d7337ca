"""The few values every layer speaks of: partitions, headers, delivered records, partition hashing."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from murmurhash2 import murmurhash2

K = TypeVar("K")
V = TypeVar("V")

Headers = tuple[tuple[str, bytes], ...]
"""Record headers in the order they were written; a name may occur more than once."""

KAFKA_SEED = 0x9747B28C


class TopicPartition(NamedTuple):
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(frozen=True, slots=True)
class RecordMetadata:
    """Where a sent record ended up. `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Windowed(Generic[K]):
    """A key in one window; bounds in milliseconds."""

    key: K
    start: int
    end: int


class WindowValue(NamedTuple, Generic[V]):
    """What a table of windows holds for a key in one of them. Bounds, and the time of its latest record, in ms."""

    start: int
    end: int
    value: V
    timestamp: int


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Java's default partitioner computes it (murmur2, positive, modulo)."""
    hashed: int = murmurhash2(key, KAFKA_SEED)
    return (hashed & 0x7FFFFFFF) % partitions
