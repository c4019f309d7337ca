"""The windows there are, as values: which windows a timestamp belongs to, when one closes, how long state is kept.

Sizes, gaps, advances and grace periods are given in seconds or as `timedelta` and kept in whole milliseconds. Time is
event time, in ms since the epoch. The rules are those of Kafka Streams 4.x; `docs/reference/semantics.md` tells them.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from streamz_actors.errors import ConfigError

Duration = float | timedelta
"""Seconds, or a timedelta."""

FOREVER: Final = 2**63 - 1
"""The end of a window that has none, in ms."""


def milliseconds(given: Duration, what: str, *, least: int = 0) -> int:
    """A duration in ms. Raises ConfigError for one below `least`, and for what is not whole milliseconds."""
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigError(f"{what}={given!r}: seconds or a timedelta are wanted")
    exact = seconds * 1000
    if not abs(exact) < 2**62:
        raise ConfigError(f"{what}={given!r}: that is no duration")
    whole = round(exact)
    if abs(exact - whole) > 1e-6 * max(1.0, abs(exact)):
        raise ConfigError(f"{what}={given!r}: time is kept in whole milliseconds")
    if whole < least:
        raise ConfigError(f"{what}={given!r}: at least {least} ms are needed")
    return whole


class _Aligned:
    """What windows of one size have in common that begin at every multiple of `advance`."""

    __slots__ = ()
    size: int
    advance: int
    grace: int

    @property
    def retention(self) -> int:
        """Ms that a window is kept, counted from its start."""
        return self.size + self.grace

    def starts(self, timestamp: int) -> range:
        """The starts of the windows that a timestamp belongs to, rising. None begins before 0."""
        return starts(timestamp, self.size, self.advance)


@dataclass(frozen=True, slots=True, init=False)
class Tumbling(_Aligned):
    """Windows of one size, one after the other: start <= timestamp < end, starts at multiples of the size.

    A window takes records until stream time has passed its end by `grace`; later ones are late.
    """

    size: int
    grace: int
    advance: int = field(repr=False)

    def __init__(self, size: Duration, grace: Duration = 0) -> None:
        object.__setattr__(self, "size", milliseconds(size, "size", least=1))
        object.__setattr__(self, "grace", milliseconds(grace, "grace"))
        object.__setattr__(self, "advance", self.size)


@dataclass(frozen=True, slots=True, init=False)
class Hopping(_Aligned):
    """Windows of one size that begin at every multiple of `advance`: with a smaller advance than size they overlap."""

    size: int
    advance: int
    grace: int

    def __init__(self, size: Duration, advance: Duration, grace: Duration = 0) -> None:
        object.__setattr__(self, "size", milliseconds(size, "size", least=1))
        object.__setattr__(self, "advance", milliseconds(advance, "advance", least=1))
        object.__setattr__(self, "grace", milliseconds(grace, "grace"))
        if self.advance > self.size:
            raise ConfigError(f"advance={advance!r} is more than size={size!r}: what lies between is in no window")


@dataclass(frozen=True, slots=True, init=False)
class Unlimited:
    """One window without an end for each key: start <= timestamp. What is before `start` is in no window.

    It never closes, nothing is late for it, and it is kept for ever. Its end is shown as FOREVER.
    """

    start: int

    def __init__(self, start: Duration | datetime = 0) -> None:
        """`start` is a moment, or seconds since the epoch."""
        since = start.timestamp() if isinstance(start, datetime) else start
        object.__setattr__(self, "start", milliseconds(since, "start"))


@dataclass(frozen=True, slots=True)
class CountWindow:
    """Windows of `size` records of one key, one after the other, in the order in which they are read.

    Time is not asked, and nothing is late; a window closes with its last record. Bounds count the records of the key
    from 0: start <= number < end.
    """

    size: int

    def __post_init__(self) -> None:
        size: object = self.size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"size={self.size!r}: a whole number of records is wanted")


@dataclass(frozen=True, slots=True, init=False)
class Sliding:
    """A window for every set of records that lie at most `size` apart: both bounds belong to it.

    Each record ends one window (of itself and what came up to `size` before it) and begins one just behind it.
    """

    size: int
    grace: int

    def __init__(self, size: Duration, grace: Duration = 0) -> None:
        object.__setattr__(self, "size", milliseconds(size, "size"))
        object.__setattr__(self, "grace", milliseconds(grace, "grace"))

    @property
    def retention(self) -> int:
        return 2 * self.size + self.grace


@dataclass(frozen=True, slots=True, init=False)
class Session:
    """Records of a key with less than or exactly `gap` between one and the next. Bounds are those of the records."""

    gap: int
    grace: int

    def __init__(self, gap: Duration, grace: Duration = 0) -> None:
        object.__setattr__(self, "gap", milliseconds(gap, "gap", least=1))
        object.__setattr__(self, "grace", milliseconds(grace, "grace"))

    @property
    def retention(self) -> int:
        """Ms that a session is kept, counted from its end."""
        return self.gap + self.grace


@dataclass(frozen=True, slots=True, init=False)
class JoinWindow:
    """Which records of two streams meet: right timestamps in [left - before, left + after]."""

    before: int
    after: int
    grace: int

    def __init__(self, before: Duration, after: Duration, grace: Duration = 0) -> None:
        object.__setattr__(self, "before", milliseconds(before, "before", least=-(2**62)))
        object.__setattr__(self, "after", milliseconds(after, "after", least=-(2**62)))
        object.__setattr__(self, "grace", milliseconds(grace, "grace"))
        if self.before + self.after < 0:
            raise ConfigError(f"before={before!r} and after={after!r}: the window ends before it begins")

    @property
    def size(self) -> int:
        return self.before + self.after

    @property
    def retention(self) -> int:
        """Ms that a record waits for partners, counted from its timestamp."""
        return self.before + self.after + self.grace


Window = Tumbling | Hopping | Sliding | Session | Unlimited | CountWindow
"""What a grouped stream can be aggregated in."""


def starts(timestamp: int, size: int, advance: int) -> range:
    """The starts of the windows of one size that hold a timestamp, rising: multiples of `advance`, none below 0."""
    first = max(0, timestamp - size + advance) // advance * advance
    return range(first, timestamp + 1, advance)
