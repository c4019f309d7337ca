"""Topics, offsets and settings of a Kafka cluster: every answer is checked for errors, every change waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import errors as kafka
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.protocol.admin import DeleteRecordsRequest, DeleteTopicsRequest, DescribeConfigsRequest
from aiokafka.protocol.offset import OffsetRequest

from streamz_actors.clock import Clock
from streamz_actors.errors import BrokerUnavailable, TransportError
from streamz_actors.transport.abc import Admin, MemberInfo, TopicInfo, TopicSpec
from streamz_actors.transport.kafka.client import new_client
from streamz_actors.transport.kafka.connection import Profile
from streamz_actors.transport.kafka.errors import FOREIGN, raise_for, translate
from streamz_actors.transport.kafka.groups import Groups
from streamz_actors.transport.kafka.protocol import ClusterInfo, CreateTopics, DescribeTopics, TopicMetadata
from streamz_actors.types import TopicPartition

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds for which an operation is repeated while the cluster answers that it will be able to soon."""

SETTLING = 2.0
"""Seconds that a broker may take to hear of a topic which another one has just made, and answered for."""

RETRY_PAUSE = 0.1
UNKNOWN_TOPIC = kafka.UnknownTopicOrPartitionError.errno
INVALID_CONFIG = kafka.InvalidConfigurationError.errno
SINCE_3_6 = frozenset({"message.timestamp.after.max.ms", "message.timestamp.before.max.ms"})
"""Settings of a topic that brokers before Kafka 3.6 refuse, as they know no such limits."""
NO_LEADER = kafka.LeaderNotAvailableError.errno
EARLIEST, LATEST = -2, -1
READ_UNCOMMITTED = 0
TOPIC_RESOURCE = 2
BROKER_DEFAULT = -1

ByTopic = list[tuple[str, list[tuple[int, int]]]]
"""A value for each of several partitions, as Kafka's requests have it."""

Answers = dict[TopicPartition, tuple[int, int]]
"""An error code and a value for each partition."""


class KafkaAdmin(Admin):
    def __init__(self, profile: Profile, client_id: str, clock: Clock) -> None:
        self._profile = profile
        self._client_id = client_id
        self._clock = clock
        self._timeout_ms = round(profile.request_timeout * 1000)
        self._client: Any = None
        self._groups = Groups(self._coordinated, self._patiently)

    async def start(self) -> None:
        client = new_client(self._profile, self._client_id)
        try:
            async with asyncio.timeout(self._profile.request_timeout):
                await client.bootstrap()
        except FOREIGN as error:
            await client.close()
            raise translate(error, f"connecting to {self._profile.address}") from error
        except asyncio.CancelledError:
            await client.close()
            raise
        self._client = client

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # ---- topics

    async def cluster_id(self) -> str:
        return (await self._cluster("asking for the cluster's id", [])).id

    async def describe(self, topics: Collection[str]) -> dict[str, TopicInfo]:
        names = sorted(set(topics))
        if not names:
            return {}
        cluster = await self._cluster(f"describing topics {', '.join(names)}", names)
        return {name: info(topic) for name, topic in cluster.topics.items() if exists(topic)}

    async def list_topics(self) -> list[TopicInfo]:
        cluster = await self._cluster("listing topics", None)
        return [info(topic) for _, topic in sorted(cluster.topics.items()) if exists(topic)]

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        if not specs:
            return
        what = f"creating topics {', '.join(spec.name for spec in specs)}"
        topics = [
            (spec.name, spec.partitions, spec.replication_factor or BROKER_DEFAULT, dict(spec.config)) for spec in specs
        ]

        async def attempt() -> None:
            response = await self._send(CreateTopics(topics, self._profile.request_timeout))
            answers = {name: (code, text) for name, code, text in response.topic_errors}
            if INVALID_CONFIG in {code for code, _ in answers.values()} and without(topics, SINCE_3_6):
                return await attempt()
            return raise_for(answers, kafka.TopicAlreadyExistsError)

        await self._patiently(what, attempt)
        await self._until_everywhere(what, [spec.name for spec in specs], usable)

    async def delete(self, topics: Collection[str]) -> None:
        names = sorted(set(topics))
        if not names:
            return
        what = f"deleting topics {', '.join(names)}"

        async def attempt() -> None:
            response = await self._send(DeleteTopicsRequest(names, self._timeout_ms))
            codes = {name: (code, None) for name, code in response.topic_error_codes}
            raise_for(codes, kafka.UnknownTopicOrPartitionError)

        await self._patiently(what, attempt)
        await self._until_everywhere(what, names, lambda topic: topic is None or not exists(topic))

    async def config(self, topic: str) -> dict[str, str]:
        async def attempt() -> dict[str, str]:
            response = await self._send(DescribeConfigsRequest([(TOPIC_RESOURCE, topic, None)]))
            code, text, _, _, entries = response.resources[0]
            raise_for({topic: (code, text)})
            return {name: value for name, value, *_ in entries if value is not None}

        return await self._patiently(f"reading the settings of topic {topic}", attempt, {UNKNOWN_TOPIC})

    async def _until_everywhere(
        self, what: str, topics: list[str], fulfilled: Callable[[TopicMetadata | None], bool]
    ) -> None:
        """Returns when every broker that answers sees the topics so."""
        deadline = self._clock.monotonic() + PATIENCE
        while not await self._everywhere(what, topics, fulfilled):
            if self._clock.monotonic() > deadline:
                raise BrokerUnavailable(f"{what}: accepted, but not carried out by all brokers within {PATIENCE:.0f} s")
            await self._clock.sleep(RETRY_PAUSE)

    async def _everywhere(
        self, what: str, topics: list[str], fulfilled: Callable[[TopicMetadata | None], bool]
    ) -> bool:
        cluster = await self._cluster(what, topics)
        for node in cluster.nodes:
            try:
                seen = ClusterInfo.of(await self._client.send(node, DescribeTopics(topics)))
            except kafka.KafkaError:
                continue  # a broker that is down has nothing to say about it
            if not all(fulfilled(seen.topics.get(name)) for name in topics):
                return False
        return True

    # ---- records and offsets

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        async def ask(node: int, topics: ByTopic) -> Answers:
            response = await self._client.send(node, DeleteRecordsRequest(topics, self._timeout_ms))
            return {
                TopicPartition(topic, partition): (code, low)
                for topic, partitions, *_ in response.topics
                for partition, low, code, *_ in partitions
            }

        await self._by_leader("deleting records", before, ask)

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._offsets("reading beginning offsets", partitions, EARLIEST)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._offsets("reading end offsets", partitions, LATEST)

    async def _offsets(
        self, what: str, partitions: Collection[TopicPartition], which: int
    ) -> dict[TopicPartition, int]:
        async def ask(node: int, topics: ByTopic) -> Answers:
            response = await self._client.send(node, OffsetRequest(-1, READ_UNCOMMITTED, topics))
            return {
                TopicPartition(topic, partition): (code, offset)
                for topic, found in response.topics
                for partition, code, _, offset in found
            }

        return await self._by_leader(what, dict.fromkeys(partitions, which), ask)

    async def _by_leader(
        self,
        what: str,
        wanted: Mapping[TopicPartition, int],
        ask: Callable[[int, ByTopic], Awaitable[Answers]],
    ) -> dict[TopicPartition, int]:
        """Asks each partition's leader."""
        if not wanted:
            return {}

        async def attempt() -> dict[TopicPartition, int]:
            cluster = await self._cluster(what, sorted({partition.topic for partition in wanted}))
            nodes: dict[int, dict[str, list[tuple[int, int]]]] = {}
            for partition, value in wanted.items():
                topics = nodes.setdefault(leader(cluster, partition), {})
                topics.setdefault(partition.topic, []).append((partition.partition, value))
            answers = await asyncio.gather(*(ask(node, list(topics.items())) for node, topics in nodes.items()))
            found = {partition: answer for part in answers for partition, answer in part.items()}
            raise_for({str(partition): (code, None) for partition, (code, _) in found.items()})
            return {partition: value for partition, (_, value) in found.items()}

        return await self._patiently(what, attempt, {UNKNOWN_TOPIC})

    async def offsets_at(self, partitions: Collection[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        found = await self._offsets("looking up offsets by time", partitions, timestamp)
        nothing = [partition for partition, offset in found.items() if offset < 0]
        return found | await self.end_offsets(nothing)

    # ---- groups

    async def committed(self, group: str, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        wanted: dict[str, list[int]] = {}
        for topic, partition in partitions:
            wanted.setdefault(topic, []).append(partition)
        return await self._groups.committed(group, wanted) if wanted else {}

    async def all_committed(self, group: str) -> dict[TopicPartition, int]:
        found = await self._groups.committed(group)
        return {partition: offset for partition, offset in found.items() if offset is not None}

    async def members(self, group: str) -> list[MemberInfo]:
        return await self._groups.members(group)

    async def set_committed(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        await self._groups.set_committed(group, offsets)

    async def delete_group(self, group: str) -> None:
        await self._groups.delete(group)

    async def remove_member(self, group: str, member_id: str, instance_id: str | None = None) -> None:
        await self._groups.remove_member(group, member_id, instance_id)

    async def _coordinated(self, group: str, request: Any) -> Any:
        node = await self._client.coordinator_lookup(CoordinationType.GROUP, group)
        return await self._client.send(node, request, group=ConnectionGroup.COORDINATION)

    # ---- requests

    async def _cluster(self, what: str, topics: Sequence[str] | None) -> ClusterInfo:
        """The topics that have an error other than not being there, or having no leader yet, make this raise."""

        async def attempt() -> ClusterInfo:
            cluster = ClusterInfo.of(await self._send(DescribeTopics(topics)))
            raise_for(
                {topic.name: (topic.error, None) for topic in cluster.topics.values()},
                kafka.UnknownTopicOrPartitionError,
                kafka.LeaderNotAvailableError,
            )
            return cluster

        return await self._patiently(what, attempt)

    async def _send(self, request: Any) -> Any:
        node = self._client.get_random_node()
        return await self._client.send(node, request)

    async def _patiently(
        self, what: str, attempt: Callable[[], Awaitable[T]], final: Collection[int] = frozenset()
    ) -> T:
        """Repeats `attempt` while it fails for a time only; `final` are codes that count as lasting here, once they
        have stood for `SETTLING` seconds.
        """
        if self._client is None:
            raise TransportError(f"{what}: the transport is not running")
        began = self._clock.monotonic()
        while True:
            try:
                return await attempt()
            except FOREIGN as error:
                stood = self._clock.monotonic() - began
                lasting = getattr(error, "errno", None) in final and stood > SETTLING
                if not getattr(error, "retriable", False) or lasting or stood > PATIENCE:
                    raise translate(error, what) from error
            await self._client.force_metadata_update()
            await self._clock.sleep(RETRY_PAUSE)


def without(topics: Iterable[tuple[str, int, int, dict[str, str]]], names: Collection[str]) -> bool:
    """Takes settings away from topics that are to be made; whether there were any."""
    given = [(config, name) for _, _, _, config in topics for name in names if name in config]
    for config, name in given:
        del config[name]
    return bool(given)


def info(topic: TopicMetadata) -> TopicInfo:
    return TopicInfo(topic.name, topic.id, len(topic.leaders))


def exists(topic: TopicMetadata) -> bool:
    return topic.error in (0, NO_LEADER)


def usable(topic: TopicMetadata | None) -> bool:
    return topic is not None and topic.error == 0 and all(node >= 0 for node in topic.leaders.values())


def leader(cluster: ClusterInfo, partition: TopicPartition) -> int:
    topic = cluster.topics.get(partition.topic)
    node = topic.leaders.get(partition.partition) if topic is not None else None
    if node is None:
        raise kafka.UnknownTopicOrPartitionError(str(partition))
    if node < 0:
        raise kafka.LeaderNotAvailableError(str(partition))
    return node
