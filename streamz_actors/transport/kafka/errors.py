"""Foreign errors translated once, at the border: what aiokafka raises becomes a TransportError, with advice."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, ClassVar

from aiokafka import errors as kafka

from streamz_actors.errors import BrokerUnavailable, OffsetOutOfRange, StreamzError, TransportError
from streamz_actors.types import TopicPartition

FOREIGN: tuple[type[BaseException], ...] = (
    kafka.KafkaError,
    kafka.ConsumerStoppedError,
    kafka.IllegalOperation,
    OSError,
    TimeoutError,
    AssertionError,  # aiokafka's answer to some states it did not foresee
)
"""What aiokafka's calls raise when something outside this program is wrong."""


class FencedLeaderEpoch(kafka.BrokerResponseError):  # type: ignore[misc]
    errno: ClassVar[int] = 74
    message = "FENCED_LEADER_EPOCH"
    description = "The client's knowledge of the partition's leader is out of date."
    retriable = True
    invalid_metadata = True


class UnknownLeaderEpoch(kafka.BrokerResponseError):  # type: ignore[misc]
    errno: ClassVar[int] = 75
    message = "UNKNOWN_LEADER_EPOCH"
    description = "The broker's knowledge of the partition's leader is out of date."
    retriable = True


class UnsupportedCompression(kafka.BrokerResponseError):  # type: ignore[misc]
    errno: ClassVar[int] = 76
    message = "UNSUPPORTED_COMPRESSION_TYPE"
    description = "The broker does not know this compression type."


class FencedInstanceId(kafka.BrokerResponseError):  # type: ignore[misc]
    errno: ClassVar[int] = 82
    message = "FENCED_INSTANCE_ID"
    description = "Another member of the group uses the same group_instance_id."


class InvalidRecord(kafka.BrokerResponseError):  # type: ignore[misc]
    errno: ClassVar[int] = 87
    message = "INVALID_RECORD"
    description = "The broker refused a record: in a compacted topic, most likely one without a key."


class UnstableOffsets(kafka.BrokerResponseError):  # type: ignore[misc]
    errno: ClassVar[int] = 88
    message = "UNSTABLE_OFFSET_COMMIT"
    description = "A transaction that has some of these offsets in it is open."
    retriable = True


class FencedProducer(kafka.BrokerResponseError):  # type: ignore[misc]
    errno: ClassVar[int] = 90
    message = "PRODUCER_FENCED"
    description = "A newer producer has taken over."


def register_codes() -> None:
    """Tells aiokafka of error codes that it does not know: it takes each of them for "unknown", never to be retried."""
    for error in (
        FencedLeaderEpoch,
        UnknownLeaderEpoch,
        UnsupportedCompression,
        FencedInstanceId,
        InvalidRecord,
        UnstableOffsets,
        FencedProducer,
    ):
        kafka.kafka_errors.setdefault(error.errno, error)


UNREACHABLE = (
    kafka.KafkaConnectionError,
    kafka.NodeNotReadyError,
    kafka.RequestTimedOutError,
    kafka.KafkaTimeoutError,
    kafka.GroupCoordinatorNotAvailableError,
    kafka.StaleMetadata,
    TimeoutError,
    OSError,
)

REFUSALS = (kafka.AuthenticationFailedError, kafka.SaslAuthenticationFailed, kafka.UnsupportedSaslMechanismError)

ADVICE: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (ssl.SSLError, "check security_protocol and the ssl_* settings"),
    (REFUSALS, "check the sasl_* settings"),
    (
        (
            kafka.TopicAuthorizationFailedError,
            kafka.GroupAuthorizationFailedError,
            kafka.ClusterAuthorizationFailedError,
            kafka.TransactionalIdAuthorizationFailed,
        ),
        "this user lacks the permission (ACL) for it on the broker",
    ),
    (FencedInstanceId, "give every worker a group_instance_id of its own"),
    (
        kafka.InvalidSessionTimeoutError,
        "the broker's group.min.session.timeout.ms and group.max.session.timeout.ms do not allow this session timeout",
    ),
    (kafka.InconsistentGroupProtocolError, "members with another assignor are in this group: give the app its own id"),
    (kafka.UnsupportedVersionError, "Kafka 2.4 or newer is needed"),
    (kafka.IncompatibleBrokerVersion, "Kafka 2.4 or newer is needed"),
)


def translate(error: BaseException, what: str) -> StreamzError:
    """The framework's error for `error`, which came while doing `what` ("committing the offsets of group x")."""
    if isinstance(error, StreamzError):
        return error
    if isinstance(error, kafka.OffsetOutOfRangeError):
        return OffsetOutOfRange(
            f"{what}: the log does not hold {positions(error)}; seek to a position that it holds", wanted(error)
        )
    if isinstance(error, kafka.NoOffsetForPartitionError):
        return OffsetOutOfRange(
            f"{what}: nothing is committed for {error.args[0] if error.args else 'a partition'} and auto_offset_reset "
            'is "none"; commit a position, or set it to "earliest" or "latest"'
        )
    if isinstance(error, UNREACHABLE) and not turned_away(error):
        return BrokerUnavailable(f"{what}: {reason(error)}")
    return TransportError(f"{what}: {reason(error)}")


def reason(error: BaseException) -> str:
    """One line: the error in words, and what to do about it where that is known."""
    text = describe(error)
    for kinds, advice in ADVICE:
        if isinstance(error, kinds):
            return f"{text}; {advice}"
    return text


def turned_away(error: BaseException) -> bool:
    """Whether a connection has failed for a reason that lasts: who we are, or whom we trust."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):  # it went away meanwhile
        return False
    return isinstance(error, (ssl.SSLError, *REFUSALS))


def describe(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError) and not isinstance(error, kafka.KafkaError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, kafka.BrokerResponseError):
        detail = f" ({', '.join(map(str, error.args))})" if error.args else ""
        return f"{error.message or type(error).__name__}: {' '.join(str(error.description).split())}{detail}"
    text = " ".join(str(error).split())
    name = type(error).__name__
    return text if text.startswith(name) else f"{name}: {text}".removesuffix(": ")


def raise_for(codes: Mapping[str, tuple[int, str | None]], *allowed: type[BaseException]) -> None:
    """Raises the first error among code and text of each thing, unless it is one of `allowed`."""
    for name, (code, text) in codes.items():
        error = kafka.for_code(code)
        if code and error not in allowed:
            raise error(f"{name}: {text}" if text else name)


def positions(error: Any) -> str:
    """The partitions and offsets inside aiokafka's OffsetOutOfRangeError."""
    return ", ".join(f"offset {offset} of {partition}" for partition, offset in wanted(error).items()) or "a position"


def wanted(error: Any) -> dict[TopicPartition, int]:
    found = error.args[0] if error.args else {}
    return {TopicPartition(*key): offset for key, offset in found.items()} if isinstance(found, dict) else {}
