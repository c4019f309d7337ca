"""What follows when one of several processes ends: its group is told, it is started again, or all end. Pure."""

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 30.0
SETTLED: Final = 60.0
"""Seconds: before the first new start, before any later one at most, and after which a ready process counts as well."""

HOME: Final = 2.0
"""Seconds for which a static member that died keeps its tasks: it is back before others would have restored them."""

WRONG: Final = 2
"""The exit code of a process that was called or configured wrongly: starting it again will not help."""


@dataclass(frozen=True, slots=True)
class End:
    """How one life of a process ended. Times are in seconds; `message` is what it said of its failure, or ""."""

    code: int
    """As the operating system gives it: below zero it is a signal."""
    lasted: float
    ready_for: float = 0.0
    """Since it was first ready; 0 if it never was."""
    message: str = ""

    def __str__(self) -> str:
        if self.code < 0:
            how = f"was ended by {_signal(-self.code)}"
        else:
            how = f"failed with code {self.code}" if self.code else "ended by itself"
        reason = f": {self.message}" if self.message else ""
        return f"{how} after {self.lasted:.1f} s{reason}"


class Backoff:
    """The pauses between the lives of one process: each twice the one before, from the start after a good life."""

    def __init__(self, first: float = FIRST, longest: float = LONGEST, settled: float = SETTLED) -> None:
        self._first, self._longest, self._settled = first, longest, settled
        self._next = first

    def after(self, end: End) -> float:
        """Seconds until the next start."""
        if end.ready_for >= self._settled:
            self._next = self._first
        pause = self._next
        self._next = min(2 * pause, self._longest)
        return pause


def hopeless(end: End, *, any_ready: bool) -> bool:
    """Whether an end is that of all: wrongly called or configured, and no process has ever worked."""
    return end.code == WRONG and not any_ready


def is_missed(end: End, *, static: bool, pause: float) -> bool:
    """Whether the group is to be told that a member is gone; `pause` is what lies before its next start.

    One that ended well has left by itself, or is a static member that is expected back.
    """
    return end.code != 0 and (not static or pause > HOME)


def exit_code(ends: Iterable[End]) -> int:
    """Of all processes together, by the last end of each: theirs where they agree, else 1 for a failure."""
    codes = {end.code if end.code > 0 else 1 for end in ends if end.code}
    return codes.pop() if len(codes) == 1 else min(len(codes), 1)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
