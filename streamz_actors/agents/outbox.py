"""What an actor yields, held until its event is done, then handed to the collector once a turn of the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.event import Out
from streamz_actors.dataflow.topics import Topic
from streamz_actors.types import Headers

Call = Callable[[Any], Any]


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
        self.put(batch, index, out.value)
        if out.key is not None:
            self.keys[-1] = self._encode_key(out.key)
        if out.timestamp is not None:
            self.timestamps[-1] = out.timestamp
        if out.headers:
            self.headers[-1] = tuple(out.headers)
            self._any_headers = True

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

    def __init__(self, topics: tuple[Topic[Any, Any], ...], calls: tuple[Call, ...], collector: Collector) -> None:
        self._columns = tuple(TopicColumns(topic) for topic in topics)
        self._calls = calls
        self._collector = collector
        self._values: list[Any] = []
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
        if self._calls:
            self._values.append(value)

    async def call(self) -> None:
        """Gives the event's yields to the functions among the sinks."""
        for value in self._values:
            for function in self._calls:
                result = function(value)
                if isinstance(result, Awaitable):
                    await result
        self._values.clear()

    @property
    def calls(self) -> bool:
        return bool(self._values)

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
        self._values.clear()
        for column in self._columns:
            column.drop()

    def flush(self) -> None:
        self._scheduled = False
        for column in self._columns:
            column.flush(self._collector)
