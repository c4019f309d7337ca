"""Topics and offsets of the embedded broker, seen from outside any group."""

from collections.abc import Collection, Mapping, Sequence

from streamz_actors.errors import CommitError, TransportError
from streamz_actors.transport.abc import Admin, MemberInfo, TopicInfo, TopicSpec
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.types import TopicPartition


class MemoryAdmin(Admin):
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def cluster_id(self) -> str:
        return self._broker.cluster_id

    async def describe(self, topics: Collection[str]) -> dict[str, TopicInfo]:
        known = self._broker.topics
        return {name: known[name].info() for name in topics if name in known}

    async def list_topics(self) -> list[TopicInfo]:
        return [topic.info() for topic in self._broker.topics.values()]

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        for spec in specs:
            self._broker.create_topic(spec)

    async def delete(self, topics: Collection[str]) -> None:
        """One that does not exist is no error."""
        for name in topics:
            self._broker.delete_topic(name)

    async def config(self, topic: str) -> dict[str, str]:
        return dict(self._broker.topic(topic).settings.effective)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Raises OffsetOutOfRange beyond an end, TransportError where the cleanup policy is `compact` alone."""
        for partition, offset in before.items():
            self._broker.log(partition).delete_before(offset)

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._broker.log(partition).begin for partition in partitions}

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._broker.log(partition).end for partition in partitions}

    async def offsets_at(self, partitions: Collection[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        return {partition: self._broker.log(partition).at(timestamp) for partition in partitions}

    # ---- groups

    async def all_committed(self, group: str) -> dict[TopicPartition, int]:
        known = self._broker.groups.get(group)
        return {} if known is None else dict(known.offsets.committed)

    async def members(self, group: str) -> list[MemberInfo]:
        known = self._broker.groups.get(group)
        return [] if known is None else known.described()

    async def set_committed(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        if await self.members(group):
            raise CommitError(f"committing for group {group!r}: it has members, which do that themselves")
        self._broker.group(group).offsets.commit(offsets, {})

    async def delete_group(self, group: str) -> None:
        if await self.members(group):
            raise TransportError(f"deleting group {group!r}: it has members; stop them first")
        self._broker.groups.pop(group, None)

    async def committed(self, group: str, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        return self._broker.committed(group, partitions)

    async def remove_member(self, group: str, member_id: str, instance_id: str | None = None) -> None:
        self._broker.group(group).remove(member_id, instance_id)
