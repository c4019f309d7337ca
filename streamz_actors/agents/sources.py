"""Which rows of which batches the rows of a column came of."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter

from streamz_actors.dataflow.batch import Batch


class Sources:
    """Grows by runs: one note for all rows that are added together."""

    __slots__ = ("_runs", "rows")

    def __init__(self) -> None:
        self._runs: list[tuple[int, Batch, Sequence[int]]] = []
        """Each with the number of its first row."""
        self.rows = 0

    def add(self, batch: Batch, rows: Sequence[int]) -> None:
        """`rows` stay as they are from now on."""
        self._runs.append((self.rows, batch, rows))
        self.rows += len(rows)

    def cut(self, rows: int) -> None:
        """Drops all but the first `rows`."""
        if rows >= self.rows:
            return
        self.rows = rows
        while self._runs and self._runs[-1][0] >= rows:
            self._runs.pop()
        if self._runs:
            start, batch, run = self._runs[-1]
            self._runs[-1] = (start, batch, run[: rows - start])

    def first(self, rows: int) -> "Sources":
        """Takes the first `rows` out; the others are numbered anew."""
        taken = Sources()
        taken._runs, taken.rows, total = self._runs, self.rows, self.rows
        self._runs, self.rows = [], 0
        for start, batch, run in taken._runs if rows < total else ():
            if start + len(run) > rows:
                self.add(batch, run[max(0, rows - start) :])
        taken.cut(rows)
        return taken

    def __getitem__(self, row: int) -> tuple[Batch, int]:
        start, batch, run = self._runs[bisect_right(self._runs, row, key=itemgetter(0)) - 1]
        return batch, run[row - start]

    def __iter__(self) -> Iterator[tuple[Batch, int]]:
        for _, batch, run in self._runs:
            for row in run:
                yield batch, row
