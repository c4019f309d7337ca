"""Consumer groups of a Kafka cluster as they are seen, emptied and moved from outside: the coordinator is asked."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from aiokafka import errors as kafka
from aiokafka.protocol.admin import DeleteGroupsRequest, DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest

from streamz_actors.errors import CommitError
from streamz_actors.transport.abc import MemberInfo
from streamz_actors.transport.kafka.errors import FencedInstanceId, raise_for
from streamz_actors.transport.kafka.protocol import RemoveMember
from streamz_actors.types import TopicPartition

T = TypeVar("T")

NOBODY, ANY_TIME = (-1, ""), -1
"""Generation and member id of one who is none; how long offsets are kept: as the broker has it."""


class Patiently(Protocol):
    async def __call__(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeats `attempt` while it fails for a time only; raises TransportError saying `what`."""
        ...


class Groups:
    """`ask` sends a request to a group's coordinator."""

    def __init__(self, ask: Callable[[str, Any], Awaitable[Any]], patiently: Patiently) -> None:
        self._ask, self._patiently = ask, patiently

    async def members(self, group: str) -> list[MemberInfo]:
        async def attempt() -> list[MemberInfo]:
            response = await self._ask(group, DescribeGroupsRequest([group]))
            code, _, _, _, _, members, *_ = response.groups[0]
            raise_for({group: (code, None)}, kafka.GroupIdNotFound)
            return [MemberInfo(member_id, client_id) for member_id, client_id, *_ in members]

        return await self._patiently(f"asking for the members of group {group!r}", attempt)

    async def committed(
        self, group: str, wanted: Mapping[str, list[int]] | None = None
    ) -> dict[TopicPartition, int | None]:
        """`wanted`: partitions by topic; None: whatever it has committed."""

        async def attempt() -> dict[TopicPartition, int | None]:
            request = OffsetFetchRequest(group, None if wanted is None else list(wanted.items()))
            response = await self._ask(group, request)
            found = {
                TopicPartition(topic, partition): (code, offset)
                for topic, positions in response.topics
                for partition, offset, _, code in positions
            }
            raise_for({group: (response.error_code, None)})
            raise_for({str(partition): (code, None) for partition, (code, _) in found.items()})
            return {partition: offset if offset >= 0 else None for partition, (_, offset) in found.items()}

        return await self._patiently(f"reading the committed offsets of group {group!r}", attempt)

    async def set_committed(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for (topic, partition), offset in offsets.items():
            topics.setdefault(topic, []).append((partition, offset, ""))

        async def attempt() -> None:
            response = await self._ask(group, OffsetCommitRequest(group, *NOBODY, ANY_TIME, list(topics.items())))
            codes = {f"{topic}-{number}": code for topic, answers in response.topics for number, code in answers}
            if kafka.UnknownMemberIdError.errno in codes.values():
                raise CommitError(f"committing for group {group!r}: it has members, which do that themselves")
            raise_for({place: (code, None) for place, code in codes.items()})

        if topics:
            await self._patiently(f"committing for group {group!r}", attempt)

    async def delete(self, group: str) -> None:
        async def attempt() -> None:
            response = await self._ask(group, DeleteGroupsRequest([group]))
            raise_for({name: (code, None) for name, code in response.results}, kafka.GroupIdNotFound)

        await self._patiently(f"deleting group {group!r}", attempt)

    async def remove_member(self, group: str, member_id: str, instance_id: str | None) -> None:
        async def attempt() -> None:
            response = await self._ask(group, RemoveMember(group, member_id, instance_id))
            raise_for({group: (response.error_code, None)})
            _, _, code = response.members[0]
            raise_for({group: (code, None)}, kafka.UnknownMemberIdError, FencedInstanceId)

        await self._patiently(f"removing member {member_id or instance_id} from group {group!r}", attempt)
