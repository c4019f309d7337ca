"""Puts a stopped application back to a beginning. First it is said what that means, then it is done, in this order:

    1  members that are to go are taken out of the group
    2  state on this machine is removed; elsewhere it is found to be of former topics, and discarded
    3  internal topics are deleted
    4  the group forgets its positions, and gets those where it is to begin

Broken off anywhere, it can be done again. Topics of the user's keep their records, results and dead letters as well.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import ConfigError
from streamz_actors.stores.abc import Backend
from streamz_actors.transport.abc import Admin, MemberInfo
from streamz_actors.types import TopicPartition
from streamz_actors.worker.descriptions import topology_topic
from streamz_actors.worker.spec import Spec
from streamz_actors.worker.survey import KINDS, Survey, parts_of

End = Literal["earliest", "latest"]
Moment = End | int
"""Where to begin: an end of the topics, or a time in ms."""


class Part(StrEnum):
    STATE = "state"
    TOPICS = "topics"
    OFFSETS = "offsets"


@dataclass(frozen=True, slots=True)
class Reset:
    """What is to be done. `forget`: of all topics the group forgets its positions, before it gets those given."""

    group: str
    members: tuple[MemberInfo, ...] = ()
    places: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    forget: bool = False
    positions: Mapping[TopicPartition, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Each step in words, in order."""
        lines = [f"take member {one.client_id} ({one.member_id}) out of group {self.group}" for one in self.members]
        lines += [f"remove the state of task {place} on this machine" for place in self.places]
        lines += [f"delete topic {topic}" for topic in self.topics]
        if self.forget:
            lines.append(f"forget the committed offsets of group {self.group}")
        for topic in sorted({place.topic for place in self.positions}):
            at = {place.partition: offset for place, offset in self.positions.items() if place.topic == topic}
            offsets = ", ".join(f"{at[number]} (partition {number})" for number in sorted(at))
            lines.append(f"begin topic {topic} at {offsets}")
        return lines


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to be reset. `inputs`: the topics that are to begin at `to`; none: all that are read."""

    parts: frozenset[Part] = frozenset(Part)
    inputs: tuple[str, ...] = ()
    to: Moment = "earliest"


async def plan_reset(admin: Admin, spec: Spec, there: Survey, wish: Wish) -> Reset:
    """Raises ConfigError for an input that the application does not read, TransportError, and TopologyError where the
    topics' partitions do not fit together.
    """
    parts, inputs = wish.parts, wish.inputs
    subs = parts_of(spec, there.counts)
    read = _inputs(subs, spec, there)
    if unknown := sorted(set(inputs) - read):
        strange, known = ", ".join(map(repr, unknown)), ", ".join(sorted(read)) or "none"
        raise ConfigError(f"{spec.app_id!r} does not read {strange}; topics that it reads: {known}")
    wanted = set(inputs) or read
    places = [TopicPartition(name, number) for name in sorted(wanted) for number in range(there.counts[name])]
    moved = Part.OFFSETS in parts
    return Reset(
        spec.app_id,
        there.members,
        there.places if Part.STATE in parts else (),
        tuple(_internal(spec, there)) if Part.TOPICS in parts else (),
        moved and not inputs and bool(there.committed),
        await _positions(admin, places, wish.to) if moved else {},
    )


def _inputs(subs: Iterable[SubTopology], spec: Spec, there: Survey) -> set[str]:
    """The user's topics that are read and exist."""
    internal = {name for topic in spec.topology.topics if topic.internal for name in topic.names}
    return {name for sub in subs for name in sub.topics if name not in internal and name in there.topics}


def _internal(spec: Spec, there: Survey) -> list[str]:
    """Those that are the application's for certain: declared, or written down. A name alone does not do."""
    declared = {name for topic in spec.topology.topics if topic.internal for name in topic.names}
    written = {name for name in there.described if name in there.topics and there.is_ours(spec.app_id, name)}
    replies = {name for name in there.topics if _is_reply_topic(spec.app_id, name)}
    return sorted((declared | written | replies | {topology_topic(spec.app_id)}) & there.topics.keys())


def _is_reply_topic(app_id: str, name: str) -> bool:
    """Of a worker that did not live to delete it."""
    return name.startswith(f"{app_id}-replies-") and name.rpartition("-")[2] not in KINDS


async def _positions(admin: Admin, places: Collection[TopicPartition], to: Moment) -> dict[TopicPartition, int]:
    if to == "earliest":
        return await admin.beginning_offsets(places)
    return await (admin.end_offsets(places) if to == "latest" else admin.offsets_at(places, to))


async def carry_out(admin: Admin, backend: Backend, reset: Reset) -> None:
    """Raises TransportError; StoreLocked while a worker on this machine runs."""
    # 1
    for member in reset.members:
        await admin.remove_member(reset.group, member.member_id)
    # 2
    for place in reset.places:
        backend.destroy(place)
    # 3
    await admin.delete(reset.topics)
    # 4
    if reset.forget:
        await admin.delete_group(reset.group)
    if reset.positions:
        await admin.set_committed(reset.group, reset.positions)
