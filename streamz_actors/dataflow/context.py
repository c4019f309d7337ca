"""How running code reaches what runs it: `Link` for declared objects, `Context` for what happens inside a handler."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from streamz_actors.clock import Clock
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.event import Event
from streamz_actors.dataflow.late import Late
from streamz_actors.errors import NotInHandler, NotRunning, ProduceError
from streamz_actors.types import Headers, RecordMetadata, WindowValue

Refused = Callable[[int, ProduceError], None]
"""What is done about a row that the broker has refused: returns if all else goes on, else raises."""


class Collector(Protocol):
    """Where everything that leaves goes. What is added leaves at the end of the loop's turn, in batches."""

    def partitions(self, topic: str) -> int: ...

    def add(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
        refused: Refused | None = None,
    ) -> None:
        """Records to the partitions that their keys belong to. Without `refused` a row that is refused ends the worker.
        """
        ...

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers = (),
        partition: int | None = None,
        refused: Refused | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        """One record, and a future of where it ended up. `refused` is told if it is and nobody looks at the future."""
        ...


class Runtime(Protocol):
    """The running application, as declared objects see it."""

    @property
    def clock(self) -> Clock: ...

    @property
    def collector(self) -> Collector: ...

    def states(self, table: str) -> Mapping[int, Any]:
        """The table's partitions on this worker."""
        ...

    async def lookup(self, table: str, key: Any) -> Any:
        """The value of a key, from whichever worker has it; None if there is none."""
        ...

    async def dated(self, table: str, key: Any) -> tuple[Any, int] | None:
        """As `lookup`, with its time in ms."""
        ...

    async def windows(self, table: str, key: Any, start: int | None, stop: int | None) -> list[WindowValue[Any]]:
        """The windows of a key that begin at start <= ms < stop, from whichever worker has them."""
        ...

    async def question(self) -> "tuple[Headers, asyncio.Future[bytes | None]]":
        """Headers for a record that asks for an answer, and the future of the answer's bytes."""
        ...

    def answer(
        self, topic: str, correlation: bytes, value: bytes | None, headers: Headers, refused: Refused
    ) -> None:
        """Sends an answer to who asked."""
        ...


class Link:
    """Ties the declarations of one application to whatever runs it at the moment.

    If several run it in one process (`testing.TestCluster`), what is called inside of one of them gets that one.
    """

    __slots__ = ("runtime",)

    def __init__(self) -> None:
        self.runtime: Runtime | None = None

    def get(self, what: str) -> Runtime:
        inside = running_inside.get()
        if inside is not None and inside[0] is self:
            return inside[1]
        if self.runtime is None:
            raise NotRunning(
                f"{what} needs the running application: use it in a handler or inside `async with app.running():`"
            )
        return self.runtime


running_inside: ContextVar[tuple[Link, Runtime] | None] = ContextVar("streamz_actors_running", default=None)
"""What runs the code that asks: set for everything that a run starts."""


sending: ContextVar[Collector | None] = ContextVar("streamz_actors_sending", default=None)
"""Where what the running code sends belongs: set inside tasks, whose sends are part of what they commit; else None."""

aside: ContextVar[bool] = ContextVar("streamz_actors_aside", default=False)
"""Set for calls inside a task that a commit does not wait for: what they send is no part of it."""


Undo = tuple[Any, bytes, Any, Any]
"""A table write of the event at hand: the state, the key, what it held before, what was written."""


class Context:
    """What one actor is working on. Set once per actor; only `batch`, `index` and `journal` move."""

    __slots__ = ("_judge", "batch", "index", "journal", "late", "name", "partition", "states")

    def __init__(
        self,
        name: str,
        partition: int,
        states: Mapping[str, Any],
        late: Callable[[Late], None] = lambda record: None,
        judge: Callable[[Batch, int, ProduceError], None] | None = None,
    ) -> None:
        """`late` is told of writes that come too late for their windows, `judge` of refused records that came of a row.
        """
        self.name, self.partition, self.states, self.late, self._judge = name, partition, states, late, judge
        self.batch: Batch | None = None
        self.index = 0
        self.journal: list[Undo] = []

    def event(self) -> Event[Any, Any]:
        batch, index = self.batch, self.index
        if batch is None:
            raise NotInHandler(f"{self.name} has no current event")
        return event_of(batch, index)

    def refused(self) -> Refused | None:
        """What is done about a record that is sent now, should it be refused."""
        judge, batch, index = self._judge, self.batch, self.index
        if judge is None or batch is None:
            return None
        return lambda _, error: judge(batch, index, error)

    @property
    def timestamp(self) -> int:
        """Of the current event, in milliseconds."""
        if self.batch is None:
            raise NotInHandler(f"{self.name} has no current event")
        return self.batch.timestamps[self.index]


def event_of(batch: Batch, index: int) -> Event[Any, Any]:
    topic, partition = batch.origin
    return Event(
        batch.key_at(index),
        batch.values[index],
        batch.headers[index] if batch.headers is not None else (),
        batch.timestamps[index],
        topic,
        partition,
        batch.offsets[index],
    )


current: ContextVar[Context | None] = ContextVar("streamz_actors_context", default=None)


def current_context() -> Context:
    context = current.get()
    if context is None:
        raise NotInHandler("this works only inside a handler")
    return context


def current_event() -> Event[Any, Any]:
    """The event that the calling handler is working on. Raises NotInHandler elsewhere."""
    return current_context().event()
