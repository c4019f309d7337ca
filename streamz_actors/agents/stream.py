"""What an agent's function iterates: the events of its actor, one by one or in lists."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from streamz_actors.agents.lane import Lane
from streamz_actors.clock import Clock
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Context, event_of
from streamz_actors.dataflow.event import Event
from streamz_actors.errors import DecodeError, UsageError

K = TypeVar("K")
V = TypeVar("V")

SLICE = 0.005
"""Seconds after which an actor that always has an event gives the loop a turn."""

EVENTS = 63
"""A mask: the clock is looked at once in 64 events."""


View = Callable[[Batch], Callable[[int], Any]]
"""How the rows of a batch are given out: a function of a row's index."""


class Ending(Protocol):
    """What becomes of an event that is done."""

    def watches(self, batch: Batch) -> bool:
        """Whether each event of this batch is to be told; if not, those without table writes need not be."""
        ...

    def finish(self) -> Any:
        """The event in hand has come to its end: its effects stand. Gives something to await if that takes time."""
        ...


class AgentStream(Generic[K, V]):
    """`async for value in stream`, or over `events()`, `items()`, `enumerate()`, `take()`: one of them at a time.

    An event is done when the next one is asked for.
    """

    def __init__(self, lane: Lane, context: Context, clock: Clock, ending: Ending) -> None:
        self._lane, self._context, self._clock, self._ending = lane, context, clock, ending
        self._opened: list[AsyncGenerator[Any, None]] = []

    def __aiter__(self) -> AsyncIterator[V]:
        return self._open(self._each(values_of))

    def events(self) -> AsyncIterator[Event[K, V]]:
        """Whole events: key, value, headers, timestamp and place."""
        return self._open(self._each(events_of))

    def items(self) -> AsyncIterator[tuple[K, V]]:
        """Pairs of key and value."""
        return self._open(self._each(items_of))

    def enumerate(self, start: int = 0) -> AsyncIterator[tuple[int, V]]:
        """Pairs of a running number and a value."""
        numbers = count(start)

        def numbered(batch: Batch) -> Callable[[int], tuple[int, Any]]:
            values = batch.values
            return lambda row: (next(numbers), values[row])

        return self._open(self._each(numbered))

    def take(self, n: int, within: float) -> AsyncIterator[list[V]]:
        """Lists of `n` values, or fewer when `within` seconds have passed since the first of them.

        Behind an operator that keeps state (a count, windows) a commit ends a list as well, for it waits for the event.
        """
        if n < 1:
            raise UsageError(f"take(n={n}): at least one")
        return self._open(self._take(n, within))

    def _open(self, generator: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        self._opened.append(generator)
        return generator

    async def close(self) -> None:
        """Closes what was opened; the event in hand stays in hand."""
        for generator in reversed(self._opened):
            await generator.aclose()

    async def _each(self, view: View) -> AsyncGenerator[Any, None]:
        # Once per event: every line here counts. What an event left is looked at only where it can have left anything.
        lane, context, clock, finish = self._lane, self._context, self._clock, self._ending.finish
        journal = context.journal
        await self._leave()
        turn_ends = clock.monotonic() + SLICE
        while True:
            while not lane.ready():
                await lane.wait()
                turn_ends = clock.monotonic() + SLICE
            batch = context.batch = lane.batch
            assert batch is not None
            give, watched = view(batch), self._ending.watches(batch)
            turn = lane.turn = object()
            lane.holding = True
            for at, row in enumerate(lane.rows[lane.at :], lane.at):
                lane.at = at  # the one before is done
                if not at & EVENTS and clock.monotonic() > turn_ends:
                    lane.holding = False
                    await asyncio.sleep(0)
                    turn_ends = clock.monotonic() + SLICE
                    if lane.turn is not turn:
                        break
                    lane.holding = True
                context.index = row
                yield give(row)
                if lane.turn is not turn:
                    await self._leave()
                    break
                if watched:
                    rest = finish()
                    if rest is not None:
                        await rest
                elif journal:
                    journal.clear()
            else:
                lane.done()

    async def _leave(self) -> None:
        """The next event is asked for: whatever is in hand, of this iteration or of another, is done."""
        lane = self._lane
        if lane.busy:
            rest = self._ending.finish()
            if rest is not None:
                await rest
            lane.done()
        lane.turn = object()

    async def _take(self, n: int, within: float) -> AsyncGenerator[list[V], None]:
        lane, context, clock = self._lane, self._context, self._clock
        turn_ends = clock.monotonic() + SLICE
        while True:
            await self._leave()
            context.batch = None  # while a list is being gathered, there is no event
            if clock.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = clock.monotonic() + SLICE
            while not lane.ready():
                await lane.wait()
            await self._gather(n, within)
            batch, last = lane.hand[-1]
            context.batch, context.index = batch, last[-1]
            yield [part.values[row] for part, rows in lane.hand for row in rows]

    async def _gather(self, n: int, within: float) -> None:
        """Fills the hand with up to `n` rows."""
        lane = self._lane
        over = within <= 0

        def end() -> None:
            nonlocal over
            over = True
            lane.poke()

        timer = self._clock.call_later(within, end)
        try:
            missing = n
            while missing:
                if lane.ready():
                    missing -= lane.grab(missing)
                elif (over or lane.hurried) and not lane.closed:
                    return
                else:
                    lane.timer_waits += 1
                    try:
                        await lane.wait()
                    finally:
                        lane.timer_waits -= 1
        finally:
            timer.cancel()


def values_of(batch: Batch) -> Callable[[int], Any]:
    return batch.values.__getitem__


def items_of(batch: Batch) -> Callable[[int], tuple[Any, Any]]:
    key, values = keys_of(batch), batch.values
    return lambda row: (key(row), values[row])


def events_of(batch: Batch) -> Callable[[int], Event[Any, Any]]:
    keys_of(batch)  # decoded together, if they can be
    return lambda row: event_of(batch, row)


def keys_of(batch: Batch) -> Callable[[int], Any]:
    """The column as a whole costs a fraction; where a key cannot be decoded, each row has its own chance and error."""
    try:
        return batch.keys.__getitem__
    except DecodeError:
        return batch.key_at
