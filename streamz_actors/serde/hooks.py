"""Pydantic models, alone or inside other types. Pydantic is optional: imported once a type turns out to be its own."""

from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from streamz_actors.serde.faults import from_pydantic


def is_pydantic(annotation: Any) -> bool:
    """A model or a pydantic dataclass; also a union that has one, which msgspec would not take."""
    if get_origin(annotation) in (Union, UnionType):
        return any(is_pydantic(member) for member in get_args(annotation))
    return isinstance(annotation, type) and hasattr(annotation, "__pydantic_core_schema__")


@lru_cache(maxsize=1024)
def adapter(annotation: Any) -> Any:
    """Pydantic's reader and writer of a type."""
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


def to_plain(value: Any) -> Any:
    """msgspec's `enc_hook`: builtins for a value that msgspec does not know."""
    kind: Any = type(value)
    if is_pydantic(kind):
        return adapter(kind).dump_python(value, mode="json", warnings="error")
    raise TypeError(f"a value of type {kind.__qualname__} cannot be encoded")


def to_fields(value: Any) -> Any:
    """As `to_plain`, with the values inside as they are: in JSON mode pydantic may have made null of a NaN."""
    kind: Any = type(value)
    return adapter(kind).dump_python(value) if is_pydantic(kind) else str(value)


def from_plain(annotation: Any, value: Any) -> Any:
    """msgspec's `dec_hook`: a value of a type that msgspec does not know, out of builtins.

    By way of JSON, because pydantic reads dates and the like out of strings there even where a model is strict.
    """
    try:
        return adapter(annotation).validate_json(msgspec.json.encode(value))
    except ValueError as error:
        reason, field = from_pydantic(error)
        raise ValueError(f"{field}: {reason}" if field else reason) from error


def schema_of(annotation: Any) -> dict[str, Any]:
    """msgspec's `schema_hook`: the JSON Schema of a pydantic model."""
    if not is_pydantic(annotation):
        raise NotImplementedError(f"{annotation!r} has no JSON Schema")
    schema: dict[str, Any] = adapter(annotation).json_schema()
    return schema
