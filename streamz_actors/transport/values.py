"""What goes through the transport port: batches, topics, members of groups, settings. Offsets are Kafka's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamz_actors.types import Headers, TopicPartition


@dataclass(slots=True)
class RawBatch:
    """A run of records of one partition, as columns of equal length, in offset order.

    It may be empty: then it only moves the position (control records, a compacted tail).
    """

    topic: str
    partition: int
    keys: list[bytes | None]
    values: list[bytes | None]
    timestamps: list[int]
    """Milliseconds."""
    offsets: Sequence[int]
    """Rising, perhaps with gaps; a `range` where there are none."""
    headers: list[Headers] | None
    """None where no record of the batch has any."""
    next_offset: int
    """The position after this batch; may lie beyond the last record's offset + 1."""

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where the records of one `Producer.send` call ended up, in the order they were given.

    `runs` holds (first offset, count) of each stretch of consecutive offsets.
    """

    topic: str
    partition: int
    runs: tuple[tuple[int, int], ...]

    @property
    def next_offset(self) -> int:
        """One past the last record's offset."""
        first, count = self.runs[-1]
        return first + count

    def offset(self, index: int) -> int:
        """The offset of the record at `index` of the call."""
        for first, count in self.runs:
            if index < count:
                return first + index
            index -= count
        raise IndexError(index)


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to be made: `partitions` and `config` (broker settings by name, e.g. {"cleanup.policy": "compact"})."""

    name: str
    partitions: int
    replication_factor: int | None = None
    """None: the broker's default."""
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic as the broker knows it. `id` differs between two topics of one name that lived one after the other."""

    name: str
    id: str
    partitions: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What one group member brings to a rebalance."""

    member_id: str
    topics: frozenset[str]
    user_data: bytes


@dataclass(frozen=True, slots=True)
class Share:
    """What one group member gets from a rebalance."""

    partitions: tuple[TopicPartition, ...]
    user_data: bytes


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A consumer's place in its group, as it was told with its newest assignment: what a transaction's offsets show."""

    group: str
    generation: int
    """-1: none, before the first assignment. Nothing is committed with it."""
    member_id: str
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """A member of a group as it is seen from outside."""

    member_id: str
    client_id: str


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How a consumer joins its group. Times are in seconds."""

    group: str
    client_id: str
    auto_offset_reset: str = "earliest"
    session_timeout: float = 12.0
    heartbeat_interval: float = 0.4
    rebalance_timeout: float = 30.0
    group_instance_id: str | None = None
    on_out_of_range: str = "reset"
    """What to do about a position that a log no longer holds: "reset", silently, as `auto_offset_reset` says, or
    "raise" OffsetOutOfRange.
    """
    read_committed: bool = False
    """Records of transactions come when they are committed, aborted ones never; committed offsets are stable ones."""
