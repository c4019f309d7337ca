"""Requests of Kafka that aiokafka does not speak: topics with ids or default replication, leaving for others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka.protocol.admin import CreateTopicsRequest_v3, CreateTopicsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

TAGS = ("tags", TaggedFields)
NO_ID = UUID(int=0).bytes


class Uuid(TaggedFields):  # type: ignore[misc]
    """Sixteen bytes. (Array accepts subclasses of its own field types only.)"""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: Any) -> bytes:
        return bytes(data.read(16))


class MetadataResponse_v12(Response):  # type: ignore[misc]  # noqa: N801
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                TAGS,
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                TAGS,
            ),
        ),
        TAGS,
    )


class MetadataRequest_v12(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = MetadataResponse_v12
    SCHEMA = Schema(
        ("topics", CompactArray(("id", Uuid), ("topic", CompactString("utf-8")), TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_authorized_operations", Boolean),
        TAGS,
    )


class DescribeTopics(Request[MetadataRequest_v5 | MetadataRequest_v12]):  # type: ignore[misc]
    """Metadata of topics (None: of all) that never creates one; without ids from a broker before Kafka 3.1."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str] | None) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        names = None if self._topics is None else list(self._topics)
        if request_struct_class is MetadataRequest_v5:
            return MetadataRequest_v5(names, False)
        topics: Any = None if names is None else [(NO_ID, name, {}) for name in names]
        return MetadataRequest_v12(topics, False, False, {})


class CreateTopicsResponse_v4(Response):  # type: ignore[misc]  # noqa: N801
    API_KEY = 19
    API_VERSION = 4
    SCHEMA = CreateTopicsResponse_v3.SCHEMA


class CreateTopicsRequest_v4(RequestStruct):  # type: ignore[misc]  # noqa: N801
    """As version 3, but a replication factor of -1 is the broker's default."""

    API_KEY = 19
    API_VERSION = 4
    RESPONSE_TYPE = CreateTopicsResponse_v4
    SCHEMA = CreateTopicsRequest_v3.SCHEMA


class CreateTopics(Request[CreateTopicsRequest_v4]):  # type: ignore[misc]
    API_KEY = 19

    def __init__(self, topics: Sequence[tuple[str, int, int, dict[str, str]]], timeout: float) -> None:
        """`topics`: name, partitions, replication factor (-1: the broker's default), settings. `timeout` in seconds."""
        self._topics = topics
        self._timeout = timeout

    def build(self, request_struct_class: Any) -> Any:
        topics: Any = [(name, count, factor, [], list(config.items())) for name, count, factor, config in self._topics]
        return request_struct_class(topics, round(self._timeout * 1000), False)


class LeaveGroupResponse_v3(Response):  # type: ignore[misc]  # noqa: N801
    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(("member_id", String("utf-8")), ("instance_id", String("utf-8")), ("error_code", Int16)),
        ),
    )


class LeaveGroupRequest_v3(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = LeaveGroupResponse_v3
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("members", Array(("member_id", String("utf-8")), ("instance_id", String("utf-8")))),
    )


class RemoveMember(Request[LeaveGroupRequest_v3]):  # type: ignore[misc]
    """Leaves a group for somebody else, a static member perhaps."""

    API_KEY = 13

    def __init__(self, group: str, member_id: str, instance_id: str | None) -> None:
        self._group, self._member = group, (member_id, instance_id)

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._group, [self._member])


@dataclass(frozen=True, slots=True)
class TopicMetadata:
    """`error` is Kafka's code, 0 for none; `leaders` has each partition's leading node, -1 for none."""

    name: str
    id: str
    error: int
    leaders: dict[int, int]


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    id: str
    nodes: tuple[int, ...]
    topics: dict[str, TopicMetadata]

    @classmethod
    def of(cls, response: Any) -> "ClusterInfo":
        parse = _topic_v5 if response.API_VERSION == 5 else _topic_v12
        topics = [parse(*fields) for fields in response.topics]
        nodes = tuple(broker[0] for broker in response.brokers)
        return cls(response.cluster_id or "", nodes, {topic.name: topic for topic in topics})


def _topic_v5(error: int, name: str, _internal: bool, partitions: list[Any]) -> TopicMetadata:
    return TopicMetadata(name, "", error, {number: leader for _, number, leader, *_ in partitions})


def _topic_v12(error: int, name: str, uuid: bytes, _internal: bool, partitions: list[Any], *_: Any) -> TopicMetadata:
    return TopicMetadata(name, str(UUID(bytes=uuid)), error, {number: leader for _, number, leader, *_ in partitions})
