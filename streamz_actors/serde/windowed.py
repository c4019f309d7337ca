"""Keys in windows as bytes: the key as its own codec writes it, then end and start, 8 bytes each, big-endian, in ms.

This is how Kafka Streams writes the keys of sessions. (It leaves the end out for windows of one size, so that readers
must know the size.) The key stands in front, so that `key_part` gives what its partition is computed from.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from streamz_actors.errors import DecodeError, EncodeError
from streamz_actors.serde.formats import Format
from streamz_actors.types import Windowed

_BOUNDS: Final = struct.Struct(">qq")


def windowed_format(write_key: Callable[[Any], bytes | None], read_key: Callable[[bytes], Any]) -> Format:
    """How `Windowed` values are written, around what writes and reads their keys."""

    def check(value: Any) -> None:
        if type(value) is not Windowed:
            raise EncodeError(f"a Windowed key is wanted, not {value!r}")

    def write(value: Any) -> bytes:
        raw = write_key(value.key)
        if raw is None:
            raise EncodeError(f"{value!r} has no key")
        return raw + _BOUNDS.pack(value.end, value.start)

    def read(raw: bytes) -> Any:
        size = len(raw) - _BOUNDS.size
        if size < 0:
            raise DecodeError(f"a windowed key has at least {_BOUNDS.size} bytes, this one {len(raw)}")
        end, start = _BOUNDS.unpack_from(raw, size)
        return Windowed(read_key(raw[:size]), start, end)

    return Format(write, read, check, _nothing, frozenset(), _never)


def key_part(raw: bytes) -> bytes:
    """The encoded key of a windowed one."""
    return raw[: -_BOUNDS.size]


def key_parts(raws: Sequence[bytes | None]) -> list[bytes | None]:
    """A column of `key_part`; None stays None."""
    size = -_BOUNDS.size
    return [raw and raw[:size] for raw in raws]


def bounds(start: int, end: int) -> bytes:
    """What stands behind the encoded key in a windowed one."""
    return _BOUNDS.pack(end, start)


def bounds_of(raw: bytes) -> tuple[int, int]:
    """Start and end of an encoded windowed key."""
    end, start = _BOUNDS.unpack_from(raw, len(raw) - _BOUNDS.size)
    return start, end


def _nothing(value: Any, raw: bytes) -> None:
    """What was written needs no second look."""


def _never(kinds: set[type], values: Any, raws: list[bytes]) -> bool:
    """Each value is looked at."""
    return False
