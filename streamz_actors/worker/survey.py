"""What there is of an application: on the broker, in its group and on this machine. Nothing is changed."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.stores.abc import Backend
from streamz_actors.transport.abc import MemberInfo, TopicInfo, Transport
from streamz_actors.types import TopicPartition
from streamz_actors.worker.descriptions import Described, read_descriptions, topology_topic
from streamz_actors.worker.provision import wanted
from streamz_actors.worker.spec import Spec

KINDS: Final = ("changelog", "repartition", "subscription", "response")
"""What names of internal topics end with."""


@dataclass(frozen=True, slots=True)
class Survey:
    topics: Mapping[str, TopicInfo]
    """All of the cluster."""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of the topics for which the application declares some."""
    described: Mapping[str, Described] = field(default_factory=dict)
    committed: Mapping[TopicPartition, int] = field(default_factory=dict)
    members: tuple[MemberInfo, ...] = ()
    places: tuple[str, ...] = ()
    """Of state on this machine."""

    @property
    def counts(self) -> dict[str, int]:
        return {name: info.partitions for name, info in self.topics.items()}

    def is_ours(self, app_id: str, topic: str) -> bool:
        """Whether a topic is an internal one of the application, by what it wrote down, else by name.

        Names alone may mislead: `shop-eu-totals-changelog` is of `shop-eu` and not of `shop` if there is such an
        application, which is known by its own descriptions.
        """
        known = self.described.get(topic)
        if known is not None:
            return known.id == self.topics[topic].id
        if not topic.startswith(f"{app_id}-") or topic.rpartition("-")[2] not in KINDS:
            return False
        end = topology_topic("")
        others = [name.removesuffix(end) for name in self.topics if name.endswith(end) and name != end]
        return not any(len(other) > len(app_id) and topic.startswith(f"{other}-") for other in others)


def parts_of(spec: Spec, counts: Mapping[str, int]) -> tuple[SubTopology, ...]:
    """The sub-topologies that these partition counts make. Raises TopologyError where they make none."""
    return tuple(split(spec.topology, counts, spec.settings.topic_partitions))


async def survey(transport: Transport, backend: Backend, spec: Spec, declared: Collection[str]) -> Survey:
    """`declared`: the topics whose settings are asked for, where they exist. Raises TransportError."""
    admin = transport.admin
    topics = {info.name: info for info in await admin.list_topics()}
    asked = [name for name in declared if name in topics]
    found = await asyncio.gather(*(admin.config(name) for name in asked))
    return Survey(
        topics,
        dict(zip(asked, found, strict=True)),
        await read_descriptions(transport, spec.app_id),
        await admin.all_committed(spec.app_id),
        tuple(await admin.members(spec.app_id)),
        tuple(backend.places()),
    )


def with_settings(spec: Spec) -> list[str]:
    """The topics that are declared with settings of their own."""
    return [name for topic in spec.topology.topics if topic.settings for name in topic.names]


def known_topics(spec: Spec, subs: Iterable[SubTopology]) -> set[str]:
    """Every topic that the application uses."""
    return {*wanted(spec, tuple(subs)), topology_topic(spec.app_id), spec.dead_letters}
