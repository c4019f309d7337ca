"""The events of one actor, in order, and where it stands among them.

An event is in hand from the moment it is given out until the next one is asked for: then it is done. What is in hand
and what waits is unfinished; offsets are committed only below the lowest unfinished one.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from streamz_actors.dataflow.batch import Batch
from streamz_actors.types import TopicPartition

Rows = tuple[Batch, Sequence[int]]
"""Some rows of a batch, by index."""


class Lane:
    """`batch`, `rows` and `at` are the run being gone through, and where.

    In hand is either the one row at `at` (`holding`), or what a list was made of (`hand`).
    """

    __slots__ = (
        "_queue",
        "_waiter",
        "at",
        "batch",
        "closed",
        "count",
        "eager",
        "hand",
        "holding",
        "rows",
        "timer_waits",
    )

    def __init__(self) -> None:
        self._queue: deque[Rows] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.batch: Batch | None = None
        self.rows: Sequence[int] = ()
        self.at = 0
        self.hand: list[Rows] = []
        self.holding = False
        self.count = 0
        """Rows unfinished."""
        self.closed = False
        """Nothing is given out any longer: the worker stops."""
        self.eager = False
        """Whether each event done is to be told, not only the last one waiting."""
        self.timer_waits = 0
        """Above 0 while the actor waits for a timer of the framework."""

    def put(self, batch: Batch, rows: Sequence[int]) -> None:
        self._queue.append((batch, rows))
        self.count += len(rows)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def waiting(self) -> bool:
        """Whether the actor waits here with nothing to do, or for a timer."""
        return self.timer_waits > 0 or (self._waiter is not None and not self._waiter.done())

    def ready(self) -> bool:
        """Moves to the next run if the current one is used up; whether there is an event to give out."""
        if self.closed:
            return False
        if self.batch is not None and self.at < len(self.rows):
            return True
        if not self._queue:
            self.batch, self.rows, self.at = None, (), 0
            return False
        self.batch, self.rows = self._queue.popleft()
        self.at = 0
        return self.ready()

    async def wait(self) -> None:
        """Returns when `put` is called, at once if rows are waiting in the queue."""
        if self._queue and not self.closed:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def poke(self) -> None:
        """Ends a `wait` without a row: a time limit has passed."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def grab(self, limit: int) -> int:
        """Moves up to `limit` rows from the run into the hand; how many."""
        assert self.batch is not None
        rows = self.rows[self.at : self.at + limit]
        self.hand.append((self.batch, rows))
        self.at += len(rows)
        return len(rows)

    def in_hand(self) -> list[Rows]:
        """The rows given out and not done."""
        if self.holding and self.batch is not None:
            return [(self.batch, self.rows[self.at : self.at + 1])]
        return list(self.hand)

    def done(self) -> None:
        """What is in hand is finished."""
        if self.holding:
            self.holding = False
            self.at += 1
            self.count -= 1
            return
        for _, rows in self.hand:
            self.count -= len(rows)
        self.hand.clear()

    def put_back(self) -> None:
        """What is in hand comes again, as the next."""
        self.holding = False
        if not self.hand:
            return
        if self.batch is not None and self.at < len(self.rows):
            self._queue.appendleft((self.batch, self.rows[self.at :]))
        self.batch, self.rows, self.at = None, (), 0
        self._queue.extendleft(reversed(self.hand))
        self.hand.clear()

    def lowest(self, into: dict[TopicPartition, int]) -> None:
        """Lowers `into` to the lowest unfinished offset of each source partition."""
        for batch, rows in self.hand:
            _lower(into, batch, rows[0])
        if self.batch is not None and self.at < len(self.rows):
            _lower(into, self.batch, self.rows[self.at])
        for batch, rows in self._queue:
            _lower(into, batch, rows[0])


def _lower(into: dict[TopicPartition, int], batch: Batch, row: int) -> None:
    offset = batch.offsets[row]
    if into.get(batch.origin, offset) >= offset:
        into[batch.origin] = offset
