"""Carries the plan: makes tasks of the topology and the partition counts, and of the outcome what each member is told.

Nothing here raises, whatever the members say: a leader that failed would hang its group.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamz_actors.assignment.answers import answers
from streamz_actors.assignment.model import Candidate, TaskId, Work
from streamz_actors.assignment.plan import plan
from streamz_actors.assignment.wire import Member, Ownership, pack, unpack_member, unpack_ownership
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.transport.abc import Offer, Share
from streamz_actors.types import TopicPartition


class Told(Protocol):
    def __call__(self, ownership: Ownership | None, generation: int, member_id: str, leader: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-topology as the assignor sees it; `topics` gives the partition counts of what it reads."""

    name: str
    topics: Mapping[str, int]
    stateful: bool = False
    logged: bool = False
    standbys: int = 0

    @property
    def tasks(self) -> list[Work]:
        needed = frozenset(self.topics)
        return [
            Work(TaskId(self.name, partition), needed, self.stateful, self.logged, self.standbys)
            for partition in range(max(self.topics.values(), default=0))
        ]

    def sources(self, partition: int) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for topic, count in self.topics.items() if partition < count]


class GroupAssignor:
    """Shares tasks out over all members.

    `member` describes this worker at each join; `split` gives the sub-topologies that partition counts of source topics
    make, and must not raise; `told` gets every outcome. A task has `standbys` copies where its tables do not say how
    many, else as many as the table that wants most.
    """

    name = "streamz-actors"

    def __init__(
        self,
        member: Callable[[], Member],
        split: Callable[[Mapping[str, int]], Sequence[SubTopology]],
        told: Told,
        standbys: int = 0,
    ) -> None:
        self._member, self._split, self._told, self._standbys = member, split, told, standbys

    def user_data(self) -> bytes:
        return pack(self._member())

    def assign(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> Mapping[str, Share]:
        parts = self._parts(offers, partitions)
        members = {offer.member_id: unpack_member(offer.user_data) for offer in sorted(offers, key=_by_id)}
        outcome = plan([task for part in parts for task in part.tasks], _candidates(offers, members))
        sources = {part.name: part.sources for part in parts}
        given: dict[str, list[TopicPartition]] = {offer.member_id: [] for offer in offers}
        for sub, partition in sorted(outcome.owners):
            given[outcome.owners[TaskId(sub, partition)]].extend(sources[sub](partition))
        counts = {part.name: len(part.tasks) for part in parts}
        told = answers(self._member(), offers, members, counts, outcome, sum(map(len, given.values())))
        return {member_id: Share(tuple(places), told[member_id]) for member_id, places in given.items()}

    def _parts(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> list[Part]:
        """The sub-topologies, with the topics that are there; then topics that only another release reads."""
        parts = [self._part(sub, partitions) for sub in self._split(partitions)]
        known = {topic for part in parts for topic in part.topics}
        return [part for part in parts if part.topics] + _foreign(offers, partitions, known)

    def _part(self, sub: SubTopology, partitions: Mapping[str, int]) -> Part:
        topics = {topic: partitions[topic] for topic in sub.topics if partitions.get(topic)}
        wanted = [
            self._standbys if spec.standby_replicas is None else spec.standby_replicas
            for spec in sub.stores
            if spec.changelog is not None
        ]
        return Part(sub.name, topics, bool(sub.stores), bool(wanted), max(wanted, default=0))

    def on_assigned(self, share: Share, generation: int, member_id: str, leader: bool) -> None:
        self._told(unpack_ownership(share.user_data), generation, member_id, leader)


def _by_id(offer: Offer) -> str:
    return offer.member_id


def _foreign(offers: Sequence[Offer], partitions: Mapping[str, int], known: set[str]) -> list[Part]:
    """Topics that are not of this release: those that the same members subscribe to stay together."""
    groups: dict[frozenset[str], dict[str, int]] = {}
    for topic, count in sorted(partitions.items()):
        if topic not in known and count:
            readers = frozenset(offer.member_id for offer in offers if topic in offer.topics)
            groups.setdefault(readers, {})[topic] = count
    return [Part(f"?{next(iter(topics))}", topics) for topics in groups.values()]


def _candidates(offers: Sequence[Offer], members: Mapping[str, Member | None]) -> list[Candidate]:
    return [_candidate(offer, members[offer.member_id]) for offer in offers]


def _candidate(offer: Offer, member: Member | None) -> Candidate:
    if member is None:
        return Candidate(offer.member_id, offer.topics)
    lags = None
    if member.copies is not None:
        lags = {TaskId(sub, place): lag for sub, copies in member.copies.items() for place, lag in copies.items()}
    holds, small = _tasks(member.tasks), _tasks(member.small)
    return Candidate(offer.member_id, offer.topics, holds, member.generation, lags, small, member.rack)


def _tasks(partitions: Mapping[str, tuple[int, ...]]) -> frozenset[TaskId]:
    return frozenset(TaskId(sub, partition) for sub, held in partitions.items() for partition in held)
