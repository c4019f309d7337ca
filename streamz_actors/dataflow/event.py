"""One record as user code sees it."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from streamz_actors.types import Headers, RecordMetadata

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Event(Generic[K, V]):
    """A record with its place. `timestamp` is in milliseconds; `topic` is "" in a channel."""

    key: K
    value: V
    headers: Headers
    timestamp: int
    topic: str
    partition: int
    offset: int

    async def forward(
        self, topic: Any, *, key: Any = None, value: Any = None, headers: Headers | None = None
    ) -> RecordMetadata:
        """Sends this record on to `topic`, under its own key, value, timestamp and headers where none is given."""
        metadata: RecordMetadata = await topic.send(
            key=self.key if key is None else key,
            value=self.value if value is None else value,
            timestamp=self.timestamp,
            headers=self.headers if headers is None else headers,
        )
        return metadata


@dataclass(frozen=True, slots=True)
class Out(Generic[V]):
    """What a handler yields to choose more than the value. None keeps the current event's key or timestamp (ms)."""

    value: V
    key: Any = None
    timestamp: int | None = None
    headers: Headers = ()
