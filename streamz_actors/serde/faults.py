"""What went wrong in a codec, said in this package's words: the field and the reason out of other libraries' errors."""

import re
from typing import Any

import msgspec

from streamz_actors.errors import DecodeError, EncodeError

_PLACE = re.compile(r" - at (?P<key>`key` in )?`(?P<path>[^`]+)`$")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`$")


def decode_error(error: Exception, codec: str) -> DecodeError:
    """The `DecodeError` for what decoding with `codec` raised; the caller chains it."""
    if isinstance(error, DecodeError):
        return error
    reason, field = reason_and_field(error)
    if not isinstance(error, msgspec.MsgspecError) and not field:
        reason = f"not readable as {codec}: {reason}"
    return DecodeError(reason, field=field)


def encode_error(error: Exception, name: str) -> EncodeError:
    """The `EncodeError` for what encoding a value of the type called `name` raised."""
    reason, field = reason_and_field(error)
    return refusal(name, reason, field)


def refusal(name: str, reason: str, field: str = "") -> EncodeError:
    """An `EncodeError` about a value that should have been of the type called `name`."""
    return EncodeError(f"{name}: field {field}: {reason}" if field else f"{name}: {reason}")


def wrong_class(name: str, value: Any) -> EncodeError:
    return refusal(name, f"got {value!r:.100}, a {type(value).__qualname__}")


def reason_and_field(error: Exception) -> tuple[str, str]:
    """Why, and the path (`$.a.b[0]`, or "" for the whole value) of what could not be read."""
    if isinstance(error, msgspec.MsgspecError):
        return _from_msgspec(str(error))
    # Pydantic is known by its shape, so that it need not be there.
    if hasattr(error, "errors"):
        return from_pydantic(error)
    return f"{type(error).__name__}: {error}", ""


def _from_msgspec(text: str) -> tuple[str, str]:
    """msgspec ends its messages with the place: ``... - at `$.account` ``; a missing field it names in the text."""
    path = ""
    if place := _PLACE.search(text):
        path, text = place["path"], text[: place.start()]
        if place["key"]:
            text = f"{text} (a key)"
    if missing := _MISSING.search(text):
        path = f"{path or '$'}.{missing['name']}"
    return text, path


def from_pydantic(error: Any) -> tuple[str, str]:
    """The first of a pydantic ValidationError's findings, and how many more there are."""
    first, *others = error.errors(include_url=False, include_input=False)
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
    more = f" (and {len(others)} more)" if others else ""
    return f"{first['msg']}{more}", f"${path}" if path else ""
