"""Asking and answering: a record may carry where its answer goes; the first yield of its event is sent there.

On the wire a request has the headers `streamz-reply-to` (a topic) and `streamz-correlation` (an id). The answer is a
record of that topic: its key is the id, its value JSON. A failed event answers with the header `streamz-error`.
"""

import asyncio
import itertools
import uuid
from dataclasses import dataclass
from typing import Any, Final

from streamz_actors.errors import AskFailed, ConfigError
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.types import Headers

REPLY_TO: Final = "streamz-reply-to"
CORRELATION: Final = "streamz-correlation"
ERROR: Final = "streamz-error"

REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Where an answer goes."""

    topic: str
    correlation: bytes


def asked(headers: Headers) -> Asked | None:
    """The request in a record's headers, if there is one."""
    topic = correlation = None
    for name, value in headers:
        if name == REPLY_TO:
            topic = value
        elif name == CORRELATION:
            correlation = value
    return Asked(topic.decode(), correlation) if topic is not None and correlation is not None else None


class Replies:
    """The questions of this process that wait for an answer."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._run = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._waiting: dict[bytes, asyncio.Future[bytes | None]] = {}
        self._unanswered: dict[bytes, None] = {}
        """Questions of which nothing has come back, the last REMEMBERED; also those that nobody waits for any more."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def unanswered(self) -> bool:
        """Whether answers may still be on their way."""
        return bool(self._unanswered)

    def new(self) -> "tuple[Headers, asyncio.Future[bytes | None]]":
        """Headers for a request, and the future of its answer's bytes."""
        correlation = f"{self._run}-{next(self._numbers)}".encode()
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = future
        self._unanswered[correlation] = None
        if len(self._unanswered) > REMEMBERED:
            del self._unanswered[next(iter(self._unanswered))]
        future.add_done_callback(lambda _: self._waiting.pop(correlation, None))
        return ((REPLY_TO, self.topic.encode()), (CORRELATION, correlation)), future

    def deliver(self, correlation: bytes, value: bytes | None, headers: Headers) -> None:
        """An answer has come. One that nobody waits for any longer is dropped: its asker has timed out."""
        self._unanswered.pop(correlation, None)
        future = self._waiting.get(correlation)
        if future is None or future.done():
            return
        error = next((text for name, text in headers if name == ERROR), None)
        if error is not None:
            future.set_exception(AskFailed(error.decode()))
        else:
            future.set_result(value)


def answer_record(schema: Schema[Any], value: Any, error: BaseException | None) -> tuple[bytes | None, Headers]:
    """The value and headers of an answer."""
    if error is not None:
        return None, ((ERROR, f"{type(error).__name__}: {error}".encode()),)
    return schema.encode(value), ()


def reply_schema(annotation: Any) -> Schema[Any]:
    """For an agent's return annotation `AsyncIterator[X]`: answers are X; without one, plain JSON."""
    arguments = getattr(annotation, "__args__", ())
    yielded = arguments[0] if arguments else Any
    try:
        return schema_for(yielded, "json")
    except ConfigError:
        return schema_for(Any, "json")
