"""Topics that have got more partitions: noticed by the leader, and by every worker in what is shared out.

Kafka's clients may take minutes to see it; after the restart of a static leader, nobody looks.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from streamz_actors.assignment.wire import Ownership
from streamz_actors.clock import Clock
from streamz_actors.errors import TransportError
from streamz_actors.transport.abc import Admin
from streamz_actors.types import TopicPartition
from streamz_actors.worker.members import Membership
from streamz_actors.worker.provision import Provision

logger = logging.getLogger("streamz_actors.worker")

EVERY: Final = 10.0
"""Seconds between two looks."""


def outdated(provision: Provision, ownership: Ownership | None, assigned: Iterable[TopicPartition]) -> bool:
    """Whether what is shared out has other partition counts than this worker knows."""
    counts = provision.counts
    if any(place.partition >= counts.get(place.topic, place.partition + 1) for place in assigned):
        return True
    shared = ownership.tasks if ownership is not None else {}
    return any(len(shared.get(sub.name, ())) not in (0, sub.partitions) for sub in provision.subs)


def unshared(provision: Provision, ownership: Ownership | None, counts: Mapping[str, int]) -> list[str]:
    """The source topics that have more partitions than are shared out."""
    shared = ownership.tasks if ownership is not None else {}
    return sorted(
        topic
        for sub in provision.subs
        for topic in sub.topics
        if counts.get(topic, 0) > len(shared.get(sub.name, ())) > 0
    )


class Growth:
    """Watches the source topics. Only the leader looks: one is enough, and it is the one who shares out."""

    def __init__(self, admin: Admin, members: Membership, clock: Clock) -> None:
        self._admin, self._members, self._clock = admin, members, clock

    async def watch(self, provision: Provision) -> None:
        """Until cancelled: makes the group rebalance when there is something new to share out."""
        seen = {topic: count for sub in provision.subs for topic, count in sub.topics.items()}
        while True:
            await self._clock.sleep(EVERY)
            if self._members.leads and not self._members.rebalancing:
                await self._look(provision, seen)

    async def _look(self, provision: Provision, seen: dict[str, int]) -> None:
        try:
            counts = {name: info.partitions for name, info in (await self._admin.describe(list(seen))).items()}
            grown = {topic for topic, count in counts.items() if count > seen[topic]}
            grown.update(unshared(provision, self._members.ownership, counts))
            seen.update(counts)
            if grown:
                logger.info("the group rebalances, for these topics have new partitions: %s", ", ".join(sorted(grown)))
                await self._members.rejoin()
        except TransportError as error:
            logger.warning("looking for new partitions failed, the next look comes soon: %s", error)
