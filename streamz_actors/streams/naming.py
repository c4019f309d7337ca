"""Names of what the user did not name: the way from the source, in the user's own words. Never a counter."""

import re
from collections.abc import Callable
from typing import Any

from streamz_actors.errors import TopologyError

_LEGAL = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST = 180
"""Kafka takes 249 characters for a topic; the application's id and a suffix are still to come."""


def path(base: str, operation: str, function: Callable[..., Any] | None = None) -> str:
    """`orders` → `orders-filter`, or `orders-filter-is_large` where the function has a name."""
    name = getattr(function, "__name__", "")
    named = _LEGAL.fullmatch(name) is not None and not isinstance(function, type)
    return f"{base}-{operation}-{name}" if named else f"{base}-{operation}"


def checked(name: str, what: str) -> str:
    """The name, if topics on the broker can be called after it."""
    if not _LEGAL.fullmatch(name) or name in (".", ".."):
        raise TopologyError(f"{what} {name!r}: a name has letters, digits, '.', '_' and '-' only")
    if len(name) > _LONGEST:
        raise TopologyError(f"{what} {name!r}: a name of {len(name)} characters is too long for a topic: pass name=")
    return name


def source_name(names: tuple[str, ...]) -> str:
    """What a path from these topics begins with."""
    return "-".join(re.sub(r"[^A-Za-z0-9._-]+", "_", name) for name in names)
