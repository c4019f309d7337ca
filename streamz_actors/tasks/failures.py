"""What becomes of a record that failed for good: it stops the worker, is skipped, or goes to the dead letters."""

import logging
import traceback
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.policies import DeadLetter, Fail, Final, Skip
from streamz_actors.errors import EncodeError, HandlerError
from streamz_actors.types import Headers, TopicPartition

logger = logging.getLogger("streamz_actors.tasks")


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that was given up: as the test kit and the counters see it."""

    what: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    error: str
    dead_letter: str | None
    """The topic it went to; None: skipped."""


def dead_letter_headers(
    place: TopicPartition, offset: int, timestamp: int, error: BaseException, attempts: int
) -> Headers:
    """Why a record is among the dead letters; `streamz-` headers, all text."""
    stack = "".join(traceback.format_exception(error))[-8_000:]
    fields = {
        "topic": place.topic,
        "partition": str(place.partition),
        "offset": str(offset),
        "timestamp": str(timestamp),
        "error": f"{type(error).__name__}: {error}",
        "stack": stack,
        "attempts": str(attempts),
    }
    return tuple((f"streamz-{name}", text.encode()) for name, text in fields.items())


def _raw(batch: Batch, row: int) -> tuple[bytes | None, bytes | None]:
    """A row's key and value as they came, or as their schemas write them. Raises EncodeError."""
    key = batch.raw_keys[row] if batch.raw_keys is not None else batch.key_schema.encode(batch.keys[row])
    value = batch.raw_values[row] if batch.raw_values is not None else batch.value_schema.encode(batch.values[row])
    return key, value


class Failures:
    """Carries out `Skip` and `DeadLetter` for one worker; `Fail` is raised."""

    def __init__(
        self,
        collector: Collector,
        default_topic: str,
        told: Callable[[Failure], None],
        late: Callable[[Late], None],
    ) -> None:
        """`late` is told of each record that came too late."""
        self._collector, self._default_topic, self._told, self.late = collector, default_topic, told, late

    def through(self, collector: Collector) -> "Failures":
        """The same for one task, whose dead letters leave as everything else that it sends."""
        other = copy(self)
        other._collector = collector
        return other

    def settle(self, what: str, policy: Final, batch: Batch, row: int, error: BaseException, attempts: int) -> None:
        """The last word on one row. Raises HandlerError under `Fail`, or the error itself where it says the place;
        under `DeadLetter`, EncodeError for a derived row that its schema cannot write.
        """
        offset = batch.offsets[row]
        if isinstance(policy, Fail):
            if isinstance(error, HandlerError):
                raise error
            raise HandlerError(what, batch.origin, offset, error) from error
        try:
            key, value = _raw(batch, row)
        except EncodeError as unwritable:
            if isinstance(policy, DeadLetter):
                raise batch.misfit(f"the dead letter of {what}", row, unwritable) from error
            key = value = None
        self.settle_raw(
            what,
            policy,
            batch.origin,
            offset,
            batch.timestamps[row],
            key,
            value,
            batch.headers[row] if batch.headers is not None else (),
            error,
            attempts,
        )

    def settle_raw(
        self,
        what: str,
        policy: DeadLetter | Skip,
        place: TopicPartition,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        error: BaseException,
        attempts: int,
    ) -> None:
        topic: Any = None
        if isinstance(policy, DeadLetter):
            topic = policy.topic.name if policy.topic is not None else self._default_topic
            why = dead_letter_headers(place, offset, timestamp, error, attempts)
            self._collector.add(topic, [key], [value], [timestamp], [(*headers, *why)])
        logger.warning(
            "%s failed at topic %r, partition %d, offset %d: %s: %s; %s",
            what,
            place.topic,
            place.partition,
            offset,
            type(error).__name__,
            error,
            f"sent to {topic!r}" if topic else "skipped",
        )
        self._told(
            Failure(
                what,
                place.topic,
                place.partition,
                offset,
                timestamp,
                key,
                value,
                f"{type(error).__name__}: {error}",
                topic,
            )
        )
