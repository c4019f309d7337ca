"""JSON for people and HTTP: any value out, typed values in. Not for topics: nothing here promises the way back."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeAlias, get_args, get_origin

import msgspec

from streamz_actors.errors import ConfigError
from streamz_actors.serde.hooks import is_pydantic, to_plain
from streamz_actors.serde.models import Record
from streamz_actors.serde.schema import schema_for
from streamz_actors.types import Windowed

Json: TypeAlias = msgspec.Raw
"""A part of a JSON document that is not read yet: `bytes(part)` is its text. A type for fields of records."""

NULL: Final = Json(b"null")

_ATOMS: Final = frozenset({str, int, float, bool, bytes, type(None)})


def to_json(value: Any) -> bytes:
    """JSON of any value, which never fails for its type.

    Records, dataclasses and pydantic models are objects, sets sorted lists, bytes base64, moments ISO 8601; keys that
    are no text become the text of their JSON; NaN and infinities null; what nothing else is known of is its `repr`.
    """
    return _ENCODER.encode(_walked(value))


def reader(annotation: Any, *, key: bool = False) -> Callable[[bytes], Any]:
    """What reads values of a type out of JSON, `null` as None. It raises DecodeError with reason and field.

    A type that has no JSON (a class that only its own codec knows) is read as plain JSON.
    """
    if get_origin(annotation) is Windowed:
        return _windowed_reader(reader(get_args(annotation)[0], key=True))
    try:
        schema = schema_for(annotation, "json", key=key)
    except ConfigError:
        schema = schema_for(Any, "json", key=key)

    def read(raw: bytes) -> Any:
        return None if raw.strip() == b"null" else schema.decode(raw)

    return read


class _Window(Record):
    key: Json
    start: int
    end: int


def _windowed_reader(read_key: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A windowed key as `to_json` writes it: an object of key, start and end."""
    schema = schema_for(_Window, "json")

    def read(raw: bytes) -> Any:
        window = None if raw.strip() == b"null" else schema.decode(raw)
        return None if window is None else Windowed(read_key(bytes(window.key)), window.start, window.end)

    return read


def _walked(value: Any) -> Any:
    """The value as the encoder takes it: only containers are walked, whole records are encoded in one go."""
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Mapping):
        return {_name(key): _walked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(item) for item in value]
    if isinstance(value, AbstractSet):
        return [_walked(member) for member in _sorted(value)]
    return Json(_record(value))


def _sorted(members: AbstractSet[Any]) -> list[Any]:
    try:
        return sorted(members)
    except TypeError:
        return sorted(members, key=to_json)


def _name(key: Any) -> str:
    if isinstance(key, str):
        return key
    raw = to_json(key)
    return str(msgspec.json.decode(raw)) if raw.startswith(b'"') else raw.decode()


def _record(value: Any) -> bytes:
    try:
        return _STABLE.encode(value)
    except TypeError:
        # Keys that are no text, or a set of mixed types, somewhere inside.
        plain = msgspec.to_builtins(value, enc_hook=_plain)
        return _ENCODER.encode(_walked(plain))


def _plain(value: Any) -> Any:
    return to_plain(value) if is_pydantic(type(value)) else repr(value)


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)
_STABLE: Final = msgspec.json.Encoder(enc_hook=_plain, order="deterministic")
