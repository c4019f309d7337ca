"""Schemas of state that no user sees: operators write and read it in layouts of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamz_actors.serde.formats import Format
from streamz_actors.serde.schema import Schema

WriteAll = Callable[[Sequence[Any]], list[bytes | None]]
"""Writes a column without None in it."""


def packed(layout: str, write: Callable[[Any], bytes], read: Callable[[bytes], Any]) -> Schema[Any]:
    """`layout` names what the bytes mean, and must change when they do: state of another layout is rebuilt.

    Values count as immutable, so that what was read is kept as an object. Whoever changes one in place owns the store,
    and writes it again with `LoggedStore.keep`.
    """

    def encode(value: Any) -> bytes | None:
        return None if value is None else write(value)

    return Schema(object, f"packed/{layout}", True, False, encode, _format(write, read), (), read)


def packed_by_column(layout: str, write_all: WriteAll, read: Callable[[bytes], Any]) -> Schema[Any]:
    """The same where a column is written quicker as a whole. What `write_all` gives None for is deleted."""

    def encode(value: Any) -> bytes | None:
        return None if value is None else write_all([value])[0]

    form = _format(lambda value: encode(value) or b"", read)
    return _ByColumn(object, f"packed/{layout}", True, False, encode, form, (), read, write_all)


@dataclass(frozen=True, slots=True)
class _ByColumn(Schema[Any]):
    write_all: WriteAll = field(repr=False, compare=False)

    def encode_all(self, values: Sequence[Any]) -> list[bytes | None]:
        return self.write_all(values)


def _format(write: Callable[[Any], bytes], read: Callable[[bytes], Any]) -> Format:
    return Format(write, read, _nothing, _never_wrong, frozenset(), _unsure)


def _nothing(value: Any) -> None:
    """What an operator made needs no check."""


def _never_wrong(value: Any, raw: bytes) -> None:
    """Nor a second look."""


def _unsure(kinds: set[type], values: Any, raws: list[bytes]) -> bool:
    return True
