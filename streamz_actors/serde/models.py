"""Record: the base class of models: typed, checked when decoded, fast."""

from functools import lru_cache
from typing import Any, Self, dataclass_transform

import msgspec

from streamz_actors.errors import SerdeError
from streamz_actors.serde.describe import describe, json_schema
from streamz_actors.serde.faults import decode_error, encode_error
from streamz_actors.serde.formats import Format, json_format


@dataclass_transform(field_specifiers=(msgspec.field,))
class _RecordMeta(msgspec.StructMeta):
    """Tells type checkers that `Record` itself is neither frozen nor not (PEP 681): its subclasses may choose."""


class Record(msgspec.Struct, metaclass=_RecordMeta, gc=False):
    """A model. Its annotated attributes are its fields, in order, also of its constructor; `[]`, `{}` and `set()` are
    safe defaults.

    Decoding checks every field: unknown ones are ignored, a missing one without a default and a value of another type
    are errors that name the field. The constructor does not check, for the sake of speed; `validate` does.

    `class X(Record, frozen=True)` has immutable, hashable instances (what a key should be); `kw_only=True` allows
    required fields behind a base class's defaults; `rename="camel"`, `tag=True` and the like are msgspec's, and work.

    Instances are left out of cyclic garbage collection, which is a tenth of a busy worker's time. The price: a cycle of
    references that leads through a record (a list inside it that holds the record itself) is never freed. What was
    decoded has no cycles; if your code makes them, declare `class X(Record, gc=True)`.
    """

    def asdict(self) -> dict[str, Any]:
        """The fields by name, records inside as dicts too; all other values as they are, containers copied."""
        return {name: _undone(getattr(self, name)) for name in self.__struct_fields__}

    def derive(self, **changes: Any) -> Self:
        """A copy with some fields replaced."""
        return msgspec.structs.replace(self, **changes)

    def dumps(self) -> bytes:
        """JSON, as the `json` codec writes it. Raises `EncodeError`."""
        form = _format(type(self))
        try:
            raw = form.write(self)
            form.verify(self, raw)
            return raw
        except SerdeError:
            raise
        except Exception as error:
            raise encode_error(error, describe(type(self))) from error

    @classmethod
    def loads(cls, raw: bytes | str) -> Self:
        """A record out of JSON. Raises `DecodeError`."""
        try:
            record: Self = _format(cls).read(raw.encode() if isinstance(raw, str) else raw)
            return record
        except Exception as error:
            raise decode_error(error, "json") from error

    def validate(self) -> None:
        """Raises `EncodeError` naming the first field whose value is not of its type."""
        try:
            _format(type(self)).read(self.dumps())
        except SerdeError:
            raise
        except Exception as error:
            raise encode_error(error, describe(type(self))) from error

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """The JSON Schema of the model."""
        return json_schema(cls)


@lru_cache(maxsize=1024)
def _format(model: type[Record]) -> Format:
    return json_format(model)


def _undone(value: Any) -> Any:
    if isinstance(value, Record):
        return value.asdict()
    if isinstance(value, dict):
        return {key: _undone(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(map(_undone, value))
    return value
