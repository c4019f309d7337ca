"""What a type promises about its values, read once from its declaration: mutable? floats inside? undeclared parts?"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, is_typeddict
from uuid import UUID

from msgspec import Struct, inspect

from streamz_actors.errors import ConfigError
from streamz_actors.serde.describe import describe
from streamz_actors.serde.hooks import is_pydantic

_SCALARS: dict[type[inspect.Type], type] = {
    inspect.BoolType: bool,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.StrType: str,
    inspect.BytesType: bytes,
    inspect.DateTimeType: datetime,
    inspect.DateType: date,
    inspect.TimeType: time,
    inspect.TimeDeltaType: timedelta,
    inspect.UUIDType: UUID,
    inspect.DecimalType: Decimal,
}
_FIXED: tuple[type[inspect.Type], ...] = (
    *_SCALARS,
    inspect.NoneType,
    inspect.EnumType,
    inspect.LiteralType,
    inspect.VarTupleType,
    inspect.TupleType,
    inspect.FrozenSetType,
    inspect.NamedTupleType,
    inspect.UnionType,
    inspect.Metadata,
)
_UNDECLARED_LIST = inspect.type_info(list)
_UNDECLARED_DICTS = (inspect.type_info(dict), inspect.type_info(dict[str, Any]))


def info_of(annotation: Any) -> inspect.Type:
    """msgspec's description of a type; `ConfigError` for what is none, or cannot be told apart when it is read."""
    if is_pydantic(annotation):
        return inspect.CustomType(without_none(annotation))
    try:
        return inspect.type_info(annotation)
    except (TypeError, NameError, ValueError) as error:
        raise ConfigError(f"{describe(annotation)} cannot be the type of a record: {error}") from error


def without_none(annotation: Any) -> Any:
    """`Order` of `Order | None`: no record ever carries the None, it is the absence of bytes."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    members = [member for member in get_args(annotation) if member is not NoneType]
    return members[0] if len(members) == 1 else annotation


def class_of(annotation: Any) -> type | None:
    """The class its values are instances of, where that much is known from the type alone."""
    annotation = without_none(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        return class_of(get_args(annotation)[0])
    if is_typeddict(annotation):
        return dict
    known = annotation if origin is None else origin
    return known if isinstance(known, type) and known not in (Any, UnionType) else None


def unknown_classes(info: inspect.Type) -> list[type]:
    """Classes inside that neither msgspec nor pydantic can take apart."""
    return [node.cls for node in _nodes(info) if isinstance(node, inspect.CustomType) and not is_pydantic(node.cls)]


def undeclared(info: inspect.Type) -> bool:
    """Says nothing about what is inside: Any, and bare lists and dicts."""
    return isinstance(info, inspect.AnyType) or info == _UNDECLARED_LIST or info in _UNDECLARED_DICTS


def partly_undeclared(info: inspect.Type) -> bool:
    return any(isinstance(node, inspect.AnyType) for node in _nodes(info))


def holds_floats(info: inspect.Type) -> bool:
    """May a float be anywhere inside? Decimals are none."""
    loose = (inspect.FloatType, inspect.AnyType, inspect.CustomType)
    return any(isinstance(node, loose) for node in _nodes(info))


def float_fields(info: inspect.Type) -> tuple[str, ...]:
    """The names of a struct's float fields (and optional ones), if it has no floats but there; else none."""
    if not isinstance(info, inspect.StructType):
        return ()
    names = tuple(field.name for field in info.fields if _is_float(field.type))
    rest = [field.type for field in info.fields if field.name not in names]
    return () if any(holds_floats(node) for node in rest) else names


def has_sortable_dicts(info: inspect.Type) -> bool:
    """All dicts inside have text for keys, the only ones that encoders can write in a fixed order."""
    text = (inspect.StrType, inspect.LiteralType, inspect.AnyType)
    return all(isinstance(node.key_type, text) for node in _nodes(info) if isinstance(node, inspect.DictType))


def is_immutable(info: inspect.Type) -> bool:
    """Nobody can change a decoded value in place, so it may be handed to many."""
    return all(map(_is_fixed, _nodes(info)))


def exact_classes(info: inspect.Type) -> frozenset[type]:
    """The classes whose direct instances (no subclasses) are of this type without a look inside."""
    if isinstance(info, inspect.UnionType):
        return frozenset[type]().union(*map(exact_classes, info.types))
    if partly_undeclared(info):
        return frozenset()
    if isinstance(info, inspect.StructType | inspect.DataclassType | inspect.EnumType):
        declared: Any = info.cls
        return frozenset((declared,)) if isinstance(declared, type) else frozenset()
    scalar = _plain_scalar(info)
    if scalar is None:
        return frozenset()
    return frozenset((float, int)) if scalar is float else frozenset((scalar,))


def is_plain(info: inspect.Type, scalar: type) -> bool:
    """Is it this builtin, without constraints of its own?"""
    return _plain_scalar(info) is scalar


def _is_float(info: inspect.Type) -> bool:
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    kinds = set(map(type, members))
    return inspect.FloatType in kinds and kinds <= {inspect.FloatType, inspect.IntType, inspect.NoneType}


def _plain_scalar(info: inspect.Type) -> type | None:
    unconstrained = all(getattr(info, name) is None for name in info.__struct_fields__)
    return _SCALARS.get(type(info)) if unconstrained else None


def _is_fixed(node: inspect.Type) -> bool:
    if isinstance(node, inspect.StructType):
        declared: Any = get_origin(node.cls) or node.cls
        return bool(declared.__struct_config__.frozen)
    if isinstance(node, inspect.DataclassType):
        parameters = getattr(get_origin(node.cls) or node.cls, "__dataclass_params__", None)
        return parameters is not None and bool(parameters.frozen)
    return isinstance(node, _FIXED)


def _nodes(info: inspect.Type) -> Iterator[inspect.Type]:
    """The description and all it refers to, each once: types may refer to themselves."""
    seen: set[int] = set()
    waiting = [info]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting.extend(_children(node))


def _children(node: Struct) -> Iterator[inspect.Type]:
    for name in node.__struct_fields__:
        value = getattr(node, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, inspect.Type):
                yield item
            elif isinstance(item, inspect.Field):
                yield item.type
