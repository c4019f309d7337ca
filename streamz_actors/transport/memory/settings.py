"""The settings of a topic: Kafka's names and defaults, those that the embedded broker acts on parsed once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from streamz_actors.errors import TransportError

LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")

DEFAULTS: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "delete.retention.ms": "86400000",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
}

WITHOUT_EFFECT = frozenset(
    {
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.type",
        "compression.zstd.level",
        "file.delete.delay.ms",
        "flush.messages",
        "flush.ms",
        "follower.replication.throttled.replicas",
        "index.interval.bytes",
        "leader.replication.throttled.replicas",
        "local.retention.bytes",
        "local.retention.ms",
        "max.compaction.lag.ms",
        "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms",
        "min.cleanable.dirty.ratio",
        "min.compaction.lag.ms",
        "min.insync.replicas",
        "preallocate",
        "remote.log.copy.disable",
        "remote.log.delete.on.disable",
        "remote.storage.enable",
        "segment.bytes",
        "segment.index.bytes",
        "segment.jitter.ms",
        "segment.ms",
        "unclean.leader.election.enable",
    }
)
"""Accepted, since Kafka 4 knows them; one process without segments, disks or replicas has no use for them."""


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """Times are in milliseconds, sizes in bytes; a retention below 0 means no limit."""

    effective: Mapping[str, str]
    deletes: bool
    compacts: bool
    retention_ms: int
    retention_bytes: int
    delete_retention_ms: int
    max_message_bytes: int
    append_time: bool

    @classmethod
    def parse(cls, topic: str, config: Mapping[str, str]) -> "TopicSettings":
        """Raises TransportError for what a Kafka broker would refuse: an unknown name or a value that is none."""
        if unknown := sorted(config.keys() - DEFAULTS.keys() - WITHOUT_EFFECT):
            raise TransportError(f"topic {topic!r}: no such topic setting: {', '.join(unknown)}")
        effective = {**DEFAULTS, **config}
        policies = {policy.strip() for policy in effective["cleanup.policy"].split(",")}
        if not policies or policies - {"delete", "compact"}:
            raise _refused(topic, "cleanup.policy", effective, "'delete', 'compact' or both, with a comma between")
        if effective["message.timestamp.type"] not in ("CreateTime", "LogAppendTime"):
            raise _refused(topic, "message.timestamp.type", effective, "'CreateTime' or 'LogAppendTime'")
        return cls(
            effective=effective,
            deletes="delete" in policies,
            compacts="compact" in policies,
            retention_ms=_number(topic, "retention.ms", effective, -1),
            retention_bytes=_number(topic, "retention.bytes", effective, -1),
            delete_retention_ms=_number(topic, "delete.retention.ms", effective, 0),
            max_message_bytes=_number(topic, "max.message.bytes", effective, 0),
            append_time=effective["message.timestamp.type"] == "LogAppendTime",
        )


def check_name(topic: str) -> None:
    """Raises TransportError for a topic name that Kafka does not allow."""
    if topic in (".", "..") or not LEGAL_NAME.fullmatch(topic):
        raise TransportError(f"topic {topic!r}: a name has 1 to 249 ASCII letters, digits, '.', '_' or '-'")


def _number(topic: str, name: str, config: Mapping[str, str], least: int) -> int:
    try:
        number = int(config[name])
    except ValueError:
        number = least - 1
    if number < least:
        raise _refused(topic, name, config, f"an integer of at least {least}")
    return number


def _refused(topic: str, name: str, config: Mapping[str, str], wanted: str) -> TransportError:
    return TransportError(f"topic {topic!r}: {name}={config[name]!r} is not {wanted}")
