"""Would a value come back as it is? Finds what an encoding would turn into something else without a word.

Every function answers with what it found, as (path, what is wrong), or None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from types import NoneType
from typing import Any

import msgspec

from streamz_actors.serde.hooks import to_fields

Finding = tuple[str, str] | None

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Undeclared:
    """What a codec keeps of values about whose inside no type says anything. Tuples come back as lists, by design."""

    scalars: frozenset[type]
    keys: frozenset[type]
    finite: bool

    def changed(self, value: Any, path: str = "$") -> Finding:
        """The first part that would come back as another type. Subclasses count: nothing brings them back."""
        kind = type(value)
        if kind in self.scalars:
            return non_finite(value, path) if self.finite and kind is float else None
        if kind is dict:
            return self._changed_in_dict(value, path)
        if kind is list or kind is tuple:
            findings = (self.changed(item, f"{path}[{index}]") for index, item in enumerate(value))
            return next(filter(None, findings), None)
        return path, f"a {kind.__qualname__} would not come back as one: name its type (value_type=, key_type=)"

    def _changed_in_dict(self, value: dict[Any, Any], path: str) -> Finding:
        for key, item in value.items():
            if type(key) not in self.keys:
                return path, f"the key {key!r} of type {type(key).__qualname__} would not come back as one"
            kind = type(item)
            if kind in self.scalars and kind is not float:
                continue
            if finding := self.changed(item, f"{path}.{key}"):
                return finding
        return None


JSON = Undeclared(
    scalars=frozenset((str, int, float, bool, NoneType)),
    keys=frozenset((str,)),
    finite=True,
)
MSGPACK = Undeclared(
    scalars=frozenset((str, int, float, bool, NoneType, bytes)),
    keys=frozenset((str, int, float, bool, NoneType, bytes)),
    finite=False,
)


def non_finite(value: Any, path: str = "$") -> Finding:
    """The first NaN or infinity among builtins: JSON has none, and would say null."""
    if isinstance(value, float):
        return None if isfinite(value) else (path, f"JSON has no {value}")
    if isinstance(value, dict):
        return next(filter(None, (non_finite(item, f"{path}.{key}") for key, item in value.items())), None)
    if isinstance(value, list | tuple):
        return next(filter(None, (non_finite(item, f"{path}[{i}]") for i, item in enumerate(value))), None)
    return None


def non_finite_in(value: Any) -> Finding:
    """The same for a value of any type that can be encoded."""
    return non_finite(msgspec.to_builtins(value, enc_hook=to_fields))


def difference(value: Any, back: Any, path: str = "$") -> Finding:
    """Where `back`, decoded from the encoding of `value`, is something else. What its type declares is given."""
    if names := _field_names(back):
        pairs = ((name, getattr(value, name, _ABSENT), getattr(back, name)) for name in names)
        return next(filter(None, (difference(item, other, f"{path}.{name}") for name, item, other in pairs)), None)
    if isinstance(back, dict) and isinstance(value, Mapping):
        pairs = ((key, item, back.get(key, _ABSENT)) for key, item in value.items())
        return next(filter(None, (difference(item, other, f"{path}.{key}") for key, item, other in pairs)), None)
    if isinstance(back, list | tuple) and isinstance(value, list | tuple):
        both = enumerate(zip(value, back, strict=True))
        return next(filter(None, (difference(item, other, f"{path}[{i}]") for i, (item, other) in both)), None)
    if value == back:
        return None
    found = "nothing" if back is _ABSENT else f"a {type(back).__qualname__}"
    return path, f"a {type(value).__qualname__} would come back as {found}: name its type"


def _field_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    return tuple(field.name for field in fields(value)) if is_dataclass(value) else ()
