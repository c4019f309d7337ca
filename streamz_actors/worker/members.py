"""This worker's place in its group: reacts to rebalances in the two moments that the consumer gives it.

on_revoked   awaited while heartbeats go on: commit what is done; tasks stay as they are
on_assigned  synchronous: pause all, seek what is kept to where its buffer ends; the loop resumes what has room
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

from streamz_actors.assignment.wire import Ownership
from streamz_actors.transport.abc import Consumer, Listener
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.worker")


class Membership(Listener):
    """`fetched` gives, for each partition of a running task, the position after the last record taken in."""

    def __init__(
        self,
        commit: Callable[[], Awaitable[None]],
        fetched: Callable[[], Mapping[TopicPartition, int]],
        wake: Callable[[], None],
    ) -> None:
        self._commit, self._fetched, self._wake = commit, fetched, wake
        self.consumer: Consumer | None = None
        self.assigned: frozenset[TopicPartition] | None = None
        """The newest assignment; None before the first."""
        self.pending = False
        """An assignment has come that the loop has not carried out."""
        self.rebalancing = False
        self.leads = False
        self.ownership: Ownership | None = None

    def told(self, ownership: Ownership | None, leader: bool) -> None:
        """What the plan says beside the partitions."""
        self.ownership = ownership

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.rebalancing = True
        await self._commit()

    def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        consumer = self.consumer
        assert consumer is not None
        consumer.pause(partitions)
        for place, position in self._fetched().items():
            if place in partitions:
                consumer.seek(place, position)
        self.assigned, self.pending, self.rebalancing = partitions, True, False
        self.leads = bool(partitions)
        if partitions:
            logger.info(
                "assigned %d partitions of %d topics", len(partitions), len({place.topic for place in partitions})
            )
        else:
            owner = f"; {self.ownership.leader} has the work" if self.ownership is not None else ""
            logger.info("waiting as a spare: no partitions are assigned%s", owner)
        self._wake()
