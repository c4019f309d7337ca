"""`process`: an object of the user's per task, called for each row and at regular times, forwarding what it likes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.node import Node, Operator, Place, is_async
from streamz_actors.errors import HandlerError, StreamzError, TopologyError, UsageError
from streamz_actors.serde.schema import Schema
from streamz_actors.types import Headers, TopicPartition


def process(
    parent: Node, name: str, factory: Callable[[], Any], key: Schema[Any], value: Schema[Any]
) -> Node:
    return Node(name, "process", lambda place: Process(name, factory, place, key, value), (parent,), timed=True)


@dataclass(slots=True, eq=False)
class Schedule:
    """A callback that comes again and again. `due` and `interval` are in ms."""

    due: int
    interval: int
    callback: Callable[[int], Any]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def fire(self, now: int) -> None:
        """Calls once, however much time has passed; next at a whole number of intervals from where it began."""
        self.due += ((now - self.due) // self.interval + 1) * self.interval
        self.callback(now)


class ProcessorContext:
    """What a processor is given in `init(context)`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._schedules: dict[str, list[Schedule]] = {"stream": [], "wall": []}
        self._origin = TopicPartition("", place.partition)
        self._offset = 0
        self._headers: Headers = ()
        self._rows: list[tuple[Any, Any, int, int, Headers]] = []
        self.timestamp = 0
        """Of the row at hand, or of the punctuation; ms."""

    @property
    def partition(self) -> int:
        return self._place.partition

    def forward(self, key: Any, value: Any, timestamp: int | None = None) -> None:
        """Gives a row to the stream behind, under the time of what is being worked on, or `timestamp` (ms)."""
        at = self.timestamp if timestamp is None else timestamp
        self._rows.append((key, value, at, self._offset, self._headers))

    def schedule(
        self,
        interval: float | timedelta,
        callback: Callable[[int], Any],
        clock: Literal["stream", "wall"] = "stream",
    ) -> Schedule:
        """Calls `callback(now)`, in ms, every `interval` (seconds or timedelta) of the clock; `.cancel()` ends it.

        On stream time first with the first row, on the wall clock after one interval; never twice at one time.
        """
        seconds = interval.total_seconds() if isinstance(interval, timedelta) else interval
        every = round(seconds * 1000)
        if every < 1:
            raise UsageError(f"schedule: an interval of {seconds:g} s is below a millisecond")
        if clock not in self._schedules:
            raise UsageError(f'schedule: clock={clock!r} must be "stream" or "wall"')
        if is_async(callback):
            raise UsageError("schedule: the callback of a processor is a plain function, not `async def`")
        made = Schedule(0 if clock == "stream" else self._place.clock.now() + every, every, callback)
        self._schedules[clock].append(made)
        return made

    # -- for the operator

    def look_at(self, batch: Batch, row: int) -> int:
        """How many rows were forwarded before this one."""
        self._origin, self._offset, self.timestamp = batch.origin, batch.offsets[row], batch.timestamps[row]
        self._headers = () if batch.headers is None else batch.headers[row]
        return len(self._rows)

    def take_back(self, before: int) -> None:
        """Rows that were forwarded since go nowhere."""
        del self._rows[before:]

    def due(self, clock: str, now: int) -> list[Schedule]:
        """What is due, the longest overdue first."""
        live = self._schedules[clock] = [schedule for schedule in self._schedules[clock] if not schedule.cancelled]
        return sorted((schedule for schedule in live if schedule.due <= now), key=lambda schedule: schedule.due)

    def punctuate(self, clock: str, now: int, what: str) -> None:
        for schedule in self.due(clock, now):
            if schedule.cancelled:
                continue
            self.timestamp, self._headers = now, ()
            try:
                schedule.fire(now)
            except StreamzError:
                raise
            except Exception as error:
                raise HandlerError(f"{what} (punctuation)", self._origin, self._offset, error) from error

    def forwarded(self, key: Schema[Any], value: Schema[Any]) -> Batch | None:
        """The rows that were forwarded since the last call."""
        if not self._rows:
            return None
        columns: list[Column] = [list(column) for column in zip(*self._rows, strict=True)]
        self._rows = []
        keys, values, timestamps, offsets, headers = columns
        return Batch(
            self._origin, offsets, timestamps, key, value, keys=keys, values=values,
            headers=headers if any(headers) else None,
        )


class Process(Operator):
    """Rows forwarded at a punctuation count as made from the last row seen: they hold its offset."""

    def __init__(
        self, name: str, factory: Callable[[], Any], place: Place, key: Schema[Any], value: Schema[Any]
    ) -> None:
        self._what, self._key, self._value = f"process {name!r}", key, value
        self._context = ProcessorContext(place)
        self._processor = factory()
        if is_async(self._processor.process):
            raise TopologyError(f"{self._what}: a processor's methods are no `async def` functions: use an agent")
        if hasattr(self._processor, "init"):
            self._processor.init(self._context)

    async def process(self, batch: Batch) -> Batch | None:
        context, function = self._context, self._processor.process
        for row, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
            before = context.look_at(batch, row)
            try:
                function(key, value)
            except Exception as error:
                self.guard.failed(self._what, batch, row, error)
                context.take_back(before)
        return context.forwarded(self._key, self._value)

    def advance(self, now: int, stream_time: int) -> Batch | None:
        self._context.punctuate("stream", stream_time, self._what)
        self._context.punctuate("wall", now, self._what)
        return self._context.forwarded(self._key, self._value)
