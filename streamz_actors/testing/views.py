"""What a test looks at: the records of a topic, the content of a table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import UsageError
from streamz_actors.serde.schema import Schema
from streamz_actors.tables.mapping import State
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.types import Headers, TopicPartition, WindowValue, partition_of


@dataclass(frozen=True, slots=True)
class Record:
    """A record read back from a topic. Key and value are bytes where the topic is not one that was declared."""

    key: Any
    value: Any
    timestamp: int
    headers: Headers
    topic: str
    partition: int
    offset: int


class Tail:
    """Reads the topics of a broker on from where it was. `committed`: records of transactions that were committed."""

    def __init__(self, broker: MemoryBroker, *, committed: bool = False) -> None:
        self._broker, self._committed = broker, committed
        self._read: dict[TopicPartition, int] = {}

    def read(self, name: str, declared: Topic[Any, Any] | None) -> list[Record]:
        """The records that came since the last call, partition by partition. Raises TransportError for no topic."""
        places = [log.partition for log in self._broker.topic(name).logs]
        return [record for place in places for record in self._partition(place, declared)]

    def _partition(self, place: TopicPartition, declared: Topic[Any, Any] | None) -> Iterator[Record]:
        log = self._broker.log(place)
        position = max(self._read.get(place, 0), log.begin)
        while (raw := log.read(position, 10_000, self._committed)) is not None:
            for row, offset in enumerate(raw.offsets):
                yield Record(
                    _decoded(declared.key_schema if declared is not None else None, raw.keys[row]),
                    _decoded(declared.value_schema if declared is not None else None, raw.values[row]),
                    raw.timestamps[row],
                    raw.headers[row] if raw.headers is not None else (),
                    place.topic,
                    place.partition,
                    offset,
                )
            position = raw.next_offset
        self._read[place] = position


class TableView(Mapping[Any, Any]):
    """The content of a table, as a mapping that reads the state at each call."""

    def __init__(self, states: Mapping[int, State]) -> None:
        self._states = states

    def __getitem__(self, key: Any) -> Any:
        for state in self._candidates(key):
            value = state.get(key)
            if value is not None:
                return value
        raise KeyError(key)

    def _candidates(self, key: Any) -> Iterator[State]:
        """The partition that the key belongs to first, then the others: a table may be kept per partition."""
        states = self._states
        first = next(iter(states.values()))
        owner = states.get(partition_of(first.encode_key(key), first.partitions))
        if owner is not None:
            yield owner
        yield from (state for state in states.values() if state is not owner)

    def __iter__(self) -> Iterator[Any]:
        seen = {key for state in self._states.values() for key, _ in state.items()}
        return iter(sorted(seen, key=repr))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def windows(self, key: Any, from_: int | None = None, to: int | None = None) -> list[WindowValue[Any]]:
        """Of a table of windows: those of a key that begin at from_ <= ms < to, oldest first."""
        for state in self._states.values():
            layout = state.spec.layout
            if layout is None:
                raise UsageError(f"table {state.spec.name!r} has no windows")
            found = layout.windows(state.logged, state.encode_key(key), from_, to)
            if found:
                return [WindowValue(*row) for row in found]
        return []

    def timestamp(self, key: Any) -> int:
        """When a key's value was written, in ms of event time."""
        for state in self._candidates(key):
            found = state.timestamped(key)
            if found is not None:
                return found[1]
        raise KeyError(key)


def _decoded(schema: Schema[Any] | None, raw: bytes | None) -> Any:
    return raw if schema is None else schema.decode(raw)
