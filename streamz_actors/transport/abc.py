"""The transport port: how records move. Two adapters of equal rank implement it, `kafka` and `memory`.

Everything here speaks in bytes and in batches. Offsets are Kafka's: a *position* is the offset of the next record.
All methods run on one event loop. Errors of an adapter's client library are translated to `errors.TransportError`s.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from streamz_actors.errors import ProduceError
from streamz_actors.transport.values import (
    Delivery,
    GroupMember,
    GroupSettings,
    MemberInfo,
    Offer,
    RawBatch,
    Share,
    TopicInfo,
    TopicSpec,
)
from streamz_actors.types import Headers, TopicPartition

__all__ = [
    "Admin",
    "Assignor",
    "Consumer",
    "Delivery",
    "GroupMember",
    "GroupSettings",
    "Listener",
    "MemberInfo",
    "Offer",
    "Producer",
    "RawBatch",
    "Reader",
    "Share",
    "TopicInfo",
    "TopicSpec",
    "TransactionalProducer",
    "Transport",
]


class Assignor(Protocol):
    """Who gets which partition: one instance per consumer; the group's leader runs `assign`. Nothing here may raise."""

    name: str

    def user_data(self) -> bytes:
        """What this member tells the leader; called at each join."""
        ...

    def assign(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> Mapping[str, Share]:
        """A share for every offer's member id; `partitions` gives the count per subscribed topic."""
        ...

    def on_assigned(self, share: Share, generation: int, member_id: str, leader: bool) -> None:
        """This member's share of a new generation; called before `Listener.on_assigned`."""
        ...


class Listener(Protocol):
    """Told about rebalances. Neither method may raise."""

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """All partitions are about to be taken; heartbeats go on, committing works. No poll returns meanwhile."""
        ...

    def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """The new assignment. `pause` and `seek` called here act before any record of it is returned."""
        ...


class Consumer(ABC):
    """A member of a consumer group. Positions start at the committed offsets (else by `auto_offset_reset`)."""

    @abstractmethod
    async def start(self, topics: Collection[str]) -> None:
        """Connects and subscribes; does not wait for an assignment. Raises BrokerUnavailable."""

    @abstractmethod
    async def poll(self, timeout: float) -> list[RawBatch]:
        """What has arrived for partitions that are not paused: at once if there is any, else within `timeout` seconds.

        Returns a bounded amount, so that the loop is not held for long. Raises TransportError; the consumer must then
        be stopped and replaced, but for OffsetOutOfRange (see `GroupSettings.on_out_of_range`): that comes again until
        a `seek` of what it names. Must be called regularly even when all partitions are paused.
        """

    @abstractmethod
    async def rejoin(self) -> None:
        """Asks for a rebalance, in which topics' partition counts are looked up anew; returns before it comes.

        Without effect before the first join. Kafka ignores a member whose `Assignor.user_data` is what it was, unless
        it leads. Raises TransportError.
        """

    @abstractmethod
    def assignment(self) -> frozenset[TopicPartition]: ...

    @abstractmethod
    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """No records of these until `resume`; a rebalance resumes all. Unknown partitions are ignored."""

    @abstractmethod
    def resume(self, partitions: Collection[TopicPartition]) -> None: ...

    @abstractmethod
    def seek(self, partition: TopicPartition, offset: int) -> None:
        """The next record returned for this partition is the first at or after `offset`."""

    @property
    @abstractmethod
    def heard_at(self) -> float:
        """When a broker last answered a request for records, in seconds of the transport's monotonic clock.

        Brokers that are gone make no call fail, they are only not heard of. While nothing is asked for, as all is
        paused or nothing assigned, this is now.
        """

    @abstractmethod
    def lag(self, partition: TopicPartition) -> int | None:
        """How many offsets the log was known to reach beyond what was returned, when the broker was last heard of it.

        None while nothing is known: just assigned, or not assigned at all.
        """

    @abstractmethod
    async def commit(
        self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str] | None = None
    ) -> None:
        """Commits positions. Raises CommitError if this member lost its place in the group, BrokerUnavailable if there
        is no answer: then they may be committed, or be so later.

        `notes`: what is kept beside some of them until the next commit of the partition, whoever makes it: 4,096
        characters at the most.
        """

    @abstractmethod
    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The group's committed positions; with `read_committed` stable ones: it waits while a transaction that has
        some of them in it is open.
        """

    @abstractmethod
    async def notes(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, str]:
        """What is kept beside the committed positions, where there is something."""

    @property
    @abstractmethod
    def member(self) -> GroupMember:
        """Its place in the group: a snapshot taken when the newest assignment came, before the listener heard of it.

        It stays what it was until the next one comes, also if the group has gone on without this member.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Leaves the group and closes; does not commit, does not call the listener. Safe to call twice."""


class Reader(ABC):
    """Reads given partitions from given positions, outside any group: restores, global tables, tools."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Replaces what is read. A position that the log no longer holds makes `poll` raise OffsetOutOfRange."""

    @abstractmethod
    async def poll(self, timeout: float) -> list[RawBatch]:
        """As Consumer.poll."""

    @abstractmethod
    def position(self, partition: TopicPartition) -> int:
        """Moves past control records and compacted tails too: compare this, not record offsets, with end offsets."""

    @abstractmethod
    async def stop(self) -> None: ...


class Producer(ABC):
    """Sends columns of records. Records sent to one partition keep the order of the calls."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        """Queues records (at least one) for sending at once; never blocks. The columns are the producer's from now on.

        The future fails with ProduceError, which says what of it was `refused`: all else is written. Every future must
        be awaited or given a callback.
        """

    def forgive(self, error: ProduceError) -> None:  # noqa: B027 - nothing else waits for it
        """What a send was `refused` is dealt with: a transaction can be committed without it."""

    @property
    @abstractmethod
    def pending(self) -> int:
        """Records queued or in flight."""

    @abstractmethod
    async def flush(self) -> None:
        """Returns when nothing is pending; does not raise for failed sends (their futures do)."""

    @abstractmethod
    async def stop(self) -> None:
        """Flushes for a bounded time, then closes. Safe to call twice."""


class TransactionalProducer(Producer):
    """Sends within transactions, one after the other; the first send after `start` or `commit` opens the next.

    `start` fences whoever has the same transactional id: what that one has open is aborted, and it can end nothing
    more; it returns when an end that was decided already stands in every log. Offsets of a send are final, but readers
    of committed records see it after the commit. `stop` aborts what is open if nothing has failed, in a bounded time.

        start ──▶ (send … commit)* ──▶ stop
           ▲             │ a send or a commit failed: nobody knows what became of the transaction
           └─── drop ◀───┘
    """

    @abstractmethod
    async def commit(self, offsets: Mapping[TopicPartition, int], member: GroupMember) -> None:
        """Ends the transaction, with the group's positions in it; without any it ends what was sent.

        Every send must have been awaited: one that failed makes this fail, unless `forgive` was told of it. Raises
        CommitError if the member's generation is not the group's any more or this producer was fenced, and whatever
        else happens, a time-out included. Then only `drop` is left: the transaction may be committed, aborted, or
        committed later; ask for the stable offsets after the next `start`.
        """

    @abstractmethod
    async def drop(self) -> None:
        """Lets no further request out, fails what is pending, closes. Never aborts: an end on its way may arrive."""


class Admin(ABC):
    @abstractmethod
    async def cluster_id(self) -> str: ...

    @abstractmethod
    async def describe(self, topics: Collection[str]) -> dict[str, TopicInfo]:
        """Those that exist, by name. Never creates one."""

    @abstractmethod
    async def list_topics(self) -> list[TopicInfo]: ...

    @abstractmethod
    async def create(self, specs: Sequence[TopicSpec]) -> None:
        """Makes topics and returns when they can be used; one that exists already is left as it is."""

    @abstractmethod
    async def delete(self, topics: Collection[str]) -> None: ...

    @abstractmethod
    async def config(self, topic: str) -> dict[str, str]:
        """The topic's effective settings, among them cleanup.policy and retention.ms."""

    @abstractmethod
    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Drops all records below these offsets."""

    @abstractmethod
    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]: ...

    @abstractmethod
    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Positions after the last record of all, those of open transactions among them (Kafka's high watermark)."""

    @abstractmethod
    async def offsets_at(self, partitions: Collection[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        """Of the first record whose time is `timestamp` (ms) or later; the end where there is none."""

    # -- groups, seen from outside them

    @abstractmethod
    async def committed(self, group: str, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """What `group` has committed."""

    @abstractmethod
    async def all_committed(self, group: str) -> dict[TopicPartition, int]:
        """Everything that it has committed; nothing for a group that does not exist."""

    @abstractmethod
    async def members(self, group: str) -> list[MemberInfo]:
        """Those that the group has now; none if it does not exist."""

    @abstractmethod
    async def set_committed(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Commits for a group without members. Raises CommitError while it has some."""

    @abstractmethod
    async def delete_group(self, group: str) -> None:
        """Forgets all that it has committed, if there is such a group. Raises TransportError while it has members."""

    @abstractmethod
    async def remove_member(self, group: str, member_id: str, instance_id: str | None = None) -> None:
        """Leaves the group for a member that is dead, so that it rebalances at once; one that it has not is no error.

        With `instance_id` a static member; its `member_id` may be empty then. Raises TransportError.
        """


class Transport(ABC):
    """One connection profile to one cluster; makes clients of it. Use as `async with`."""

    embedded: bool = False
    """Whether the broker lives in this process: state of it ends with the process."""

    @abstractmethod
    async def start(self) -> None:
        """Raises BrokerUnavailable, naming the address, if no broker can be reached; then it may be called again."""

    @abstractmethod
    async def stop(self) -> None:
        """Stops the admin client; consumers, readers and producers are stopped by who made them."""

    @property
    @abstractmethod
    def admin(self) -> Admin: ...

    @abstractmethod
    def consumer(self, settings: GroupSettings, assignor: Assignor, listener: Listener) -> Consumer: ...

    @abstractmethod
    def reader(self, *, read_committed: bool = False) -> Reader:
        """With `read_committed`, its position stops where the first open transaction begins."""

    @abstractmethod
    def producer(self, client_id: str) -> Producer: ...

    @abstractmethod
    def transactional_producer(
        self, client_id: str, transactional_id: str, *, timeout: float = 60.0
    ) -> TransactionalProducer:
        """`timeout`: seconds after which the broker aborts a transaction that nobody ends."""

    async def fence(self, transactional_id: str) -> None:
        """Aborts what a dead producer has open, and keeps it from ending anything, should it live.

        Else readers of committed records would wait for the broker's time-out. Raises TransportError.
        """
        producer = self.transactional_producer("fence", transactional_id)
        await producer.start()
        await producer.stop()

    async def __aenter__(self) -> "Transport":
        await self.start()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.stop()
