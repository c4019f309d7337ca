"""The embedded broker: topics, their logs, and consumer groups, in one process. Shared by all transports given it."""

import itertools
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from streamz_actors.clock import Clock, SystemClock
from streamz_actors.errors import ProduceError, TransportError
from streamz_actors.transport.abc import TopicInfo, TopicSpec
from streamz_actors.transport.memory.group import Group
from streamz_actors.transport.memory.log import PartitionLog
from streamz_actors.transport.memory.settings import TopicSettings, check_name
from streamz_actors.transport.memory.transactions import Ticket, Transactions
from streamz_actors.types import Headers, TopicPartition

CHECK_INTERVAL = 300.0
"""Seconds between two looks at retention: Kafka's log.retention.check.interval.ms."""


@dataclass(slots=True)
class MemoryTopic:
    name: str
    id: str
    settings: TopicSettings
    logs: list[PartitionLog]

    def info(self) -> TopicInfo:
        return TopicInfo(self.name, self.id, len(self.logs))

    def grow(self, partitions: int) -> None:
        for number in range(len(self.logs), partitions):
            self.logs.append(PartitionLog(TopicPartition(self.name, number), self.settings))


class MemoryBroker:
    """`check_interval` is in seconds of `clock`; None: retention acts only when `clean` is called.

    `marker_delay`: seconds between a transaction's end and its control records (see `transactions`).
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        cluster_id: str | None = None,
        check_interval: float | None = CHECK_INTERVAL,
        marker_delay: float = 0.0,
    ) -> None:
        self.clock = clock if clock is not None else SystemClock()
        self.cluster_id = cluster_id if cluster_id is not None else f"memory-{uuid.uuid4().hex}"
        self.topics: dict[str, MemoryTopic] = {}
        self.transactions = Transactions(self.clock, marker_delay)
        self.groups: dict[str, Group] = {}
        self._topic_numbers = itertools.count(1)
        self._check_interval = check_interval
        self._next_check = self.clock.monotonic() + (check_interval or 0.0)

    # ---- topics

    def create_topic(self, spec: TopicSpec) -> None:
        """Leaves one that exists as it is. Raises TransportError for what Kafka would refuse."""
        if spec.name in self.topics:
            return
        check_name(spec.name)
        if spec.partitions < 1:
            raise TransportError(f"topic {spec.name!r}: needs at least one partition, not {spec.partitions}")
        settings = TopicSettings.parse(spec.name, spec.config)
        topic = MemoryTopic(spec.name, f"{self.cluster_id}-{next(self._topic_numbers)}", settings, [])
        topic.grow(spec.partitions)
        self.topics[spec.name] = topic
        self._announce(spec.name)

    def add_partitions(self, name: str, partitions: int) -> None:
        """Makes it `partitions` in all; groups that read the topic rebalance. Raises TransportError."""
        topic = self.topic(name)
        if partitions <= len(topic.logs):
            raise TransportError(f"topic {name!r} cannot go from {len(topic.logs)} to {partitions} partitions")
        topic.grow(partitions)
        self._announce(name)

    def delete_topic(self, name: str) -> None:
        """Drops its records and every group's offsets of it; one that does not exist is no error."""
        topic = self.topics.pop(name, None)
        if topic is None:
            return
        for log in topic.logs:
            log.close()
        for group in self.groups.values():
            group.offsets.forget(name)
        self._announce(name)

    def topic(self, name: str) -> MemoryTopic:
        """Raises TransportError for one that does not exist."""
        topic = self.topics.get(name)
        if topic is None:
            raise TransportError(f"topic {name!r} does not exist; create it first")
        return topic

    def log(self, partition: TopicPartition) -> PartitionLog:
        """Raises TransportError for one that does not exist."""
        logs = self.topic(partition.topic).logs
        if not 0 <= partition.partition < len(logs):
            raise TransportError(f"topic {partition.topic!r} has no partition {partition.partition}, only {len(logs)}")
        return logs[partition.partition]

    # ---- records

    def append(
        self,
        partition: TopicPartition,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
        ticket: Ticket | None = None,
    ) -> int:
        """The first record's offset. Raises ProduceError, and then appends none of them.

        With a ticket they belong to a transaction.
        """
        try:
            log = self.log(partition)
        except TransportError as error:
            why, gone = str(error), partition.topic not in self.topics
            refused = dict.fromkeys(range(len(keys)), why)
            raise ProduceError(f"{partition}: {why}", refused, lasting=True, gone=gone) from error
        try:
            producer = self.transactions.write(ticket, log) if ticket is not None else None
        except TransportError as error:
            raise ProduceError(f"{partition}: {error}") from error
        first = log.append(keys, values, timestamps, headers, self.clock.now(), producer)
        if self._check_interval is not None and self.clock.monotonic() >= self._next_check:
            self._next_check = self.clock.monotonic() + self._check_interval
            self._retain()
        return first

    def clean(self) -> None:
        """Runs retention and compaction of every topic now, whatever is due."""
        now = self.clock.now()
        for topic in self.topics.values():
            for log in topic.logs:
                log.clean(now)

    def _retain(self) -> None:
        now = self.clock.now()
        for topic in self.topics.values():
            if topic.settings.deletes:
                for log in topic.logs:
                    log.retain(now)

    # ---- groups

    def group(self, name: str) -> Group:
        """The coordinator of this group, made when it is first asked for."""
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(name, self.clock, self._partition_counts)
        return group

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        known = self.groups.get(group)
        return {partition: known.offsets.committed.get(partition) if known else None for partition in partitions}

    def _partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        return {name: len(self.topics[name].logs) for name in topics if name in self.topics}

    def _announce(self, topic: str) -> None:
        for group in self.groups.values():
            group.topic_changed(topic)
