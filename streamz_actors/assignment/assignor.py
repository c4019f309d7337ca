"""Carries the plan: makes tasks of the topology and the partition counts, and of the outcome what each member is told.

Nothing here raises, whatever the members say: a leader that failed would hang its group.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from streamz_actors.assignment.plan import Candidate, Plan, TaskId, Work, plan
from streamz_actors.assignment.wire import Host, Member, Ownership, pack, unpack_member, unpack_ownership
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.transport.abc import Offer, Share
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.assignment")

LARGEST_GENERATION: Final = 600_000
"""Bytes that offers and shares of a generation may have in all before the ownership is left out of most shares.

Kafka keeps them, with ids and host names of its own (about 150 bytes a member), in one record of at most 1 MiB. Every
member gets the ownership, some 15 bytes for each of them and 1 to 2 for each task: that fits up to about 150 members
with 1,500 tasks, or 60 with 4,000. In a larger group only the leader is told all; the others are told who leads.
1,000 members with 10,000 tasks of one topic take 470 kB then, all in all, and 2,000 members 850 kB: the end of it.
"""


class Told(Protocol):
    def __call__(self, ownership: Ownership | None, generation: int, member_id: str, leader: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-topology as the assignor sees it; `topics` gives the partition counts of what it reads."""

    name: str
    topics: Mapping[str, int]
    stateful: bool

    @property
    def tasks(self) -> list[Work]:
        needed = frozenset(self.topics)
        return [
            Work(TaskId(self.name, partition), needed, self.stateful)
            for partition in range(max(self.topics.values(), default=0))
        ]

    def sources(self, partition: int) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for topic, count in self.topics.items() if partition < count]


class GroupAssignor:
    """Shares tasks out over all members.

    `member` describes this worker at each join; `split` gives the sub-topologies that partition counts of source topics
    make, and must not raise; `told` gets every outcome.
    """

    name = "streamz-actors"

    def __init__(
        self,
        member: Callable[[], Member],
        split: Callable[[Mapping[str, int]], Sequence[SubTopology]],
        told: Told,
    ) -> None:
        self._member, self._split, self._told = member, split, told

    def user_data(self) -> bytes:
        return pack(self._member())

    def assign(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> Mapping[str, Share]:
        parts = {part.name: part for part in self._parts(offers, partitions)}
        members = {offer.member_id: unpack_member(offer.user_data) for offer in sorted(offers, key=_by_id)}
        owners = plan([task for part in parts.values() for task in part.tasks], _candidates(offers, members))
        given: dict[str, list[TopicPartition]] = {offer.member_id: [] for offer in offers}
        for task in sorted(owners):
            given[owners[task]].extend(parts[task.sub].sources(task.partition))
        answers = self._answers(offers, members, parts.values(), owners, sum(map(len, given.values())))
        return {member_id: Share(tuple(places), answers[member_id]) for member_id, places in given.items()}

    def _parts(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> list[Part]:
        """The sub-topologies, with the topics that are there; then topics that only another release reads."""
        parts = [Part(sub.name, _present(sub.topics, partitions), bool(sub.stores)) for sub in self._split(partitions)]
        known = {topic for part in parts for topic in part.topics}
        return [part for part in parts if part.topics] + _foreign(offers, partitions, known)

    def _answers(
        self,
        offers: Sequence[Offer],
        members: Mapping[str, Member | None],
        parts: Iterable[Part],
        owners: Plan,
        places: int,
    ) -> dict[str, bytes]:
        """What each member is told beside its partitions."""
        me = self._member()
        whole = pack(_ownership(me.worker, members, parts, owners))
        little = pack(Ownership(me.worker, (Host(me.worker, me.address),), {}))
        taken = 8 * places + sum(len(offer.user_data) + 2 * sum(map(len, offer.topics)) for offer in offers)
        if taken + len(whole) * len(offers) <= LARGEST_GENERATION:
            return {offer.member_id: whole for offer in offers}
        logger.warning("%d members with %d tasks: only the leader knows who has what", len(offers), len(owners))
        return {offer.member_id: whole if _is(members[offer.member_id], me) else little for offer in offers}

    def on_assigned(self, share: Share, generation: int, member_id: str, leader: bool) -> None:
        self._told(unpack_ownership(share.user_data), generation, member_id, leader)


def _by_id(offer: Offer) -> str:
    return offer.member_id


def _is(member: Member | None, me: Member) -> bool:
    return member is not None and (member.worker, member.since) == (me.worker, me.since)


def _present(topics: Mapping[str, int], partitions: Mapping[str, int]) -> dict[str, int]:
    return {topic: partitions[topic] for topic in topics if partitions.get(topic)}


def _foreign(offers: Sequence[Offer], partitions: Mapping[str, int], known: set[str]) -> list[Part]:
    """Topics that are not of this release: those that the same members subscribe to stay together."""
    groups: dict[frozenset[str], dict[str, int]] = {}
    for topic, count in sorted(partitions.items()):
        if topic not in known and count:
            readers = frozenset(offer.member_id for offer in offers if topic in offer.topics)
            groups.setdefault(readers, {})[topic] = count
    return [Part(f"?{next(iter(topics))}", topics, False) for topics in groups.values()]


def _candidates(offers: Sequence[Offer], members: Mapping[str, Member | None]) -> list[Candidate]:
    candidates = []
    for offer in offers:
        member = members[offer.member_id]
        if member is None:
            candidates.append(Candidate(offer.member_id, offer.topics))
            continue
        holds = frozenset(TaskId(sub, partition) for sub, held in member.tasks.items() for partition in held)
        candidates.append(Candidate(offer.member_id, offer.topics, holds, member.generation))
    return candidates


def _ownership(leader: str, members: Mapping[str, Member | None], parts: Iterable[Part], owners: Plan) -> Ownership:
    """The map of everything; a member that could not be read has no place in it."""
    hosts: list[Host] = []
    numbers: dict[str, int] = {}
    for member_id, member in members.items():
        if member is not None:
            numbers[member_id] = len(hosts)
            hosts.append(Host(member.worker, member.address))
    tasks = {
        part.name: tuple(numbers.get(owners.get(task.id, ""), -1) for task in part.tasks)
        for part in parts
    }
    return Ownership(leader, tuple(hosts), tasks)
