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

EVENTS = 64
"""Events between two looks at the clock."""


View = Callable[[Batch], Callable[[int], Any]]
"""How the rows of a batch are given out: a function of a row's index."""


class Finish(Protocol):
    """Called when the event in hand is done; gives something to await if that takes time."""

    def __call__(self) -> Any: ...


class AgentStream(Generic[K, V]):
    """`async for value in stream`, or over `events()`, `items()`, `enumerate()`, `take()`: one of them at a time.

    An event is done when the next one is asked for.
    """

    def __init__(self, lane: Lane, context: Context, clock: Clock, finish: Finish) -> None:
        self._lane, self._context, self._clock, self._finish = lane, context, clock, finish
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
        """Lists of `n` values, or fewer when `within` seconds have passed since the first of them."""
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
        lane, context, finish, clock = self._lane, self._context, self._finish, self._clock
        await self._leave()
        turn_ends, until_look = clock.monotonic() + SLICE, EVENTS
        while True:
            while not lane.ready():
                await lane.wait()
                turn_ends, until_look = clock.monotonic() + SLICE, EVENTS
            batch = context.batch = lane.batch
            assert batch is not None
            give = view(batch)
            for at, row in enumerate(lane.rows[lane.at :], lane.at):
                if lane.at != at or lane.closed:
                    break  # at another place: a second iteration went on in the meantime
                context.index = row
                lane.holding = True
                yield give(row)
                rest = finish()
                if rest is not None:
                    await rest
                until_look -= 1
                if not until_look:
                    until_look = EVENTS
                    if clock.monotonic() > turn_ends:
                        await asyncio.sleep(0)
                        turn_ends = clock.monotonic() + SLICE

    async def _leave(self) -> None:
        """A former iteration was left with its event in hand: it is done, for the next one is asked for."""
        if self._lane.in_hand() and (rest := self._finish()) is not None:
            await rest

    async def _take(self, n: int, within: float) -> AsyncGenerator[list[V], None]:
        lane, context, clock = self._lane, self._context, self._clock
        await self._leave()
        turn_ends = clock.monotonic() + SLICE
        while True:
            if clock.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = clock.monotonic() + SLICE
            while not lane.ready():
                await lane.wait()
            await self._gather(n, within)
            batch, last = lane.hand[-1]
            context.batch, context.index = batch, last[-1]
            yield [part.values[row] for part, rows in lane.hand for row in rows]
            rest = self._finish()
            if rest is not None:
                await rest

    async def _gather(self, n: int, within: float) -> None:
        """Fills the hand with up to `n` rows."""
        lane = self._lane
        deadline = self._clock.monotonic() + within
        timer = self._clock.call_later(within, lane.poke)
        try:
            missing = n
            while missing:
                if lane.ready():
                    missing -= lane.grab(missing)
                elif self._clock.monotonic() >= deadline and not lane.closed:
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
