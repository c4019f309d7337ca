"""What becomes of a record that failed for good: it stops the worker, is skipped, or goes to the dead letters."""

import logging
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.dead_letters import Why
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.policies import DeadLetter, Fail, Final, Policy, Skip
from streamz_actors.errors import EncodeError, HandlerError
from streamz_actors.serde.schema import Schema
from streamz_actors.types import Headers, TopicPartition

logger = logging.getLogger("streamz_actors.tasks")


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that was given up: as the test kit and the counters see it."""

    what: str
    """What failed: `agent 'charge'`, `decoding`."""
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    error: str
    dead_letter: str | None
    """The topic it went to; None: skipped."""


@dataclass(frozen=True, slots=True)
class Given:
    """A record that is given up, as it came. If it is `derived`, what it was made from came instead of it."""

    place: TopicPartition
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    derived: bool = False


def given(batch: Batch, row: int) -> Given:
    """A row of a batch; without what its schemas cannot write."""
    raw_keys, raw_values = batch.raw_keys, batch.raw_values
    return Given(
        batch.origin,
        batch.offsets[row],
        batch.timestamps[row],
        _written(batch.key_schema, batch.keys, row) if raw_keys is None else raw_keys[row],
        _written(batch.value_schema, batch.payloads, row) if raw_values is None else raw_values[row],
        batch.headers[row] if batch.headers is not None else (),
        derived=raw_keys is None or raw_values is None,
    )


def _written(schema: Schema[Any], column: Sequence[Any], row: int) -> bytes | None:
    if not column:  # rows of a join that has failed have no values yet
        return None
    try:
        return schema.encode(column[row])
    except EncodeError:
        return None


class Failures:
    """Carries out `Skip` and `DeadLetter` for one worker; `Fail` is raised."""

    def __init__(
        self,
        collector: Collector,
        default_topic: str,
        told: Callable[[Failure], None],
        late: Callable[[Late], None],
        on_error: Policy,
    ) -> None:
        """`late` is told of each record that came too late. `on_error`: where nothing else is said."""
        self._collector, self._default_topic, self._told, self.late = collector, default_topic, told, late
        self.on_error = on_error

    def through(self, collector: Collector) -> "Failures":
        """The same for one task, whose dead letters leave as everything else that it sends."""
        other = copy(self)
        other._collector = collector
        return other

    def settle(self, what: str, policy: Final, batch: Batch, row: int, error: BaseException, attempts: int) -> None:
        """The last word on one row. Raises HandlerError under `Fail`, or the error itself where it says the place."""
        if isinstance(policy, Fail):
            if isinstance(error, HandlerError):
                raise error
            raise HandlerError(what, batch.origin, batch.offsets[row], error) from error
        self.settle_raw(what, policy, given(batch, row), error, attempts)

    def settle_raw(
        self, what: str, policy: DeadLetter | Skip, record: Given, error: BaseException, attempts: int = 1
    ) -> None:
        """As `settle`, for what is no row yet."""
        topic: Any = None
        if isinstance(policy, DeadLetter):
            topic = policy.topic.name if policy.topic is not None else self._default_topic
            why = Why.of(what, record.place, record.offset, record.timestamp, error, attempts, derived=record.derived)
            headers = why.onto(record.headers)
            self._collector.add(topic, [record.key], [record.value], [record.timestamp], [headers])
        place, said = record.place, f"{type(error).__name__}: {error}"
        logger.warning(
            "%s failed at topic %r, partition %d, offset %d: %s; %s",
            what,
            place.topic,
            place.partition,
            record.offset,
            said,
            f"sent to {topic!r}" if topic else "skipped",
        )
        self._told(Failure(what, *place, record.offset, record.timestamp, record.key, record.value, said, topic))
