"""What suppressing a table's changes waits for, and how much may wait."""

from dataclasses import dataclass
from typing import Final, Literal

from streamz_actors.errors import ConfigError
from streamz_actors.windows.definitions import Duration, Hopping, Session, Sliding, Tumbling, Window, milliseconds

Overflow = Literal["emit_early", "shut_down"]

OVERFLOWS: Final = ("emit_early", "shut_down")


@dataclass(frozen=True, slots=True)
class Until:
    """Made by `until_window_closes` and `until_time_limit`."""

    limit: int | None
    """Ms of stream time that a change waits; None: until its window closes."""
    max_records: int | None
    max_bytes: int | None
    overflow: Overflow


def until_window_closes(*, max_records: int | None = None, max_bytes: int | None = None) -> Until:
    """One result for each window, when it has closed: at its end and grace. Tombstones are left out.

    `max_records`, `max_bytes`: what may wait in one partition; more stops the worker, as nothing may leave early.
    """
    return _checked(Until(None, max_records, max_bytes, "shut_down"))


def until_time_limit(
    limit: Duration,
    *,
    max_records: int | None = None,
    max_bytes: int | None = None,
    overflow: Overflow = "emit_early",
) -> Until:
    """The latest change of each key, once stream time has passed the first that waits by `limit`.

    `max_records`, `max_bytes`: what may wait in one partition. Where that is exceeded, the earliest leave early, or the
    worker stops.
    """
    return _checked(Until(milliseconds(limit, "limit"), max_records, max_bytes, overflow))


def _checked(until: Until) -> Until:
    bounds: dict[str, object] = {"max_records": until.max_records, "max_bytes": until.max_bytes}
    for name, bound in bounds.items():
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 0):
            raise ConfigError(f"{name}={bound!r}: a whole number is wanted")
    if until.overflow not in OVERFLOWS:
        raise ConfigError(f'overflow={until.overflow!r}: "emit_early" or "shut_down" is wanted')
    return until


def closing_after(window: Window) -> int | None:
    """Ms of stream time from a window's end to its close; None for windows that do not close by time."""
    match window:
        case Session():
            return window.gap + window.grace
        case Tumbling() | Hopping() | Sliding():
            return window.grace
        case _:
            return None
