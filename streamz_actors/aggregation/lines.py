"""Rows put into windows of one size: a *line* for each window that a row is in, as columns."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, repeat
from typing import Any

from streamz_actors.dataflow.batch import Column
from streamz_actors.windows.definitions import Hopping, Tumbling, Unlimited


class Lines:
    """In the order of rows, and of one row's windows the earliest first: these follow one another, `advance` apart.

    `rows` are those that are in windows, None: all of them. For each, `firsts` has the start of its first window,
    `counts` how many it is in, None: one.
    """

    __slots__ = ("advance", "counts", "firsts", "rows")

    def __init__(self, rows: list[int] | None, firsts: list[int], counts: list[int] | None, advance: int) -> None:
        self.rows, self.firsts, self.counts, self.advance = rows, firsts, counts, advance

    def __len__(self) -> int:
        return len(self.firsts) if self.counts is None else sum(self.counts)

    @property
    def numbers(self) -> Sequence[int]:
        """The rows that are in windows."""
        return range(len(self.firsts)) if self.rows is None else self.rows

    @property
    def each(self) -> Iterable[int]:
        """How many windows each of them is in."""
        return repeat(1, len(self.firsts)) if self.counts is None else self.counts

    @property
    def starts(self) -> list[int]:
        """The window of each line."""
        if self.counts is None:
            return self.firsts
        return list(chain.from_iterable(map(self.span, self.firsts, self.counts)))

    @property
    def highest(self) -> int:
        """The latest start."""
        return max(first + (count - 1) * self.advance for first, count in zip(self.firsts, self.each, strict=True))

    def row(self, line: int) -> int:
        """The row of a line."""
        numbers = self.numbers
        return numbers[line] if self.counts is None else numbers[bisect_right(list(accumulate(self.counts)), line)]

    def span(self, first: int, count: int) -> range:
        """The starts of one row's windows."""
        return range(first, first + count * self.advance, self.advance)

    def picked(self, column: Sequence[Any]) -> Sequence[Any]:
        """A column of all rows as one of those that are in windows."""
        return column if self.rows is None else [column[row] for row in self.rows]

    def of(self, column: Sequence[Any]) -> Column:
        """A column of all rows as one of lines."""
        picked = self.picked(column)
        if self.counts is not None:
            return list(chain.from_iterable(map(repeat, picked, self.counts)))
        return picked if isinstance(picked, list) else list(picked)

    def up_to(self, row: int) -> int:
        """How many of the rows in windows come before the row behind this one."""
        return row + 1 if self.rows is None else bisect_right(self.rows, row)

    def part(self, first: int, last: int) -> "Lines":
        """Those of the rows in windows from the first to the one before the last."""
        if first == 0 and last == len(self.firsts):
            return self
        counts = None if self.counts is None else self.counts[first:last]
        return Lines(list(self.numbers[first:last]), self.firsts[first:last], counts, self.advance)

    def one(self, row: int, start: int) -> "Lines":
        """A single one, of its kind."""
        return Lines([row], [start], None if self.counts is None else [1], self.advance)


Spread = Callable[[list[int]], Lines]
"""Puts rows, given by their times, into windows. A time before the epoch is in none."""


def spread_of(window: Tumbling | Hopping | Unlimited) -> Spread:
    if isinstance(window, Tumbling):
        return _tumbling(window.size)
    return _hopping(window) if isinstance(window, Hopping) else _unlimited(window.start)


def _only(lines: Lines, mask: Iterable[bool]) -> Lines:
    rows = [row for row, wanted in enumerate(mask) if wanted]
    return Lines(rows, [lines.firsts[row] for row in rows], lines.counts, lines.advance)


def _tumbling(size: int) -> Spread:
    def spread(times: list[int]) -> Lines:
        lines = Lines(None, [time - time % size for time in times], None, size)
        return lines if not times or min(times) >= 0 else _only(lines, [time >= 0 for time in times])

    return spread


def _hopping(window: Hopping) -> Spread:
    size, advance = window.size, window.advance

    def spread(times: list[int]) -> Lines:
        if not times or min(times) < size:
            return early(times)
        firsts = [(time - size) // advance * advance + advance for time in times]
        if size % advance == 0:
            return Lines(None, firsts, [size // advance] * len(times), advance)
        counts = [(time - first) // advance + 1 for time, first in zip(times, firsts, strict=True)]
        return Lines(None, firsts, counts, advance)

    def early(times: list[int]) -> Lines:
        """No window begins before the epoch."""
        found = [(row, starts) for row, time in enumerate(times) if (starts := window.starts(time))]
        return Lines([row for row, _ in found], [at[0] for _, at in found], [len(at) for _, at in found], advance)

    return spread


def _unlimited(start: int) -> Spread:
    def spread(times: list[int]) -> Lines:
        lines = Lines(None, [start] * len(times), None, 1)
        return lines if not times or min(times) >= start else _only(lines, [time >= start for time in times])

    return spread
