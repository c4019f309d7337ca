"""Before anything is consumed: topics that are missing are made, those that exist are checked, counts become known."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamz_actors.config import Settings
from streamz_actors.dataflow.policies import DeadLetter, last_word
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import TopicMismatch
from streamz_actors.transport.abc import Admin, TopicInfo, TopicSpec
from streamz_actors.worker.spec import Spec

DEAD_LETTERS = {"retention.ms": "-1"}
"""Dead letters keep their records' timestamps: a limit would delete those of old events as soon as they arrive."""

logger = logging.getLogger("streamz_actors.worker")


@dataclass(frozen=True, slots=True)
class Provision:
    """What the broker and the topology say together."""

    cluster_id: str
    topics: Mapping[str, TopicInfo]
    """Every topic of the application, as it is now."""
    subs: tuple[SubTopology, ...]

    @property
    def counts(self) -> dict[str, int]:
        return {name: info.partitions for name, info in self.topics.items()}


def wanted(spec: Spec, subs: tuple[SubTopology, ...]) -> dict[str, tuple[Topic[Any, Any] | None, int]]:
    """Every topic the application needs, with its declaration and its partition count where the topology gives one."""
    settings = spec.settings
    topics: dict[str, tuple[Topic[Any, Any] | None, int]] = {}
    for topic in spec.topology.topics:
        for name in topic.names:
            topics[name] = (topic, topic.partitions or settings.topic_partitions)
    for sub in subs:
        for name, count in sub.topics.items():
            topics[name] = (topics[name][0], count)
        for store in sub.stores:
            if store.changelog is not None and not store.source:
                topics[store.changelog.name] = (store.changelog, sub.partitions)
    stateless = {
        store.changelog.name for store in spec.topology.tables if store.changelog is not None and not store.source
    }
    for name in stateless - {
        store.changelog.name for sub in subs for store in sub.stores if store.changelog is not None
    }:
        topics.pop(name, None)
    if _uses_dead_letters(spec):
        topics[spec.dead_letters] = (None, 1)
    return topics


def _uses_dead_letters(spec: Spec) -> bool:
    given = (
        spec.on_error,
        *(topic.on_decode_error for topic in spec.topology.topics),
        *(agent.on_error for agent in spec.agents),
        *(node.policy for node in spec.topology.nodes),
    )
    policies = [last_word(policy) for policy in given if policy is not None]
    return any(isinstance(policy, DeadLetter) and policy.topic is None for policy in policies)


async def provision(admin: Admin, spec: Spec) -> Provision:
    """Makes and checks the topics. Raises TopicMismatch naming the first that is not as declared."""
    settings, topology = spec.settings, spec.topology
    names = {name for topic in topology.topics for name in topic.names}
    existing = await admin.describe(names)
    subs = tuple(split(topology, {name: info.partitions for name, info in existing.items()}, settings.topic_partitions))
    topics = wanted(spec, subs)
    found = await admin.describe(list(topics))
    for name, info in found.items():
        check(spec, name, info, *topics[name])
    missing = [_spec_of(name, *topics[name], settings) for name in topics if name not in found]
    if missing:
        logger.info("making topics: %s", ", ".join(f"{item.name} ({item.partitions})" for item in missing))
        await admin.create(missing)
        found |= await admin.describe([item.name for item in missing])
    return Provision(await admin.cluster_id(), found, subs)


def check(spec: Spec, name: str, info: TopicInfo, topic: Topic[Any, Any] | None, count: int) -> None:
    """Raises TopicMismatch for a topic that has another partition count than it must have."""
    declared = topic.partitions if topic is not None else None
    if topic is not None and topic.internal:
        declared = count
    if declared is None or declared == info.partitions:
        return
    if topic is not None and topic.internal:
        raise TopicMismatch(
            f"topic {name!r} has {info.partitions} partitions, but its sub-topology has {declared}: the state of "
            f"{spec.app_id!r} was made for another partition count. Give the topics their former count, or reset the "
            f"application (`app reset`)"
        )
    raise TopicMismatch(
        f"topic {name!r} has {info.partitions} partitions, but is declared with {declared}: "
        f"declare partitions={info.partitions} (or leave it out), or make the topic anew"
    )


def _spec_of(name: str, topic: Topic[Any, Any] | None, count: int, settings: Settings) -> TopicSpec:
    if topic is None:
        return TopicSpec(name, count, settings.topic_replication_factor, DEAD_LETTERS)
    return TopicSpec(name, count, topic.replication_factor or settings.topic_replication_factor, topic.settings)
