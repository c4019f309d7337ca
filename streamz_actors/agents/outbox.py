"""What an actor yields, held until its event is done, then handed to the collector once a turn of the loop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from streamz_actors.agents.channel import Channel
from streamz_actors.agents.columns import Columns, GivenColumns, RefusedOf, TopicColumns
from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.event import Out
from streamz_actors.dataflow.topics import Topic

Call = Callable[[Any], Any]
Yield = tuple[Batch, int, Out[Any]]
"""A yield with the row that it belongs to."""


_NOBODY_S: Final[list[object]] = []
"""What no function yields: at least as many as the longest batch has rows. Shared, for an outbox enters often."""

InHand = Callable[[], tuple[Batch, int] | None]
"""The row of the event that is not done yet: a yield of it may still be taken back."""


class Outbox:
    """The sinks of one actor. An event's yields leave together when it is done, or never.

    What goes to one place under the keys of the rows, the usual case, is noted by row and encoded value, and becomes
    columns a run at a time; all else becomes columns at once. What was noted comes behind what the columns hold.
    """

    def __init__(
        self,
        topics: tuple[Topic[Any, Any], ...],
        calls: tuple[Call, ...],
        channels: tuple[Channel[Any], ...],
        collector: Collector,
        in_hand: InHand,
        refused: RefusedOf,
        given: GivenColumns | None = None,
    ) -> None:
        """`given`: what the operators behind the agent get."""
        columns: tuple[Columns, ...] = tuple(TopicColumns(topic, collector, refused) for topic in topics)
        self._columns = columns if given is None else (*columns, given)
        self._calls, self._channels = calls, channels
        self._in_hand = in_hand
        self.holds = bool(calls or channels)
        """Whether there are functions or channels among the sinks, which are given the yields by `call`."""
        self._held: list[Yield] = []
        self.first: Any = None
        """The event's first yield, where a record can ask for it."""
        self._batch: Batch | None = None
        self._given: Column = []
        """Of the batch that the rows are of: its values where they may pass as they came, else what nobody yields."""
        self._came: Column = []
        """The bytes that they came as."""
        self._encode: Callable[[Any], bytes | None] | None = None
        """Of the only place they go to, where values can be noted."""
        self._noted: list[int] = []
        self._values: list[bytes | None] = []
        self._rows = 0
        """In every column: each yield goes to every place."""
        self._last: tuple[Batch, int] | None = None
        """The row whose yield was the last to become columns."""
        self._before = 0
        """Rows in the columns before those of `_last`."""
        self._scheduled = False
        self.frozen = False
        """Nothing leaves, for it is not certain that the task is still this worker's."""

    def put(self, batch: Batch, index: int, out: Any) -> None:
        if batch is not self._batch:
            self._enter(batch)
        if out is self._given[index]:
            value = self._came[index]
        elif self._encode is not None and type(out) is not Out:
            value = self._encode(out)
        else:
            self._put(batch, index, out)
            return
        self._noted.append(index)
        self._values.append(value)

    def _enter(self, batch: Batch) -> None:
        """The rows to come are of this batch. They leave at the end of this turn of the loop."""
        self._settle()
        self._batch, self._encode = batch, None
        given: Column | None = None
        if len(self._columns) == 1 and not self.holds and batch.headers is None:
            column = self._columns[0]
            if column.takes_rows(batch):
                given, self._encode = column.passed(batch), column.encoder
        self._given = nobody_s(len(batch)) if given is None else given
        self._came = batch.raw_values or []
        if not self._scheduled and self._columns:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _settle(self, index: int = -1) -> int:
        """What was noted becomes columns; how many of the rows, the last ones, are `index`."""
        noted, values, batch = self._noted, self._values, self._batch
        if not noted or batch is None:
            return 0
        self._noted, self._values = [], []
        self._columns[0].extend(batch, noted, values)
        self._rows += len(noted)
        return trailing(noted, index)

    def _put(self, batch: Batch, index: int, out: Any) -> None:
        mine = self._settle(index)
        if self._last != (batch, index):
            self._last, self._before = (batch, index), self._rows - mine
        chosen = type(out) is Out
        if self.first is None:
            self.first = out.value if chosen else out
        for column in self._columns:
            if chosen:
                column.put_out(batch, index, out)
            else:
                column.put(batch, index, out)
        self._rows += 1
        if self.holds:
            self._held.append((batch, index, out if chosen else Out(out)))

    async def call(self) -> None:
        """Gives the event's yields to the functions and channels among the sinks."""
        for batch, index, out in self._held:
            for function in self._calls:
                result = function(out.value)
                if isinstance(result, Awaitable):
                    await result
            for channel in self._channels:
                await channel.send(
                    value=out.value,
                    key=batch.key_at(index) if out.key is None else out.key,
                    timestamp=batch.timestamps[index] if out.timestamp is None else out.timestamp,
                    headers=out.headers,
                )
        self._held.clear()

    def done(self) -> None:
        """The event has come to its end: the next one's first yield is its own."""
        self.first = None

    def drop(self) -> None:
        """The event in hand failed: it yields nothing."""
        self.first = None
        self._held.clear()
        kept = self._finished()
        for column in self._columns:
            column.cut(kept)
        self._rows, self._last = kept, None

    @property
    def holding(self) -> bool:
        """Whether there are yields that have not been handed on."""
        return bool(self._rows or self._noted)

    def flush(self) -> None:
        """Hands on the rows of finished events; those of an event under way stay."""
        self._scheduled = False
        kept = 0 if self.frozen else self._finished()
        if not kept:
            return
        for column in self._columns:
            column.flush(kept)
        self._rows, self._before = self._rows - kept, 0

    def _finished(self) -> int:
        """How many rows of the columns are of finished events, with all that was noted among them."""
        hand = self._in_hand()
        mine = self._settle(hand[1] if hand is not None and hand[0] is self._batch else -1)
        self._batch = None  # so that the next yield sees to its leaving
        if hand is None:
            return self._rows
        if self._last != hand:
            self._last, self._before = hand, self._rows - mine
        return self._before


def nobody_s(rows: int) -> Column:
    if len(_NOBODY_S) < rows:
        _NOBODY_S.extend([object()] * (rows - len(_NOBODY_S)))
    return _NOBODY_S


def trailing(rows: Sequence[int], row: int) -> int:
    """How many of the last rows are `row`."""
    count = 0
    while count < len(rows) and rows[-1 - count] == row:
        count += 1
    return count
