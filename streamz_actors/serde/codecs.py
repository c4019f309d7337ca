"""Codecs by name, and the chains that specs such as `json|zstd` spell: the first makes bytes, the others pack them."""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import cramjam

from streamz_actors.errors import ConfigError

BUILT_IN: Final = ("json", "raw", "str", "int", "msgpack", "pickle")
"""Codecs that are compiled for a type. They can only come first; `schema` has what they do."""

_NAME = re.compile(r"[a-z][a-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Codec:
    """One named step. `encode` returns bytes; `decode` gets them back."""

    name: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    packs: bool = False
    """Takes nothing but bytes, so that it cannot come first."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A spec, taken apart. `spec` is its normalised spelling, `first` the name of what makes the bytes."""

    spec: str
    first: str
    stages: tuple[Codec, ...]


def register_codec(name: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]) -> None:
    """Make a codec of your own known by name, to every app in this process; a second registration replaces the first.

    First in a chain, it turns values into bytes. What it gets, and has to give back, are plain builtins (dict, list,
    str, int, float, bool, None) for every type that `json` can read: the value is checked and built from them. A class
    of which the framework knows nothing goes through as it is, and so does everything where the type is Any.

    Later in a chain (`json|mine`), it turns bytes into bytes.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a codec cannot be called {name!r}: letters, digits, '_', '.' and '-', in lower case")
    if name in _PROVIDED:
        raise ConfigError(f"the codec {name!r} comes with the package and cannot be replaced")
    _registered[name] = Codec(name, partial(_bytes_from, name, encode), decode)


def known_codecs() -> tuple[str, ...]:
    return (*BUILT_IN, *_registered)


def codec(name: str) -> Codec:
    """A codec that is not one of `BUILT_IN`; `ConfigError` for an unknown name."""
    try:
        return _registered[name]
    except KeyError:
        raise ConfigError(f"unknown codec {name!r}: known are {', '.join(known_codecs())}") from None


def parse(spec: str) -> Chain:
    """Take a spec apart, and refuse what does not fit together. Spaces and capitals do not matter."""
    first, *later = (name.strip().lower() for name in spec.split("|"))
    if misplaced := [name for name in later if name in BUILT_IN]:
        raise ConfigError(f"codec {spec!r}: {misplaced[0]} makes the bytes, so it can only come first")
    if first not in BUILT_IN and codec(first).packs:
        raise ConfigError(f"codec {spec!r}: {first} only packs bytes; say what makes them, as in 'json|{first}'")
    return Chain("|".join((first, *later)), first, tuple(map(codec, later)))


def _bytes_from(name: str, encode: Callable[[Any], Any], value: Any) -> bytes:
    """Hold a codec from outside to its word where the mistake is made, not later, where the bytes leave."""
    raw = encode(value)
    if not isinstance(raw, bytes):
        raise TypeError(f"the codec {name!r} returned {type(raw).__qualname__} instead of bytes")
    return raw


def _gzip(raw: bytes) -> bytes:
    """Without the time of day, so that equal records have equal bytes."""
    return gzip.compress(raw, mtime=0)


def _zstd(raw: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(raw))


def _unzstd(raw: bytes) -> bytes:
    return bytes(cramjam.zstd.decompress(raw))


def _lz4(raw: bytes) -> bytes:
    return bytes(cramjam.lz4.compress(raw))


def _unlz4(raw: bytes) -> bytes:
    return bytes(cramjam.lz4.decompress(raw))


def _snappy(raw: bytes) -> bytes:
    return bytes(cramjam.snappy.compress(raw))


def _unsnappy(raw: bytes) -> bytes:
    return bytes(cramjam.snappy.decompress(raw))


_COMPRESSIONS = (
    Codec("gzip", _gzip, gzip.decompress, packs=True),
    Codec("zstd", _zstd, _unzstd, packs=True),
    Codec("lz4", _lz4, _unlz4, packs=True),
    Codec("snappy", _snappy, _unsnappy, packs=True),
)
_registered: dict[str, Codec] = {step.name: step for step in _COMPRESSIONS}
_PROVIDED: Final = frozenset((*BUILT_IN, *_registered))
