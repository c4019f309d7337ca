"""Topics as they are declared. Sending works once the application runs."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, Literal, TypeVar, get_args

from streamz_actors.dataflow.context import Link, current
from streamz_actors.dataflow.limits import UNLIMITED, Limits
from streamz_actors.dataflow.policies import Final, checked_last
from streamz_actors.errors import TopologyError
from streamz_actors.serde.schema import Schema
from streamz_actors.types import Headers, RecordMetadata

K = TypeVar("K")
V = TypeVar("V")

LATEST = "message.timestamp.after.max.ms"
"""How far ahead of its clock a broker takes a record's time: an hour, unless the topic says otherwise."""
ANY_TIME = str(2**63 - 1)
"""Event time is what the records say; a window that is closed by the wall clock moves it ahead as well."""

OnTimestampError = Literal["fail", "skip", "partition_time", "wall_clock"]

HeadersLike = Headers | Mapping[str, bytes] | None


@dataclass(eq=False, frozen=True)
class Topic(Generic[K, V]):
    """One topic or several of one shape. Made by `app.topic(...)`.

    `retention` is in seconds; with `compacting` as well, a record goes when it is either replaced or too old.
    `timestamp` gives the event time of a decoded value: milliseconds, or a `datetime`. `on_timestamp_error` is for
    records for which it raises, or whose time is negative: "fail", "skip" (with a report), or take the highest time so
    far in the partition ("partition_time") or the "wall_clock". None: what raises is a decode error, and what is
    negative skipped.
    """

    names: tuple[str, ...]
    key_schema: Schema[K]
    value_schema: Schema[V]
    link: Link = field(repr=False)
    partitions: int | None = None
    replication_factor: int | None = None
    compacting: bool = False
    retention: float | timedelta | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    timestamp: Callable[[V], int | datetime] | None = None
    on_decode_error: Final | None = None
    """None: as the application does with what fails."""
    on_timestamp_error: OnTimestampError | None = None
    limits: Limits = UNLIMITED
    """What it takes, as far as that is known before a record is sent."""
    internal: bool = False
    """Made and owned by the application: a repartition topic, a changelog, dead letters, replies."""

    def __post_init__(self) -> None:
        if not self.names:
            raise TopologyError("a topic needs at least one name")
        if self.on_decode_error is not None:
            why = "the bytes stay what they are"
            checked_last(self.on_decode_error, f"topic {self.names[0]!r}: on_decode_error", why)
        if self.on_timestamp_error is not None and self.on_timestamp_error not in get_args(OnTimestampError):
            raise TopologyError(
                f"topic {self.names[0]!r}: on_timestamp_error={self.on_timestamp_error!r} is none of "
                f"{', '.join(get_args(OnTimestampError))}"
            )

    @property
    def name(self) -> str:
        if len(self.names) > 1:
            raise TopologyError(f"topics {', '.join(self.names)} are read together: name one of them to write to")
        return self.names[0]

    @property
    def settings(self) -> dict[str, str]:
        """The broker's settings for it, by their Kafka names."""
        made: dict[str, str] = {}
        if self.compacting:
            made["cleanup.policy"] = "compact" if self.retention is None else "compact,delete"
        if self.retention is not None:
            seconds = self.retention.total_seconds() if isinstance(self.retention, timedelta) else self.retention
            made["retention.ms"] = str(round(seconds * 1000))
        if self.internal:
            made[LATEST] = ANY_TIME
        return made | dict(self.config)

    async def send(
        self,
        *,
        value: V | None = None,
        key: K | None = None,
        partition: int | None = None,
        timestamp: int | None = None,
        headers: HeadersLike = None,
    ) -> RecordMetadata:
        """Sends one record and returns where it ended up, once it is delivered. `timestamp` is in ms (default: now).

        Raises EncodeError, and ProduceError if the broker does not take it.
        """
        return await self.send_soon(value=value, key=key, partition=partition, timestamp=timestamp, headers=headers)

    def send_soon(
        self,
        *,
        value: V | None = None,
        key: K | None = None,
        partition: int | None = None,
        timestamp: int | None = None,
        headers: HeadersLike = None,
    ) -> "asyncio.Future[RecordMetadata]":
        """As `send`, from code that cannot await; the record leaves at the end of the loop's turn.

        If the broker refuses it and nobody looks at the future, the policy of the event at hand decides; where there is
        none the worker stops.
        """
        context = current.get()
        runtime = self.link.get(f"sending to topic {self.name!r}")
        return runtime.collector.send(
            self.name,
            self.key_schema.encode(key),
            self.value_schema.encode(value),
            runtime.clock.now() if timestamp is None else timestamp,
            header_tuple(headers),
            partition,
            None if context is None else context.refused(),
        )

    def __str__(self) -> str:
        return "|".join(self.names)


def header_tuple(headers: HeadersLike) -> Headers:
    if headers is None:
        return ()
    if isinstance(headers, Mapping):
        return tuple(headers.items())
    return tuple((name, value) for name, value in headers)
