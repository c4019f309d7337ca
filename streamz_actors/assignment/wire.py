"""What members tell each other in a rebalance, as bytes. Unreadable data is no data, never an error.

    byte 0   the version of the writer
    byte 1   the oldest version whose readers still understand it
    rest     zlib of JSON

Kafka keeps the metadata and the assignments of a whole generation in one record of at most 1 MiB, and every member is
sent its own copy of the ownership: see `assignor` for what is left out when the group is too large for that.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import schema_for

T = TypeVar("T")

VERSION: Final = 1
OLDEST: Final = 1
LARGEST: Final = 4 << 20
"""Bytes of JSON that are unpacked at the most: no member can make another one run out of memory."""


@dataclass(frozen=True, slots=True)
class Host:
    """A worker, as the others reach it."""

    worker: str
    address: str
    """URL of its own web server, "" without one."""


@dataclass(frozen=True, slots=True)
class Member:
    """One worker as it joins."""

    worker: str
    address: str
    since: int
    """When it started, in ms since the epoch."""
    generation: int
    """The last one that it was part of; -1: it is new, or has lost its place."""
    tasks: Mapping[str, tuple[int, ...]]
    """The tasks that it runs: partitions by sub-topology name."""
    nonce: int = 0
    """Differs from the last one when the member asks for a rebalance: Kafka acts on metadata that has changed."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who runs what, as every member is told in a rebalance."""

    leader: str
    """The name of the worker whose `on_leader` timers run."""
    hosts: tuple[Host, ...]
    tasks: Mapping[str, tuple[int, ...]]
    """By sub-topology name: the index into `hosts` of each partition's owner; -1: nobody, or nobody known here."""

    def owner(self, sub: str, partition: int) -> Host | None:
        owners = self.tasks.get(sub, ())
        if not 0 <= partition < len(owners) or owners[partition] < 0:
            return None
        return self.hosts[owners[partition]]


def pack(value: Member | Ownership) -> bytes:
    return bytes((VERSION, OLDEST)) + zlib.compress(schema_for(type(value), "json").encode(value) or b"", 9)


def unpack_member(data: bytes) -> Member | None:
    return _unpack(data, Member)


def unpack_ownership(data: bytes) -> Ownership | None:
    ownership = _unpack(data, Ownership)
    if ownership is None:
        return None
    known = len(ownership.hosts)
    return ownership if all(-1 <= host < known for hosts in ownership.tasks.values() for host in hosts) else None


def _unpack(data: bytes, type_: type[T]) -> T | None:
    """None for what this version cannot read: an empty offer, a newer format that has left us behind, damage."""
    if len(data) < 2 or data[1] > VERSION:
        return None
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(data[2:], LARGEST)
        decoded: T | None = schema_for(type_, "json").decode(text) if inflate.eof else None
        return decoded
    except (zlib.error, DecodeError):
        return None
