"""What an actor yields, held until its event is done, then handed to the collector once a turn of the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from streamz_actors.agents.channel import Channel
from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.event import Out
from streamz_actors.dataflow.topics import Topic, header_tuple
from streamz_actors.types import Headers

Call = Callable[[Any], Any]
Yield = tuple[Batch, int, Out[Any]]
"""A yield with the row that it belongs to."""


class TopicColumns:
    """Rows on their way to one topic. Values are encoded when they are yielded, so that an error is their event's.

    An event's own value that nobody can have changed leaves as it came, like the keys.
    """

    def __init__(self, topic: Topic[Any, Any]) -> None:
        self.topic = topic
        self._name = topic.name
        self._encode_key, self._encode = topic.key_schema.encode, topic.value_schema.encode
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers: list[Headers] | None = None
        """None as long as no row has any."""
        self._batch: Batch | None = None
        self._raw_keys: list[bytes | None] | None = None
        self._raw_values: list[bytes | None] | None = None
        self._given: Column = []
        """What `_raw_values` became when they were decoded."""

    def put(self, batch: Batch, index: int, value: Any) -> None:
        """A value under the key and timestamp of a row."""
        if batch is not self._batch:
            self._enter(batch)
        raw_keys, raw_values = self._raw_keys, self._raw_values
        if raw_values is not None and value is self._given[index]:
            self.values.append(raw_values[index])
        else:
            self.values.append(self._encode(value))
        self.keys.append(raw_keys[index] if raw_keys is not None else self._encode_key(batch.key_at(index)))
        self.timestamps.append(batch.timestamps[index])
        if self.headers is not None:
            self.headers.append(())

    def _enter(self, batch: Batch) -> None:
        """The rows to come are of this batch."""
        topic, self._batch = self.topic, batch
        self._raw_keys = batch.raw_keys if batch.key_schema == topic.key_schema else None
        unchanged = topic.value_schema.immutable and batch.value_schema == topic.value_schema
        self._raw_values = batch.raw_values if unchanged else None
        self._given = batch.values if self._raw_values is not None else []

    def put_out(self, batch: Batch, index: int, out: Out[Any]) -> None:
        """The key of the row is looked at only where `out` has none: it need not fit the topic."""
        headers = header_tuple(out.headers)
        if headers and self.headers is None:
            self.headers = [()] * len(self.timestamps)
        if out.key is None:
            self.put(batch, index, out.value)
        else:
            self.values.append(self._encode(out.value))
            self.keys.append(self._encode_key(out.key))
            self.timestamps.append(batch.timestamps[index])
            if self.headers is not None:
                self.headers.append(())
        if out.timestamp is not None:
            self.timestamps[-1] = out.timestamp
        if self.headers is not None:
            self.headers[-1] = headers

    def cut(self, rows: int) -> None:
        """Drops all but the first `rows`."""
        for column in (self.keys, self.values, self.timestamps, self.headers):
            if column is not None:
                del column[rows:]

    def flush(self, rows: int, collector: Collector) -> None:
        """Hands on the first `rows`; the others stay."""
        keys, values, timestamps, headers = self.keys, self.values, self.timestamps, self.headers
        self.keys, self.values, self.timestamps = keys[rows:], values[rows:], timestamps[rows:]
        self.headers = None if headers is None or not any(headers[rows:]) else headers[rows:]
        for column in (keys, values, timestamps, headers):
            if column is not None:
                del column[rows:]
        collector.add(self._name, keys, values, timestamps, headers)


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
        self.holds = bool(calls or channels)
        """Whether there are functions or channels among the sinks, which are given the yields by `call`."""
        self._held: list[Yield] = []
        self._rows = 0
        """In every column: each yield goes to every topic."""
        self._kept = 0
        """Of these, the first so many are of finished events."""
        self.first: Any = None
        """The event's first yield: what `ask` gets."""
        self.used = False
        """Whether the event at hand has yielded."""
        self._scheduled = False

    def put(self, batch: Batch, index: int, out: Any) -> None:
        chosen = type(out) is Out
        if not self.used:
            self.used, self.first = True, out.value if chosen else out
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

    def keep(self) -> None:
        """The event is done: its rows leave at the end of this turn of the loop."""
        self.used, self.first = False, None
        self._kept = self._rows
        if not self._scheduled and self._columns:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def drop(self) -> None:
        """The event failed: it yields nothing."""
        self.used, self.first = False, None
        self._held.clear()
        for column in self._columns:
            column.cut(self._kept)
        self._rows = self._kept

    def flush(self) -> None:
        """Hands on the rows of finished events; those of an event under way stay."""
        self._scheduled = False
        kept, self._kept = self._kept, 0
        if not kept:
            return
        self._rows -= kept
        for column in self._columns:
            column.flush(kept, self._collector)
