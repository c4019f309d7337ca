"""Values of settings: what each type takes, as text and as it is."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off"})


def typed(kind: type, value: object) -> object:
    """A value that came with a type; it must be the setting's, give or take what Python calls equal."""
    if kind is float and type(value) is int:
        return float(value)
    if kind is Path and isinstance(value, str | Path):
        return _path(value)
    if kind is tuple and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if kind is dict and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return dict(value)
    if kind in (bool, int, float, str) and isinstance(value, kind) and isinstance(value, bool) is (kind is bool):
        return value
    raise ValueError


def _path(value: str | Path) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # `~somebody` who does not exist
        raise ValueError(str(error)) from error


def _bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError
    return word in TRUE


def _object(text: str) -> object:
    try:
        return typed(dict, json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from None


PARSERS: Final[Mapping[type, Callable[[str], object]]] = {
    bool: _bool,
    int: int,
    float: float,
    str: str,
    Path: _path,
    tuple: lambda text: tuple(filter(None, (part.strip() for part in text.split(",")))),
    dict: _object,
}
"""What reads a value of each type from text; ValueError for what is none."""

WORDS: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "text",
    Path: "a path",
    tuple: "a list of names (as text: with commas between)",
    dict: "a table (as text: a JSON object)",
}
"""What a value must be, for messages."""
