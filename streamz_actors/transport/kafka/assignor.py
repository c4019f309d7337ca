"""Our assignor and listener as aiokafka calls them. Nothing that goes wrong in them may stop the group: it is kept."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from streamz_actors.transport.abc import Assignor, Offer, Share
from streamz_actors.types import TopicPartition

NOTHING = Share((), b"")


class ForeignAssignor:
    """One *instance* of this is all that a consumer may have: aiokafka joins once for each assignor it is given.

    An exception of aiokafka's own calls hangs the group (the others wait for the leader's answer), so whatever the
    assignor raises goes to `failed`, and the leader answers that nobody gets anything.
    """

    def __init__(
        self, assignor: Assignor, membership: Callable[[], tuple[int, str]], failed: Callable[[Exception], None]
    ) -> None:
        """`membership` says this member's generation and id at the moment."""
        self.name = assignor.name
        self._assignor = assignor
        self._membership = membership
        self._failed = failed
        self._leading = False

    def metadata(self, topics: frozenset[str]) -> Any:
        self._leading = False
        try:
            user_data = self._assignor.user_data()
        except Exception as error:  # whatever it is: reported by the next poll
            self._failed(error)
            user_data = b""
        return ConsumerProtocolMemberMetadata(0, sorted(topics), user_data)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Called on the group's leader only, between its `metadata` and its `on_assignment`."""
        self._leading = True
        offers = [
            Offer(member, frozenset(metadata.subscription), metadata.user_data or b"")
            for member, metadata in members.items()
        ]
        try:
            shares = self._shares(cluster, offers)
        except Exception as error:  # whatever it is: reported by the next poll
            self._failed(error)
            shares = {}
        return {offer.member_id: encode(shares.get(offer.member_id, NOTHING)) for offer in offers}

    def _shares(self, cluster: Any, offers: list[Offer]) -> Mapping[str, Share]:
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for offer in offers for topic in offer.topics}
        shares = self._assignor.assign(offers, {topic: count for topic, count in counts.items() if count})
        for offer in offers:
            foreign = {partition.topic for partition in shares[offer.member_id].partitions} - offer.topics
            if foreign:  # aiokafka would end that member's part in the group
                raise ValueError(f"{self.name} gave {offer.member_id} topics that it did not subscribe to: {foreign}")
        return shares

    def on_assignment(self, assignment: Any) -> None:
        partitions = tuple(TopicPartition(*partition) for partition in assignment.partitions())
        generation, member_id = self._membership()
        try:
            share = Share(partitions, assignment.user_data or b"")
            self._assignor.on_assigned(share, generation, member_id, self._leading)
        except Exception as error:  # whatever it is: reported by the next poll
            self._failed(error)


def encode(share: Share) -> Any:
    by_topic: dict[str, list[int]] = {}
    for topic, partition in share.partitions:
        by_topic.setdefault(topic, []).append(partition)
    return ConsumerProtocolMemberAssignment(0, list(by_topic.items()), share.user_data)


class ForeignListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands both calls on: `revoked` is awaited, `assigned` runs in one go, before any record of it can arrive.

    aiokafka logs what a listener raises and goes on; here the consumer does not raise, it keeps it for the next poll.
    """

    def __init__(self, revoked: Callable[[], Awaitable[None]], assigned: Callable[[], None]) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await self._revoked()

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._assigned()
