"""The events of one actor, in order, and where it stands among them.

An event is in hand from the moment it is given out until the next one is asked for: then it is done. What is in hand
and what waits is unfinished; offsets are committed only below the lowest unfinished one. An event that is to be tried
again waits beside the others (`parking`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from streamz_actors.agents.parking import Parked, Parking, Rows
from streamz_actors.clock import Clock
from streamz_actors.dataflow.batch import Batch
from streamz_actors.errors import EncodeError
from streamz_actors.types import TopicPartition


class Lane:
    """`batch`, `rows` and `at` are the run being gone through, and where.

    In hand is either the one row at `at` (`holding`), or what a list was made of (`hand`). `wake` is called when the
    last event waiting is done; with `eager`, for each event done. `passed` is told how many rows were done since it
    was told last: at the latest when a run has ended.
    """

    __slots__ = (
        "_known",
        "_parking",
        "_passed",
        "_queue",
        "_queued",
        "_retried",
        "_tries",
        "_waiter",
        "_wake",
        "at",
        "batch",
        "closed",
        "eager",
        "hand",
        "holding",
        "hurried",
        "orderly",
        "rows",
        "timer_waits",
        "total",
        "turn",
    )

    def __init__(self, wake: Callable[[], None], passed: Callable[[int], None] = lambda rows: None) -> None:
        self._wake, self._passed = wake, passed
        self._known = 0
        """Rows that are unfinished as far as was told."""
        self._queue: deque[Rows] = deque()
        self._queued = 0
        self._parking = Parking(self._due)
        self._retried: Parked | None = None
        """The parked event whose time has come, until it is done or parked again: it is the run, or in hand."""
        self._tries = 0
        """Failed attempts of what was put back and comes next."""
        self._waiter: asyncio.Future[None] | None = None
        self.batch: Batch | None = None
        self.rows: Sequence[int] = ()
        self.at = 0
        self.hand: list[Rows] = []
        self.holding = False
        self.total = 0
        """Rows that have come since the start."""
        self.turn = object()
        """Another object as soon as an iteration can no longer go on by itself: closed, or somebody else reads on."""
        self.closed = False
        """Nothing is given out: the worker stops, or its group rebalances."""
        self.hurried = False
        """A commit waits for what is here: no list waits for more events."""
        self.eager = False
        self.orderly = False
        """An event that failed is waited for: none is done before those that came before it."""
        self.timer_waits = 0
        """Above 0 while the actor waits for a timer of the framework."""

    @property
    def count(self) -> int:
        """Rows unfinished."""
        count = self._queued + len(self.rows) - self.at + self._parking.rows
        return count + sum(len(rows) for _, rows in self.hand) if self.hand else count

    @property
    def finished(self) -> int:
        """Rows done since the start."""
        return self.total - self.count

    def put(self, batch: Batch, rows: Sequence[int]) -> None:
        self._queue.append((batch, rows))
        self._queued += len(rows)
        self._known += len(rows)
        self.total += len(rows)
        self.poke()

    @property
    def waiting(self) -> bool:
        """Whether the actor waits here with nothing to do, or for a timer."""
        return self.timer_waits > 0 or (self._waiter is not None and not self._waiter.done())

    def ready(self) -> bool:
        """Moves to the next run if the current one is used up; whether there is an event to give out."""
        if self.closed:
            return False
        if self._parking.due and self._retried is None and not self._tries:
            self._bring(self._parking.next())
        while self.at >= len(self.rows):
            if not self._queue:
                self.batch, self.rows, self.at = None, (), 0
                return False
            self.batch, rows = self._queue.popleft()
            self._queued -= len(rows)
            self.rows, self.at = self._parking.divert(self.batch, rows) if self._parking.keys else rows, 0
        return True

    def _bring(self, event: Parked) -> None:
        """A parked event becomes the run; what is left of the present one comes after it."""
        rest = self.rows[self.at :]
        if self.batch is not None and rest:
            self._queue.appendleft((self.batch, rest))
            self._queued += len(rest)
        self._retried = event
        self.batch, self.rows, self.at = event.batch, (event.row,), 0

    def _due(self) -> None:
        """The time of a parked event has come: whoever goes through a run ends with the event at hand."""
        self.turn = object()
        self.poke()

    async def wait(self) -> None:
        """Returns when there may be an event, at once if there is one."""
        if self.ready():
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def poke(self) -> None:
        """Ends a `wait`: something has changed, if only the time."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Nothing is given out from now on; what is in hand goes on to its end, which is told."""
        self.closed = True
        self.turn = object()

    def open(self) -> None:
        """Goes on after `close` where it stood."""
        self.closed = False
        self.poke()

    def grab(self, limit: int) -> int:
        """Moves up to `limit` rows from the run into the hand; how many."""
        assert self.batch is not None
        rows = self.rows[self.at : self.at + limit]
        self.hand.append((self.batch, rows))
        self.at += len(rows)
        return len(rows)

    @property
    def busy(self) -> bool:
        """Whether anything is in hand."""
        return self.holding or bool(self.hand)

    def in_hand(self) -> list[Rows]:
        """The rows given out and not done."""
        if self.holding and self.batch is not None:
            return [(self.batch, self.rows[self.at : self.at + 1])]
        return list(self.hand)

    @property
    def attempts(self) -> int:
        """How often what is in hand has failed before."""
        return self._tries if self._retried is None else self._retried.attempts

    def park(self, seconds: float, clock: Clock) -> bool:
        """The event in hand has failed and comes again after `seconds`, the later ones of its key behind it; the others
        go on. False if that can't be: a list is in hand, or too many wait already.
        """
        batch = self.batch
        if not self.holding or batch is None or self.orderly or self._parking.full:
            return False
        row = self.rows[self.at]
        try:
            event = self._retried or Parked(batch.encoded_keys(batch.key_schema)[row], batch, row)
        except EncodeError:  # nobody knows then which events are of one key
            return False
        event.attempts = self.attempts + 1
        rest = self.rows[self.at + 1 :]
        self._retried, self._tries, self.holding = None, 0, False
        self._parking.park(event, seconds, clock)
        self.rows, self.at = self._parking.divert(batch, rest) if rest and self._parking.keys else rest, 0
        self._count_passed()
        return True

    def done(self) -> None:
        """What is in hand is finished."""
        if self.holding:
            self.holding = False
            self.at += 1
        self.hand.clear()
        self._tries = 0
        if self._retried is not None:
            self._release(self._retried)
        left = self._count_passed()
        if self.eager or self.closed or not left:
            self._wake()

    def _release(self, event: Parked) -> None:
        """What waited behind an event comes next."""
        self._retried = None
        behind = self._parking.release(event)
        if not behind:
            return
        rest = self.rows[self.at :]
        if self.batch is not None and rest:
            behind = [*behind, (self.batch, rest)]
        self._queue.extendleft(reversed(behind))
        self._queued += sum(len(rows) for _, rows in behind)
        self.batch, self.rows, self.at = None, (), 0

    def _count_passed(self) -> int:
        """Tells how many rows were done since it was told last; how many are left."""
        left = self.count
        self._passed(self._known - left)
        self._known = left
        return left

    def put_back(self) -> None:
        """What is in hand has failed and comes again, as the next."""
        if self._retried is not None:
            self._retried.attempts += 1
        else:
            self._tries += 1
        self.holding = False
        if not self.hand:  # alone, so that it is told when it is done: the next one's attempts are its own
            rest = self.rows[self.at + 1 :]
            if self.batch is not None and rest:
                self._queue.appendleft((self.batch, rest))
                self._queued += len(rest)
            self.rows, self.at = self.rows[self.at : self.at + 1], 0
            return
        rest = self.rows[self.at :]
        if self.batch is not None and rest:
            self.hand.append((self.batch, rest))
        self.batch, self.rows, self.at = None, (), 0
        self._queue.extendleft(reversed(self.hand))
        self._queued += sum(len(rows) for _, rows in self.hand)
        self.hand.clear()

    def lowest(self, into: dict[TopicPartition, int]) -> None:
        """Lowers `into` to the lowest unfinished offset of each source partition."""
        for batch, rows in self.hand:
            _lower(into, batch, rows[0])
        if self.batch is not None and self.at < len(self.rows):
            _lower(into, self.batch, self.rows[self.at])
        for batch, rows in self._queue:
            _lower(into, batch, rows[0])
        for batch, rows in self._parking.waiting():
            _lower(into, batch, rows[0])

    def stop(self) -> None:
        """No timer of it will fire any more."""
        self._parking.clear()


def _lower(into: dict[TopicPartition, int], batch: Batch, row: int) -> None:
    offset = batch.offsets[row]
    if into.get(batch.origin, offset) >= offset:
        into[batch.origin] = offset
