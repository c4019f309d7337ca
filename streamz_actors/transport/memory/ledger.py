"""What one log knows of transactions: whose are open in it, which records were aborted, where control records stand."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import chain


class Ledger:
    """Producers are the coordinator's numbers. A control record has an offset, and nobody is shown it."""

    def __init__(self) -> None:
        self._open: dict[int, list[range]] = {}  # producer → its stretches; in the order of the transactions' begins
        self._aborted: list[int] = []
        self._controls: list[int] = []

    @property
    def first_open(self) -> int | None:
        """Where the oldest open transaction begins; None: there is none."""
        stretches = next(iter(self._open.values()), None)
        return stretches[0].start if stretches is not None else None

    def add(self, producer: int, first: int, count: int) -> None:
        self._open.setdefault(producer, []).append(range(first, first + count))

    def end(self, producer: int, marker: int, committed: bool) -> None:
        """`marker` is the control record's offset."""
        stretches = self._open.pop(producer, [])
        self._controls.append(marker)
        if not committed:
            self._aborted = sorted(chain(self._aborted, *stretches))

    def hidden(self, start: int, stop: int, committed: bool) -> set[int]:
        """Offsets from `start` on, below `stop`, that a reader (of committed records only?) is not shown."""
        found = set(between(self._controls, start, stop))
        return found.union(between(self._aborted, start, stop)) if committed else found

    def forget_before(self, offset: int) -> None:
        """The log holds nothing below this any more."""
        self._aborted = self._aborted[bisect_left(self._aborted, offset) :]
        self._controls = self._controls[bisect_left(self._controls, offset) :]


def between(offsets: list[int], start: int, stop: int) -> Iterable[int]:
    return offsets[bisect_left(offsets, start) : bisect_left(offsets, stop)]
