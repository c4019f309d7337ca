"""What becomes of rows that come too late for an operator: counted, shown, and handed to whoever asked for them."""

from collections.abc import Callable
from typing import Any

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.guard import Guard
from streamz_actors.dataflow.late import Late, late_row
from streamz_actors.dataflow.node import Place
from streamz_actors.dataflow.policies import last_word
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import EncodeError

OnLate = Callable[[Late], object] | Topic[Any, Any] | None
"""A plain function that is called with the report, or a topic that the record goes to, key and value as they are."""


class Lateness:
    """Of one operator in one task. `what` names the operator in reports."""

    def __init__(self, what: str, place: Place, on_late: OnLate = None) -> None:
        self._what, self._place, self._on_late = what, place, on_late
        self._guard = Guard(last_word(place.on_error), place.give_up)

    def drop(self, batch: Batch, row: int, stream_time: int, window: tuple[int, int] | None = None) -> None:
        """Reports a row. `window`: start and end of the one that had closed. What `on_late` raises, and what its topic
        cannot write, the application's policy decides on.
        """
        record = late_row(self._what, batch, row, stream_time, window)
        self._place.late(record)
        told = self._on_late
        if isinstance(told, Topic):
            self._send(told, batch, row, record)
        elif told is not None:
            try:
                told(record)
            except Exception as error:
                self._guard.failed(f"on_late of {self._what}", batch, row, error)

    def _send(self, topic: Topic[Any, Any], batch: Batch, row: int, record: Late) -> None:
        try:
            key, value = topic.key_schema.encode(record.key), topic.value_schema.encode(record.value)
        except EncodeError as error:
            self._guard.failed(f"late record of {self._what} for topic {topic.name!r}", batch, row, error)
            return
        headers = None if batch.headers is None else [batch.headers[row]]
        self._place.collector.add(topic.name, [key], [value], [record.timestamp], headers)
