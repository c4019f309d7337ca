"""This worker's place in its group: what it says, what it is told, and what follows in the two moments it is given.

    outside ──assigned──▶ member ──revoked──▶ rebalancing ──assigned──▶ member ──▶ ...

on_revoked   awaited while heartbeats go on: what is in hand ends and is committed; tasks stay as they are, frozen
on_assigned  synchronous: pause all, seek what is kept to where its buffer ends; the loop then carries it out
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping

from streamz_actors.assignment.wire import Host, Member, Ownership
from streamz_actors.transport.abc import Consumer, GroupSettings, Listener
from streamz_actors.types import TopicPartition
from streamz_actors.worker.leadership import Leadership
from streamz_actors.worker.spec import Spec

logger = logging.getLogger("streamz_actors.worker")


def group_settings(spec: Spec, worker: str) -> GroupSettings:
    """How a worker joins the group of its application."""
    settings = spec.settings
    return GroupSettings(
        spec.app_id,
        worker,
        settings.auto_offset_reset,
        settings.session_timeout,
        settings.heartbeat_interval,
        group_instance_id=settings.group_instance_id,
        read_committed=settings.exactly_once,
        on_out_of_range="raise",
    )


class Membership(Listener):
    """`revoke` brings the tasks to rest and commits; `wake` is called when the loop has an assignment to carry out.

    `fetched` gives, for each partition of a task here, where the consumer must go on if the task stays.
    """

    def __init__(
        self,
        name: str,
        revoke: Callable[[], Awaitable[None]],
        fetched: Callable[[], Mapping[TopicPartition, int]],
        wake: Callable[[], None],
    ) -> None:
        self._name, self._revoke, self._fetched, self._wake = name, revoke, fetched, wake
        self.consumer: Consumer | None = None
        self.assigned: frozenset[TopicPartition] | None = None
        """The newest assignment; None before the first."""
        self.pending = False
        """An assignment has come that the loop has not carried out."""
        self.lost = False
        """Others may have had our tasks in the meantime: nothing of them may be kept."""
        self.rebalancing = False
        self.leads = Leadership()
        self.rack = ""
        self.transactional_id = ""
        """What others fence when this worker is gone; "" without transactions."""
        self.ownership: Ownership | None = None
        self.to_fence: tuple[str, ...] = ()
        """Transactional ids of workers that are gone, for this one to fence before it reads offsets: see `fenced`."""
        self.generation = -1
        self.placed: Callable[[str], None] | None = None
        """Called with the member id that each generation gives this worker."""
        self._member_id = ""
        self._nonce = 0
        self._announced = False

    # -- what it says

    def member(
        self,
        address: str,
        since: int,
        held: Mapping[str, tuple[int, ...]],
        copies: Mapping[str, Mapping[int, int]] | None = None,
        small: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Member:
        """This worker as it joins; see `Member` for what `copies` and `small` are."""
        return Member(
            self._name,
            address,
            since,
            self.generation,
            {} if self.lost else held,
            self._nonce,
            copies,
            {} if self.lost or small is None else small,
            self.rack,
            self.transactional_id,
            (*(() if self.ownership is None else self.ownership.own.peers), *self.to_fence),
        )

    def fenced(self, ids: Collection[str]) -> None:
        """These are: they need not be told again should this worker be gone before."""
        self.to_fence = tuple(one for one in self.to_fence if one not in ids)

    async def rejoin(self) -> None:
        """Makes the group rebalance. Raises TransportError."""
        assert self.consumer is not None
        self._nonce += 1
        await self.consumer.rejoin()

    def unknown(self, address: str) -> bool:
        """Whether the others have a former address of this worker: a static member came back without a rebalance.

        True once at the most: a leader that cannot read what we say will not get to know us by our saying it again.
        """
        ownership = self.ownership
        if self._announced or ownership is None or not ownership.tasks or Host(self._name, address) in ownership.hosts:
            return False
        self._announced = True
        return True

    # -- what it is told

    def told(self, ownership: Ownership | None, generation: int, member_id: str, leader: bool) -> None:
        """What the plan says beside the partitions. A generation that we missed may have given our tasks to others."""
        if self.generation >= 0 and (member_id != self._member_id or generation - self.generation not in (0, 1)):
            self.lost = True
        self.generation, self._member_id = generation, member_id
        self.ownership = ownership
        if ownership is not None:
            self.to_fence = tuple(sorted({*self.to_fence, *ownership.own.fence}))
        self.leads.tell(self._is_leader(leader))
        if self.placed is not None:
            self.placed(member_id)

    def _is_leader(self, leader: bool) -> bool:
        """By name: a leader that came back under its static id is told no more than that. Of equal names, one leads."""
        ownership = self.ownership
        if ownership is None or ownership.leader != self._name:
            return False
        return leader or [host.worker for host in ownership.hosts].count(self._name) < 2

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.rebalancing = True
        await self._revoke()

    def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        consumer = self.consumer
        assert consumer is not None
        consumer.pause(partitions)
        positions = self._fetched()
        if not self.lost:
            for place in partitions & positions.keys():
                consumer.seek(place, positions[place])
        self.assigned, self.pending, self.rebalancing = partitions, True, False
        self._log(partitions)
        self._wake()

    def try_again(self) -> None:
        """The newest assignment could not be carried out: the loop is to do so."""
        self.pending = True
        self._wake()

    def _log(self, partitions: frozenset[TopicPartition]) -> None:
        topics = len({place.topic for place in partitions})
        others = len(self.ownership.hosts) - 1 if self.ownership is not None else 0
        beside = f"; workers in all: {others + 1}" if others > 0 else ""
        if partitions:
            logger.info("assigned %d partitions of %d topics%s", len(partitions), topics, beside)
        else:
            logger.info("waiting as a spare: no partitions are assigned%s", beside)
