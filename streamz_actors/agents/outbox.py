"""What an actor yields, held until its event is done, then handed to the collector once a turn of the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from streamz_actors.agents.channel import Channel
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.event import Out
from streamz_actors.dataflow.topics import Topic, header_tuple
from streamz_actors.types import Headers

Call = Callable[[Any], Any]
Yield = tuple[Batch, int, Out[Any]]
"""A yield with the row that it belongs to."""


class TopicColumns:
    """Rows on their way to one topic. Values are encoded when they are yielded, so that an error is their event's."""

    def __init__(self, topic: Topic[Any, Any]) -> None:
        self.topic = topic
        self._name = topic.name
        self._encode_key, self._encode = topic.key_schema.encode, topic.value_schema.encode
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers: list[Headers] = []
        self._any_headers = False
        self.mark = 0
        self._batch: Batch | None = None
        self._raw_keys: list[bytes | None] | None = None

    def put(self, batch: Batch, index: int, value: Any) -> None:
        """A value under the key and timestamp of a row."""
        if batch is not self._batch:
            self._batch = batch
            self._raw_keys = batch.raw_keys if batch.key_schema == self.topic.key_schema else None
        raw_keys = self._raw_keys
        self.values.append(self._encode(value))
        self.keys.append(raw_keys[index] if raw_keys is not None else self._encode_key(batch.key_at(index)))
        self.timestamps.append(batch.timestamps[index])
        self.headers.append(())

    def put_out(self, batch: Batch, index: int, out: Out[Any]) -> None:
        """The key of the row is looked at only where `out` has none: it need not fit the topic."""
        if out.key is None:
            self.put(batch, index, out.value)
            self.timestamps.pop()
            self.headers.pop()
        else:
            self.values.append(self._encode(out.value))
            self.keys.append(self._encode_key(out.key))
        self.timestamps.append(batch.timestamps[index] if out.timestamp is None else out.timestamp)
        self.headers.append(header_tuple(out.headers))
        self._any_headers = self._any_headers or bool(out.headers)

    def keep(self) -> None:
        self.mark = len(self.timestamps)

    def drop(self) -> None:
        for column in (self.keys, self.values, self.timestamps, self.headers):
            del column[self.mark :]

    def flush(self, collector: Collector) -> None:
        """Hands on the rows of finished events; those of an event under way stay."""
        mark = self.mark
        if not mark:
            return
        keys, values, timestamps, headers = self.keys, self.values, self.timestamps, self.headers
        self.keys, self.values, self.timestamps, self.headers = (
            keys[mark:],
            values[mark:],
            timestamps[mark:],
            headers[mark:],
        )
        for column in (keys, values, timestamps, headers):
            del column[mark:]
        self.mark = 0
        collector.add(self._name, keys, values, timestamps, headers if self._any_headers else None)


class Outbox:
    """The sinks of one actor. An event's yields leave together when it is done, or never."""

    def __init__(
        self,
        topics: tuple[Topic[Any, Any], ...],
        calls: tuple[Call, ...],
        channels: tuple[Channel[Any], ...],
        collector: Collector,
    ) -> None:
        self._columns = tuple(TopicColumns(topic) for topic in topics)
        self._calls, self._channels = calls, channels
        self._collector = collector
        self._held: list[Yield] = []
        self.first: Any = None
        """The event's first yield: what `ask` gets."""
        self.used = False
        """Whether the event at hand has yielded."""
        self._scheduled = False

    def put(self, batch: Batch, index: int, out: Any) -> None:
        chosen = type(out) is Out
        value = out.value if chosen else out
        if not self.used:
            self.used, self.first = True, value
        for column in self._columns:
            if chosen:
                column.put_out(batch, index, out)
            else:
                column.put(batch, index, value)
        if self._calls or self._channels:
            self._held.append((batch, index, out if chosen else Out(value)))

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

    @property
    def calls(self) -> bool:
        return bool(self._held)

    def keep(self) -> None:
        """The event is done: its rows leave at the end of this turn of the loop."""
        self.used, self.first = False, None
        for column in self._columns:
            column.keep()
        if not self._scheduled and self._columns:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def drop(self) -> None:
        """The event failed: it yields nothing."""
        self.used, self.first = False, None
        self._held.clear()
        for column in self._columns:
            column.drop()

    def flush(self) -> None:
        self._scheduled = False
        for column in self._columns:
            column.flush(self._collector)
