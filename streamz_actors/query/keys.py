"""Keys as the outside writes them: text of a URL, a cursor between two pages."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final

from streamz_actors.errors import DecodeError, UsageError
from streamz_actors.serde.plain import reader, to_json
from streamz_actors.serde.schema import Schema

_CURSOR: Final = "k"
"""In front of every cursor: that of the empty key is text, too."""


def key_reader(schema: Schema[Any]) -> Callable[[str], list[Any]]:
    """What reads keys out of texts: those that a text can stand for, most likely first.

    First comes the text itself, then the text read as JSON. So `42` is a number where keys are numbers, and either
    where they have no type; keys of bytes are written in base64, as answers show them. Raises DecodeError for a text
    that can be no key of the type.
    """
    if schema.type is str:
        return lambda text: [text]
    read = reader(schema.type, key=True)
    spelled: tuple[Callable[[str], bytes], ...] = (to_json,) if schema.type is bytes else (to_json, str.encode)

    def keys_in(text: str) -> list[Any]:
        keys: list[Any] = []
        errors: list[DecodeError] = []
        for spell in spelled:
            try:
                key = read(spell(text))
            except DecodeError as error:
                errors.append(error)
                continue
            if key is not None and key not in keys:
                keys.append(key)
        if not keys:
            raise errors[0]
        return keys

    return keys_in


def cursor_of(raw: bytes) -> str:
    """Says that a page ended with this encoded key; safe in a URL."""
    return _CURSOR + urlsafe_b64encode(raw).decode().rstrip("=")


def key_behind(cursor: str) -> bytes:
    """The encoded key of a cursor. Raises UsageError for what is none."""
    text = cursor.removeprefix(_CURSOR)
    try:
        if text == cursor:
            raise ValueError
        return b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        raise UsageError(f"{cursor!r} is no cursor: take it from the page before, unchanged") from None
