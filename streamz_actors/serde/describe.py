"""Types told to people and machines: a short stable name, and a JSON Schema."""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from streamz_actors.errors import ConfigError
from streamz_actors.serde.hooks import adapter, is_pydantic, schema_of


def describe(annotation: Any) -> str:
    """`Order`, `list[int]`, `dict[str, Any]`, `Order | None`: the same in every process and on every Python."""
    if annotation is Any:
        return "Any"
    if annotation in (None, NoneType):
        return "None"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " | ".join(describe(member) for member in arguments)
    if origin is Annotated:
        return describe(arguments[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is None:
        return getattr(annotation, "__name__", None) or str(annotation)
    inside = ", ".join("..." if argument is ... else describe(argument) for argument in arguments)
    return f"{origin.__name__}[{inside}]" if inside else str(origin.__name__)


def json_schema(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of what the `json` codec writes for a type; `ConfigError` for a type that has none."""
    if is_pydantic(annotation):
        schema: dict[str, Any] = adapter(annotation).json_schema()
        return schema
    try:
        return msgspec.json.schema(Any if annotation is None else annotation, schema_hook=schema_of)
    except (TypeError, NameError, NotImplementedError) as error:
        raise ConfigError(f"{describe(annotation)} has no JSON Schema: {error}") from error
