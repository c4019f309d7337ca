"""What members tell each other in a rebalance, as bytes. Unreadable data is no data, never an error.

    byte 0   the version of the writer
    byte 1   the oldest version whose readers still understand it
    rest     zlib of JSON; in what a member is told: zlib of what all are told, then zlib of what it alone is told

Version 2 is 1 with more fields and with the part for one member. Who reads 1 ignores them; where they are missing, as
from a member of 1, the defaults stand.

Kafka keeps the metadata and the assignments of a whole generation in one record of at most 1 MiB, and every member is
sent its own copy of the ownership: see `assignor` for what is left out when the group is too large for that.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import Schema, schema_for

T = TypeVar("T")

VERSION: Final = 2
OLDEST: Final = 1
_HEADER: Final = bytes((VERSION, OLDEST))
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
    copies: Mapping[str, Mapping[int, int]] | None = None
    """The state that it has at hand: by sub-topology name and partition, the records between it and its changelogs'
    ends, as far as it knows them. Standbys, warm-ups and files from before; of the tasks that it runs those that are
    being restored, the others are up to date. `model.UNKNOWN_LAG` where it knows nothing or has next to nothing.
    None: it keeps no copies, and takes over what it gets from nothing.
    """
    small: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of the tasks that it runs, those with so little in their changelogs that they may move to where no copy is."""
    rack: str = ""
    """Where it stands: a standby stands elsewhere than its task, if it can."""
    transactional_id: str = ""
    """Of its producer; "" without transactions."""
    known: tuple[str, ...] = ()
    """Transactional ids of others: its peers as it was told them, and those that it was to fence and has not yet."""


@dataclass(frozen=True, slots=True)
class Own:
    """What one member alone is told."""

    standbys: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The tasks of which it keeps a copy: partitions by sub-topology name."""
    warmups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Those of which a copy here is wanted for a move: when it is near the head (`plan.ready`) the member asks for a
    rebalance, once for each. One may be among the standbys as well: it is to run here, but is still behind.
    """
    peers: tuple[str, ...] = ()
    """Transactional ids of some others, to be remembered: it says them when it joins again, should they be gone."""
    fence: tuple[str, ...] = ()
    """Transactional ids of members that are gone: to be fenced before the offsets of new tasks are read."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who runs what, as every member is told in a rebalance."""

    leader: str
    """The name of the worker whose `on_leader` timers run."""
    hosts: tuple[Host, ...]
    tasks: Mapping[str, tuple[int, ...]]
    """By sub-topology name: the index into `hosts` of each partition's owner; -1: nobody, or nobody known here."""
    copies: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    """By sub-topology name, the indices of those that keep a copy of each partition, standbys first; none where nobody
    keeps one, and in a group too large to tell.
    """
    own: Own = Own()

    def owner(self, sub: str, partition: int) -> Host | None:
        owners = self.tasks.get(sub, ())
        if not 0 <= partition < len(owners) or owners[partition] < 0:
            return None
        return self.hosts[owners[partition]]

    def standbys(self, sub: str, partition: int) -> tuple[Host, ...]:
        """Who keeps a copy beside the owner: its standbys, then those that warm up for a move."""
        copies = self.copies.get(sub, ())
        return tuple(self.hosts[host] for host in copies[partition]) if 0 <= partition < len(copies) else ()


@dataclass(frozen=True, slots=True)
class _Common:
    """What all members are told."""

    leader: str
    hosts: tuple[Host, ...]
    tasks: Mapping[str, tuple[int, ...]]
    copies: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)


_MEMBER: Final = schema_for(Member, "json")
_COMMON: Final = schema_for(_Common, "json")
_OWN: Final = schema_for(Own, "json")


def pack(value: Member | Ownership) -> bytes:
    if isinstance(value, Member):
        return _HEADER + _zipped(_MEMBER, value)
    common = _Common(value.leader, value.hosts, value.tasks, value.copies)
    return _HEADER + _zipped(_COMMON, common) + pack_own(value.own)


def pack_own(own: Own) -> bytes:
    """What comes behind an ownership that was packed without it."""
    return _zipped(_OWN, own) if own != Own() else b""


def _zipped(schema: Schema[T], value: T) -> bytes:
    return zlib.compress(schema.encode(value) or b"", 9)


def unpack_member(data: bytes) -> Member | None:
    member, _ = _unpack(data, _MEMBER)
    return member


def unpack_ownership(data: bytes) -> Ownership | None:
    common, rest = _unpack(data, _COMMON)
    if common is None or not _fits(common):
        return None
    own, _ = _inflate(rest, _OWN) if rest else (Own(), b"")
    return None if own is None else Ownership(common.leader, common.hosts, common.tasks, common.copies, own)


def _fits(common: _Common) -> bool:
    """Whether all that it names are hosts."""
    known = len(common.hosts)
    owners = (host for hosts in common.tasks.values() for host in hosts)
    keepers = (host for copies in common.copies.values() for hosts in copies for host in hosts)
    return all(-1 <= host < known for host in owners) and all(0 <= host < known for host in keepers)


def _unpack(data: bytes, schema: Schema[T]) -> tuple[T | None, bytes]:
    """None for what this version cannot read: an empty offer, a newer format that has left us behind, damage."""
    if len(data) < 2 or data[1] > VERSION:
        return None, b""
    return _inflate(data[2:], schema)


def _inflate(data: bytes, schema: Schema[T]) -> tuple[T | None, bytes]:
    """The value, and the bytes behind it."""
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(data, LARGEST)
        return (schema.decode(text) if inflate.eof else None), inflate.unused_data
    except (zlib.error, DecodeError):
        return None, b""
