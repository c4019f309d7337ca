"""Types of what user functions give, as far as their annotations tell; Any where they don't."""

from collections.abc import Callable, Iterable
from typing import Any, get_args, get_origin, get_type_hints

from streamz_actors.errors import ConfigError
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.serde.traits import without_none


def returned(function: Callable[..., Any]) -> Any:
    """The annotated result, without None; a class gives itself."""
    while hasattr(function, "func"):
        function = function.func
    if isinstance(function, type):
        return function
    try:
        annotation = get_type_hints(function).get("return", Any)
    except (NameError, TypeError, AttributeError):
        # Names that only a type checker can resolve, or an object that has no annotations.
        return Any
    return Any if annotation in (object, type(None)) else without_none(annotation)


def pair_of(annotation: Any) -> tuple[Any, Any]:
    """K and V of `tuple[K, V]`."""
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple and len(arguments) == 2 and ... not in arguments:
        return without_none(arguments[0]), without_none(arguments[1])
    return Any, Any


def item_of(annotation: Any) -> Any:
    """X of `list[X]`, `Iterator[X]`, `tuple[X, ...]` and their like."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if not (isinstance(origin, type) and issubclass(origin, Iterable) and arguments):
        return Any
    if origin is tuple and ... not in arguments:
        return arguments[0] if len(set(arguments)) == 1 else Any
    return without_none(arguments[0])


def schema_of(declared: Any, inferred: Any, *, key: bool = False) -> Schema[Any]:
    """The schema of a declared type, or of an inferred one where none was declared.

    An annotation is written for the reader, and may be one that no codec knows: then nothing is known.
    """
    if declared is not None:
        return schema_for(declared, key=key)
    try:
        return schema_for(inferred, key=key)
    except ConfigError:
        return schema_for(Any, key=key)


def common(schemas: list[Schema[Any]], *, key: bool = False) -> Schema[Any]:
    """The schema of records that come from several places."""
    first = schemas[0]
    return first if all(schema == first for schema in schemas) else schema_for(Any, key=key)
