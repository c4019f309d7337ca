"""`map_async`: calls that wait for something outside, many at once, each of whose results takes the place of its value.

Rows wait in a line. Whoever of the callers is free takes the first of them whose key nobody works on; the next of that
key is taken by the same caller when it is done with the first. So a slow key holds up nobody but itself.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count
from typing import Any, Final, Literal, NamedTuple

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import failure
from streamz_actors.dataflow.context import aside
from streamz_actors.dataflow.node import Leg, Node, Operator, Place, is_async
from streamz_actors.dataflow.pacing import Limits, Pace
from streamz_actors.dataflow.policies import DeadLetter, Fail
from streamz_actors.errors import StreamzError, TopologyError
from streamz_actors.serde.schema import Schema
from streamz_actors.types import TopicPartition

ROOM: Final = 4_096
"""Rows without a result at which no more are taken; at least four for each caller."""

Function = Callable[..., Awaitable[Any]]

Order = Literal["key", "partition"] | None
"""In which order results are given on: in that of the records of each key, of all records, or as they come."""


def map_async(
    parent: Node, name: str, function: Function, value: Schema[Any], limits: Limits, order: Order
) -> Node:
    """`function` takes (key, value), or (value) if it has one parameter only."""
    what = f"map_async {name!r}"
    limits.check(what)
    if not is_async(function):
        raise TopologyError(f"{what}: the function must be `async def`; for one that waits for nothing use map_values")
    pairs = takes_pairs(function, what)
    return Node(
        name,
        "map_async",
        lambda place: MapAsync(what, function, value, limits, order, place, pairs=pairs),
        (parent,),
        reads_keys=pairs,
        policy=None if limits.retry is None else limits.retry.then,
    )


def order(ordered: object, name: str) -> Order:
    """What `ordered=` means. Raises TopologyError for anything unknown."""
    if ordered is True or ordered == "key":
        return "key"
    if ordered is False:
        return None
    if ordered == "partition":
        return "partition"
    raise TopologyError(f'map_async {name!r}: ordered={ordered!r} must be True ("key"), "partition" or False')


def takes_pairs(function: Function, what: str) -> bool:
    """Whether it takes (key, value), not (value). Raises TopologyError where it takes neither."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = sum(each.default is each.empty for each in places)
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    if needed > 2 or not (places or takes_any):
        raise TopologyError(f"{what}: the function takes (value) or (key, value)")
    return needed == 2


NOTHING, RESULT = 1, 2
"""What a row that was not given on has."""


class Taken:
    """A batch under way. `rows` says of each row what it has; 0: it is given on, or given up."""

    __slots__ = ("batch", "done", "first", "keys", "left", "number", "results", "rows")

    def __init__(self, batch: Batch, keys: Sequence[bytes | None], number: int) -> None:
        self.batch, self.keys, self.number = batch, keys, number
        self.results: Column = [None] * len(batch)
        self.rows = bytearray((NOTHING,)) * len(batch)
        self.left = len(batch)
        self.first = 0
        """Before it, every row is given on or given up: kept where that is the order."""
        self.done: list[int] = []
        """The rows with a result, in the order in which they got it."""

    def take(self) -> list[int]:
        """The rows with a result: they are given on."""
        rows, self.done = self.done, []
        self.close(rows)
        return rows

    def take_first(self) -> list[int]:
        """Those before the first row without one, in their order."""
        end = self.rows.find(NOTHING, self.first)
        if end < 0:
            end = len(self.rows)
        rows = [row for row in range(self.first, end) if self.rows[row]]
        self.first = end
        self.done.clear()
        self.close(rows)
        return rows

    def close(self, rows: Sequence[int]) -> None:
        for row in rows:
            self.rows[row] = 0
        self.left -= len(rows)

    @property
    def lowest(self) -> int:
        """The lowest offset that is not given on."""
        return min(self.batch.offsets[row] for row, has in enumerate(self.rows) if has)


Row = tuple[Taken, int]


class GivenUp(NamedTuple):
    """In place of a result, where rows end in their order: the last word on the row is said when it is taken."""

    error: BaseException
    attempts: int


class MapAsync(Operator, Leg):
    """At most `limits.concurrency` calls at a time. Callers start when there is work for them and end with `stop`."""

    def __init__(
        self,
        what: str,
        function: Function,
        value: Schema[Any],
        limits: Limits,
        order: Order,
        place: Place,
        *,
        pairs: bool,
    ) -> None:
        self._what, self._function, self._value, self._pairs = what, function, value, pairs
        self._place, self._limits, self._order, self._by_key = place, limits, order, order is not None
        self._pace = Pace(limits, place.clock)
        self._numbers = count()
        self._batches: deque[Taken] = deque()
        self._touched: dict[Taken, None] = {}
        """Those in which something was done since rows were taken."""
        self._line: deque[Row] = deque()
        self._busy: dict[bytes, deque[Row]] = {}
        """By key that somebody works on: its rows that wait."""
        self._free: list[asyncio.Future[None]] = []
        self._callers: list[asyncio.Task[None]] = []
        self._calling = 0
        self._closed = False
        self._whole = False
        """Nothing comes of a row before all rows before it have come to their end."""
        self._room = max(ROOM, 4 * limits.concurrency)
        self._pending = 0
        self.width = limits.concurrency

    async def process(self, batch: Batch) -> None:
        keys: Sequence[bytes | None] = ()
        if self._by_key:
            keys = batch.encoded_keys(batch.key_schema)
        taken = Taken(batch, keys, next(self._numbers))
        self._batches.append(taken)
        self._pending += len(batch)
        self._line.extend((taken, row) for row in range(len(batch)))
        self._call_up()

    # -- callers

    def _call_up(self) -> None:
        """Sees to it that as many callers are awake as there is work for."""
        wanted = 0 if self._closed else len(self._line)
        while wanted > 0 and self._free:
            self._free.pop().set_result(None)
            wanted -= 1
        for _ in range(min(wanted, self._limits.concurrency - len(self._callers))):
            self._callers.append(asyncio.create_task(self._calls(), name=self._what))

    async def _calls(self) -> None:
        aside.set(True)
        try:
            while True:
                row = self._next()
                if row is None:
                    await self._wait()
                    continue
                key = row[0].keys[row[1]] if self._by_key else None
                while row is not None:
                    await self._handle(*row)
                    row = self._following(key)
        except StreamzError as error:
            self._place.failed(error)

    async def _wait(self) -> None:
        free = asyncio.get_running_loop().create_future()
        self._free.append(free)
        try:
            await free
        finally:
            if not free.done() or free.cancelled():
                self._free.remove(free)

    def _next(self) -> Row | None:
        """The next row whose key is free. From now on it is not."""
        line, busy = self._line, self._busy
        while line and not self._closed:
            row = line.popleft()
            taken, index = row
            key = taken.keys[index] if self._by_key else None
            if key is None:
                return row
            waiting = busy.get(key)
            if waiting is None:
                busy[key] = deque()
                return row
            waiting.append(row)
        return None

    def _following(self, key: bytes | None) -> Row | None:
        """The next row of a key that the caller has just worked on; without one the key is free."""
        if key is None:
            return None
        waiting = self._busy[key]
        if waiting and not self._closed:
            return waiting.popleft()
        del self._busy[key]
        self._line.extendleft(reversed(waiting))  # closed: they come first when it goes on
        return None

    async def _handle(self, taken: Taken, row: int) -> None:
        """Gets a row's result, or gives the row up."""
        self._calling += 1
        try:
            attempt = 1
            while (error := await self._attempt(taken, row)) is not None:
                if not await self._tries_again(attempt):
                    self._give_up(taken, row, error, attempt)
                    return
                attempt += 1
        finally:
            self._calling -= 1
        if self.silent:
            self._drop(taken, row)
            return
        self._keep(taken, row)

    def _keep(self, taken: Taken, row: int) -> None:
        """A row has its result, and waits to be taken."""
        taken.rows[row] = RESULT
        taken.done.append(row)
        self._tell(taken)

    async def _attempt(self, taken: Taken, row: int) -> BaseException | None:
        """Calls once; what it raised."""
        try:
            await self._pace.turn()
            taken.results[row] = await self._pace.timed(self._call(taken.batch, row))
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return cancelled  # something that the function waits for was
        except Exception as error:
            return error
        return None

    def _call(self, batch: Batch, row: int) -> Awaitable[Any]:
        if self._pairs:
            return self._function(batch.keys[row], batch.values[row])
        return self._function(batch.values[row])

    async def _tries_again(self, attempt: int) -> bool:
        """Whether there is another attempt; returns when it is time for it."""
        retry = self._limits.retry
        if retry is None or attempt > retry.attempts:
            return False
        await self._pace.sleep(retry.pause(attempt))
        return True

    def _give_up(self, taken: Taken, row: int, error: BaseException, attempts: int) -> None:
        """Raises what ends the task: HandlerError under `Fail`."""
        policy = self.guard.policy
        if isinstance(policy, Fail) and not isinstance(error, StreamzError):
            error = failure(self._what, taken.batch, row, error)
        if self._whole and not isinstance(policy, Fail):
            taken.results[row] = GivenUp(error, attempts)
            self._keep(taken, row)
            return
        self._place.give_up(self._what, policy, taken.batch, row, error, attempts)
        self._drop(taken, row)

    def _drop(self, taken: Taken, row: int) -> None:
        """A row is done, and nothing comes of it."""
        taken.close((row,))
        self._pending -= 1
        if self._order == "partition" and not self.silent:
            self._tell(taken)  # it may have been what others wait for
        self._trim()
        if not self._pending or self._pending == self._room - 1:
            self._place.wake()

    def _tell(self, taken: Taken) -> None:
        if not self._touched:
            self._place.wake()
        self._touched[taken] = None

    def _trim(self) -> None:
        while self._batches and not self._batches[0].left:
            self._batches.popleft()

    # -- as a leg

    @property
    def gives(self) -> bool:
        return bool(self._touched)

    def take(self) -> Sequence[Batch]:
        """Batch by batch as they came, so that the rows of a key stay in order."""
        touched, self._touched = self._touched, {}
        whole = self._order == "partition"
        given = self._first() if whole else [self._rows(each, each.take()) for each in self._sorted(touched)]
        self._trim()
        return [batch for batch in given if batch is not None]

    def _first(self) -> list[Batch | None]:
        """Up to the first row without a result."""
        given: list[Batch | None] = []
        for taken in self._batches:
            given.append(self._rows(taken, taken.take_first()))
            if taken.left:
                break
        return given

    def _sorted(self, touched: Iterable[Taken]) -> list[Taken]:
        return sorted(touched, key=lambda taken: taken.number)

    def _rows(self, taken: Taken, rows: Sequence[int]) -> Batch | None:
        """Rows with their results."""
        if not rows:
            return None
        self._pending -= len(rows)
        if self._whole:
            rows = [row for row in rows if not self._is_given_up(taken, row)]
            if not rows:
                return None
        values = [taken.results[row] for row in rows]
        return taken.batch.take(rows).replace(values=(values, self._value))

    def _is_given_up(self, taken: Taken, row: int) -> bool:
        """Whether a row is one, which is settled then."""
        result = taken.results[row]
        if not isinstance(result, GivenUp):
            return False
        self._place.give_up(self._what, self.guard.policy, taken.batch, row, result.error, result.attempts)
        return True

    def unfinished(self) -> dict[TopicPartition, int]:
        lowest: dict[TopicPartition, int] = {}
        for taken in self._batches:
            if taken.left:
                origin, offset = taken.batch.origin, taken.lowest
                lowest[origin] = min(lowest.get(origin, offset), offset)
        return lowest

    def pending(self) -> int:
        return self._pending

    def room(self) -> bool:
        return self._pending < self._room

    def idle(self) -> bool:
        return self._calling == self._pace.waits and (not self._line or self._closed or self._calling > 0)

    def drain(self) -> None:
        self._closed = True

    def freeze(self) -> None:
        """What has a result stays here: the task takes none while it is frozen."""

    def resume(self) -> None:
        self._closed = False
        self._call_up()

    def drained(self) -> bool:
        return self._calling == self._pace.waits

    @property
    def sequential(self) -> bool:
        """Without nodes behind nothing is taken, so that dead letters leave as they come."""
        return not (self.silent and isinstance(self.guard.policy, DeadLetter))

    def keep_order(self) -> None:
        """Calls go on as ever: only what they gave waits for the calls before them."""
        self._order, self._whole = "partition", not self.silent

    def stands(self) -> bool:
        """A call has no effect before its result is given on, other than what its function does by itself."""
        return True

    def hurry(self, hurried: bool) -> None:
        """No row waits for others."""

    def flush(self) -> None:
        """What has a result can be taken at once."""

    async def stop(self) -> None:
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        self._callers = []
