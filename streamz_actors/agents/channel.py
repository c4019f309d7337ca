"""A channel: a topic inside the process, without partitions, offsets or a broker."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.topics import HeadersLike, header_tuple
from streamz_actors.errors import EncodeError
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.types import RecordMetadata, TopicPartition

V = TypeVar("V")
NOWHERE = TopicPartition("", 0)


class Channel(Generic[V]):
    """Made by `app.channel(value_type=, maxsize=)`. Every agent on it gets every value; `maxsize` 0 is unbounded."""

    def __init__(self, name: str, value_type: Any = Any, maxsize: int = 0) -> None:
        self.name, self.maxsize = name, maxsize
        self._any: Schema[Any] = schema_for(Any)
        self.value_type = value_type
        self._inboxes: list[Any] = []
        self._now: Callable[[], int] | None = None
        self._waiting: deque[Batch] = deque()
        self._numbers = itertools.count()
        self._room: deque[asyncio.Future[None]] = deque()

    async def send(
        self,
        *,
        value: V,
        key: Any = None,
        timestamp: int | None = None,
        headers: HeadersLike = None,
        partition: None = None,
    ) -> RecordMetadata:
        """Hands a value to the agents on this channel; waits while `maxsize` values are unfinished."""
        while self.maxsize and self.unfinished() >= self.maxsize:
            future = asyncio.get_running_loop().create_future()
            self._room.append(future)
            await future
        return await self._put(value, key, timestamp, headers)

    def send_soon(
        self,
        *,
        value: V,
        key: Any = None,
        timestamp: int | None = None,
        headers: HeadersLike = None,
        partition: None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        return asyncio.ensure_future(self.send(value=value, key=key, timestamp=timestamp, headers=headers))

    async def _put(self, value: V, key: Any, timestamp: int | None, headers: HeadersLike) -> RecordMetadata:
        self._check(value)
        number = next(self._numbers)
        if timestamp is None:
            timestamp = 0 if self._now is None else self._now()
        batch = Batch(
            NOWHERE,
            [number],
            [timestamp],
            self._any,
            self._any,
            keys=[key],
            values=[value],
            headers=[header_tuple(headers)] if headers else None,
        )
        if not self._inboxes:
            self._waiting.append(batch)
        for inbox in self._inboxes:
            await inbox.process(batch)
        return RecordMetadata(self.name, 0, number, timestamp)

    def _check(self, value: Any) -> None:
        if isinstance(self.value_type, type) and value is not None and not isinstance(value, self.value_type):
            raise EncodeError(
                f"channel {self.name!r} takes {self.value_type.__name__}, not {type(value).__name__}: {value!r}"
            )

    def unfinished(self) -> int:
        return len(self._waiting) + max((inbox.pending() for inbox in self._inboxes), default=0)

    async def open(self, inboxes: Sequence[Any], now: Callable[[], int]) -> None:
        """The agents are there: they get what was sent before. `now` gives the time of what is sent without one, in ms.

        What was sent before has the time 0.
        """
        self._inboxes, self._now = list(inboxes), now
        while self._waiting:
            batch = self._waiting.popleft()
            for inbox in self._inboxes:
                await inbox.process(batch)

    def close(self) -> None:
        """The agents are gone: what is sent now waits for the next."""
        self._inboxes, self._now = [], None

    def wake(self) -> None:
        """An event is done: there may be room."""
        if self.unfinished() >= self.maxsize:
            return
        waiting, self._room = self._room, deque()
        for future in waiting:  # all of them: each looks again, and one may have been cancelled meanwhile
            if not future.done():
                future.set_result(None)
