"""Rows put into windows of one size: a *line* for each window that a row is in, as columns."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any

from streamz_actors.dataflow.batch import Column
from streamz_actors.windows.definitions import Hopping, Tumbling, Unlimited


class Lines:
    """In the order of rows, and of one row's windows the earliest first. `rows` is None where line i is row i."""

    __slots__ = ("rows", "starts")

    def __init__(self, rows: list[int] | None, starts: list[int]) -> None:
        self.rows, self.starts = rows, starts

    def __len__(self) -> int:
        return len(self.starts)

    def row(self, line: int) -> int:
        return line if self.rows is None else self.rows[line]

    def of(self, column: Sequence[Any]) -> Column:
        """A column of rows as one of lines."""
        rows = self.rows
        if rows is None:
            return column if isinstance(column, list) else list(column)
        return [column[rows[0]]] if len(rows) == 1 else list(itemgetter(*rows)(column)) if rows else []

    def only(self, mask: Sequence[bool]) -> "Lines":
        rows = range(len(self.starts)) if self.rows is None else self.rows
        return Lines(list(compress(rows, mask)), list(compress(self.starts, mask)))

    def up_to(self, row: int) -> int:
        """One past the last line of a row, or of those before it."""
        return row + 1 if self.rows is None else bisect_right(self.rows, row)

    def part(self, first: int, last: int) -> "Lines":
        """The lines first <= line < last."""
        if first == 0 and last == len(self):
            return self
        rows = range(len(self)) if self.rows is None else self.rows
        return Lines(list(rows[first:last]), self.starts[first:last])


Spread = Callable[[list[int]], Lines]
"""Puts rows, given by their times, into windows. A time before the epoch is in none."""


def spread_of(window: Tumbling | Hopping | Unlimited) -> Spread:
    if isinstance(window, Tumbling):
        return _tumbling(window.size)
    return _hopping(window) if isinstance(window, Hopping) else _unlimited(window.start)


def _tumbling(size: int) -> Spread:
    def spread(times: list[int]) -> Lines:
        lines = Lines(None, [time - time % size for time in times])
        return lines if not times or min(times) >= 0 else lines.only([time >= 0 for time in times])

    return spread


def _hopping(window: Hopping) -> Spread:
    # Where the size is a multiple of the advance, all times between two starts are in the same windows.
    step = window.advance if window.size % window.advance == 0 else 1

    def spread(times: list[int]) -> Lines:
        known: dict[int, range] = {}
        rows: list[int] = []
        starts: list[int] = []
        for row, time in enumerate(times):
            place = time - time % step
            found = known.get(place)
            if found is None:
                found = known[place] = window.starts(place)
            starts.extend(found)
            rows.extend([row] * len(found))
        return Lines(rows, starts)

    return spread


def _unlimited(start: int) -> Spread:
    def spread(times: list[int]) -> Lines:
        lines = Lines(None, [start] * len(times))
        return lines if not times or min(times) >= start else lines.only([time >= start for time in times])

    return spread
