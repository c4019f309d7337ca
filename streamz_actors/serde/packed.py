"""Schemas of state that no user sees: operators write and read it in layouts of their own."""

from collections.abc import Callable
from typing import Any

from streamz_actors.serde.formats import Format
from streamz_actors.serde.schema import Schema


def packed(layout: str, write: Callable[[Any], bytes], read: Callable[[bytes], Any]) -> Schema[Any]:
    """`layout` names what the bytes mean, and must change when they do: state of another layout is rebuilt.

    Values count as immutable, so that what was read is kept as an object. Whoever changes one in place owns the store,
    and writes it again with `LoggedStore.keep`.
    """
    form = Format(write, read, _nothing, _never_wrong, frozenset(), _unsure)

    def encode(value: Any) -> bytes | None:
        return None if value is None else write(value)

    return Schema(object, f"packed/{layout}", True, False, encode, form, (), read)


def _nothing(value: Any) -> None:
    """What an operator made needs no check."""


def _never_wrong(value: Any, raw: bytes) -> None:
    """Nor a second look."""


def _unsure(kinds: set[type], values: Any, raws: list[bytes]) -> bool:
    return True
