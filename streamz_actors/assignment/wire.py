"""What members tell each other in a rebalance, as bytes: a version in front, then JSON. Unreadable data is no data.

The first byte is the version of the writer, the second the oldest version whose readers still understand it.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import schema_for

T = TypeVar("T")

VERSION: Final = 1
OLDEST: Final = 1


@dataclass(frozen=True, slots=True)
class Member:
    """One worker as it joins."""

    worker: str
    address: str
    """Where its web server answers, as a URL; "" without one."""
    since: int
    """When it started, in ms since the epoch."""
    holds: bool
    """Whether it runs the tasks now."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who runs the tasks, as every member is told."""

    owner: str
    address: str


def pack(value: Member | Ownership) -> bytes:
    return bytes((VERSION, OLDEST)) + (schema_for(type(value), "json").encode(value) or b"")


def unpack_member(data: bytes) -> Member | None:
    return _unpack(data, Member)


def unpack_ownership(data: bytes) -> Ownership | None:
    return _unpack(data, Ownership)


def _unpack(data: bytes, type_: type[T]) -> T | None:
    """None for what this version cannot read: an empty offer, a newer format that has left us behind, damage."""
    if len(data) < 2 or data[1] > VERSION:
        return None
    try:
        decoded: T | None = schema_for(type_, "json").decode(data[2:])
        return decoded
    except DecodeError:
        return None
