"""The coordinator of one consumer group: a state machine without a loop, moved by what its members do.

                 a member joins                 every member has joined: the leader's assignor shares out
      EMPTY ───────────────────▶ REBALANCING ──────────────────────────────────────────────────────▶ STABLE
        ▲                          │      ▲     join, leave, expiry, a subscribed topic changed         │
        └─────── the last left ────┘      └─────────────────────────────────────────────────────────────┘

The protocol is Kafka's classic, eager one. In a rebalance each member, within its poll, gives up all it has
(`Listener.on_revoked`) and joins with an Offer; the last to join completes the generation, and each member takes its
Share at its next poll.

Nobody is expired by a timer: a member looks after the *others* when it polls, and wakes for that when it waits. So a
group's only member never loses its place, however far a test moves the clock.
"""

import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from streamz_actors.clock import Clock
from streamz_actors.errors import CommitError, TransportError
from streamz_actors.transport.abc import Assignor, GroupMember, GroupSettings, MemberInfo, Offer, Share
from streamz_actors.transport.memory.offsets import Offsets
from streamz_actors.types import TopicPartition

NOTHING = Share((), b"")
MICROS = 1_000_000


class GroupState(Enum):
    EMPTY = "empty"
    REBALANCING = "rebalancing"
    STABLE = "stable"


@dataclass(slots=True, eq=False)
class Member:
    """A member as its coordinator knows it. `wake` ends its waiting; `seen` is when it last polled, in microseconds."""

    id: str
    settings: GroupSettings
    topics: frozenset[str]
    assignor: Assignor
    wake: Callable[[], None]
    seen: int
    polling: bool = False
    offer: Offer | None = None  # given to the rebalance under way, or to the last one
    share: Share | None = None  # of the group's generation
    generation: int = -1  # of the share that it has taken
    fenced: bool = False  # another member came with its group_instance_id


class Group:
    def __init__(
        self, name: str, clock: Clock, partition_counts: Callable[[Collection[str]], Mapping[str, int]]
    ) -> None:
        self.name = name
        self.state = GroupState.EMPTY
        self.generation = 0
        self.offsets = Offsets()
        self._clock = clock
        self._partition_counts = partition_counts
        self._members: dict[str, Member] = {}  # in order of admission; the leader is the first
        self._numbers = itertools.count(1)
        self._began = 0

    @property
    def members(self) -> list[str]:
        return list(self._members)

    def described(self) -> list[MemberInfo]:
        return [MemberInfo(member.id, member.settings.client_id) for member in self._members.values()]

    # ---- membership

    def admit(
        self, settings: GroupSettings, topics: frozenset[str], assignor: Assignor, wake: Callable[[], None]
    ) -> Member:
        """A new member, or a restarted static one: that takes over place and share, without a rebalance."""
        member = Member(
            f"{settings.client_id}-{next(self._numbers)}", settings, topics, assignor, wake, self._now(), polling=True
        )
        former = self._static(settings.group_instance_id)
        if former is None:
            self._members[member.id] = member
            self._begin()
            return member
        former.fenced = True
        former.wake()
        member.share = former.share
        self._members = {m.id: m for m in (member if m is former else m for m in self._members.values())}
        return member

    def join(self, member: Member) -> None:
        """Gives the member's offer to the rebalance under way; completes it if this was the last one missing."""
        member.offer = Offer(member.id, member.topics, member.assignor.user_data())
        self._complete_if_all_joined()

    def take(self, member: Member) -> Share | None:
        """The member's share of the current generation: once, and not while the next rebalance is under way."""
        if self.state is not GroupState.STABLE or member.share is None or member.generation == self.generation:
            return None
        member.generation = self.generation
        return member.share

    def leave(self, member: Member) -> None:
        """A static member stays, for its session timeout, so that it can come back to its place."""
        member.polling = False
        if member.settings.group_instance_id is None and self.knows(member):
            self._remove([member])

    def remove(self, member_id: str, instance_id: str | None) -> None:
        """Leaves for a member, told by its id, or by that of a static one with an id that fits or none."""
        static = self._static(instance_id)
        member = static if static is not None and not member_id else self._members.get(member_id)
        if member is not None and (instance_id is None or member is static):
            self._remove([member])

    def knows(self, member: Member) -> bool:
        return self._members.get(member.id) is member

    def leads(self, member: Member) -> bool:
        return next(iter(self._members.values()), None) is member

    def awaits(self, member: Member) -> bool:
        """Whether a rebalance is under way that this member has not joined."""
        return self.state is GroupState.REBALANCING and member.offer is None

    # ---- liveness

    def enter_poll(self, member: Member) -> None:
        member.polling = True
        member.seen = self._now()

    def leave_poll(self, member: Member) -> None:
        member.polling = False
        member.seen = self._now()

    def expire_others(self, member: Member) -> None:
        """Removes members that stopped polling, or that let a rebalance wait for too long."""
        now = self._now()
        expired = [other for other in self._members.values() if other is not member and self._expiry(other, now) <= now]
        if expired:
            self._remove(expired)

    def next_expiry(self, member: Member) -> float | None:
        """In how many seconds to look after the others again: one that waits now may fall silent at once, and is to be
        expired a session time-out later at the soonest. None if there are no others.
        """
        now = self._now()
        others = [other for other in self._members.values() if other is not member]
        expiries = [min(self._expiry(other, now), now + self._patience(other)) for other in others]
        soonest = min((expiry for expiry in expiries if expiry > now), default=None)
        return None if soonest is None else (soonest - now) / MICROS

    def _patience(self, member: Member) -> int:
        return round(member.settings.session_timeout * MICROS)

    def _expiry(self, member: Member, now: int) -> float:
        expiry = float("inf") if member.polling else member.seen + self._patience(member)
        if not self.awaits(member):
            return expiry
        patience = max(other.settings.rebalance_timeout for other in self._members.values())
        return min(expiry, self._began + round(patience * MICROS))

    # ---- offsets

    def commit(
        self,
        member: Member | None,
        offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str] = MappingProxyType({}),
    ) -> None:
        """Raises CommitError for a member that is no longer one, or that holds a share of an earlier generation."""
        if member is None or not self.knows(member):
            raise CommitError(f"group {self.name!r}: this consumer is no longer a member; others own its partitions")
        if member.generation != self.generation:
            raise CommitError(
                f"group {self.name!r}: member {member.id} is of generation {member.generation}, "
                f"the group has gone on to {self.generation}"
            )
        self.offsets.commit(offsets, notes)

    def check(self, shown: GroupMember) -> None:
        """Raises CommitError unless the group knows this member, and has not gone on since its generation."""
        holder = self._static(shown.instance_id)
        if holder is not None and holder.id != shown.member_id:
            raise CommitError(
                f"group {self.name!r}: member {shown.member_id} is fenced, {holder.id} came with its "
                f"group_instance_id {shown.instance_id!r}"
            )
        if shown.member_id not in self._members:
            raise CommitError(f"group {self.name!r}: {shown.member_id!r} is not a member any more")
        if shown.generation != self.generation:
            raise CommitError(
                f"group {self.name!r}: member {shown.member_id} is of generation {shown.generation}, "
                f"the group has gone on to {self.generation}"
            )

    # ---- rebalancing

    def rejoin(self, member: Member) -> None:
        """A member asks for a rebalance."""
        if self.state is GroupState.STABLE and self.knows(member):
            self._begin()

    def topic_changed(self, topic: str) -> None:
        """A topic was made or deleted, or its number of partitions changed."""
        if self.state is GroupState.STABLE and any(topic in member.topics for member in self._members.values()):
            self._begin()

    def _begin(self) -> None:
        if self.state is GroupState.REBALANCING:
            return
        self.state = GroupState.REBALANCING
        self._began = self._now()
        for member in self._members.values():
            member.offer = None
            member.wake()

    def _complete_if_all_joined(self) -> None:
        offers = [member.offer for member in self._members.values() if member.offer is not None]
        if len(offers) < len(self._members):
            return
        self.generation += 1
        leader = next(iter(self._members.values()))
        counts = self._partition_counts(frozenset().union(*(offer.topics for offer in offers)))
        shares = leader.assignor.assign(offers, counts)
        for member in self._members.values():
            member.share = self._checked(member, shares.get(member.id, NOTHING), counts, leader.assignor.name)
        self.state = GroupState.STABLE
        for member in self._members.values():
            member.wake()

    def _checked(self, member: Member, share: Share, counts: Mapping[str, int], assignor: str) -> Share:
        for topic, partition in share.partitions:
            if topic not in member.topics or not 0 <= partition < counts.get(topic, 0):
                raise TransportError(
                    f"group {self.name!r}: assignor {assignor!r} gave {topic}-{partition} to {member.id}, "
                    "which does not subscribe to it or it does not exist"
                )
        return share

    def _remove(self, members: Collection[Member]) -> None:
        for member in members:
            del self._members[member.id]
            member.wake()
        if not self._members:
            self.state = GroupState.EMPTY
        elif self.state is GroupState.STABLE:
            self._begin()
        else:
            self._complete_if_all_joined()

    def _static(self, instance: str | None) -> Member | None:
        if instance is None:
            return None
        return next((m for m in self._members.values() if m.settings.group_instance_id == instance), None)

    def _now(self) -> int:
        return round(self._clock.monotonic() * MICROS)
