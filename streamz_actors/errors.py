"""Every error of the framework, one tree. A class exists where a caller acts on it.

Messages say what happened, where, and what to do.

StreamzError
├── ConfigError                 a setting is unknown, malformed or contradicts another
├── TopologyError               the declarations do not fit together
├── SerdeError
│   ├── DecodeError             bytes of a record that its schema cannot read
│   └── EncodeError             a value that its schema cannot write
├── TransportError
│   ├── BrokerUnavailable       no connection, or no answer in time
│   ├── TopicMismatch           a topic exists, but not as declared
│   ├── ProduceError            a record was refused or its delivery is unknown
│   ├── CommitError             offsets were not committed
│   └── OffsetOutOfRange        a position that the log no longer (or not yet) holds
├── StateError
│   ├── StoreCorrupted          local state that cannot be opened or read
│   └── StoreLocked             another process holds the state directory
├── UsageError                  a call that its place does not allow
│   ├── NotRunning              the application is not running
│   ├── NotInHandler            a table was read or written outside a handler
│   └── WrongPartition          a write to a key that belongs to another partition
├── HandlerError                user code raised and its policy is to fail
├── AskFailed                   the agent that was asked failed on the event
└── QueryError
    ├── KeyMissing              no such key
    ├── TableUnknown            no such table
    └── NotReady                the state is restoring, moving, or owned by another worker
"""

from collections.abc import Mapping
from types import MappingProxyType

from streamz_actors.types import TopicPartition


class StreamzError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigError(StreamzError):
    pass


class TopologyError(StreamzError):
    pass


class SerdeError(StreamzError):
    pass


class DecodeError(SerdeError):
    """Bytes that their schema cannot read.

    `field` is a path such as `$.account` or "" for the whole value; `where` is filled in by the layer that knows it.
    """

    def __init__(self, reason: str, *, field: str = "", where: str = "") -> None:
        super().__init__(reason, field, where)
        self.reason, self.field, self.where = reason, field, where

    def __str__(self) -> str:
        parts = [self.where, f"field {self.field}" if self.field else "", self.reason]
        return ": ".join(part for part in parts if part)


class EncodeError(SerdeError):
    pass


class TransportError(StreamzError):
    pass


class BrokerUnavailable(TransportError):
    pass


class TopicMismatch(TransportError):
    pass


class ProduceError(TransportError):
    """`rows`: the records of the send that the broker has refused, and why: for certain it has written nothing of them,
    and all others of the send. Empty: nobody knows what was written.

    `runs`: offsets and counts, row after row, with the offset -1 for what was refused. `lasting`: it is not about these
    records, others of the topic are refused as well. `gone`: for there is no such topic (any more).
    """

    def __init__(
        self,
        reason: str,
        rows: Mapping[int, str] = MappingProxyType({}),
        runs: tuple[tuple[int, int], ...] = (),
        *,
        lasting: bool = False,
        gone: bool = False,
    ) -> None:
        super().__init__(reason)
        self.rows, self.runs, self.lasting, self.gone = rows, runs, lasting, gone

    @property
    def refused(self) -> bool:
        return bool(self.rows)


class CommitError(TransportError):
    pass


class OffsetOutOfRange(TransportError):
    """`positions`: those that the logs do not hold."""

    def __init__(self, reason: str, positions: Mapping[TopicPartition, int] = MappingProxyType({})) -> None:
        super().__init__(reason)
        self.positions = positions


class StateError(StreamzError):
    pass


class StoreCorrupted(StateError):
    pass


class StoreLocked(StateError):
    pass


class UsageError(StreamzError):
    pass


class NotRunning(UsageError):
    pass


class NotInHandler(UsageError):
    pass


class WrongPartition(UsageError):
    pass


class HandlerError(StreamzError):
    """User code raised while it handled one record, and its policy is `Fail()`. The cause is `__cause__`."""

    def __init__(self, what: str, partition: TopicPartition, offset: int, cause: BaseException) -> None:
        super().__init__(what, partition, offset, cause)
        self.what, self.partition, self.offset, self.cause = what, partition, offset, cause
        self.__cause__ = cause

    def __str__(self) -> str:
        topic, partition = self.partition
        return (
            f"{self.what} failed at topic {topic!r}, partition {partition}, offset {self.offset}: "
            f"{type(self.cause).__name__}: {self.cause}"
        )


class AskFailed(StreamzError):
    pass


class QueryError(StreamzError):
    pass


class KeyMissing(QueryError):
    pass


class TableUnknown(QueryError):
    pass


class NotReady(QueryError):
    """`retry_after` is in seconds."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
