"""Whole topologies in real tasks, without a loop or a broker: the test says what is delivered when, and restarts.

Records of one partition stay in order; between partitions the test decides. Everything is synchronous.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from streamz_actors.clock import ManualClock
from streamz_actors.dataflow.context import Link, Refused
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.policies import Fail
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.dataflow.topics import Topic
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.serde.schema import schema_for
from streamz_actors.stores.abc import Shelf
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import Headers, RecordMetadata, TopicPartition, partition_of

Row = tuple[Any, Any, int]
"""Key, value, timestamp."""

Raw = tuple[bytes | None, bytes | None, int]


class Engine:
    """`declare` is given a builder, and what makes a topic of it: name, key type, value type, partitions."""

    on_error = Fail()
    transactional = False

    def __init__(self, declare: Callable[[TopologyBuilder, "MakeTopic"], None]) -> None:
        builder = TopologyBuilder("p", Link())
        self.topics: dict[str, Topic[Any, Any]] = {}
        self._existing: dict[str, int] = {}

        def topic(name: str, key: Any = str, value: Any = int, partitions: int = 1) -> Topic[Any, Any]:
            self._existing[name] = partitions
            schemas = schema_for(key, key=True), schema_for(value)
            made = self.topics[name] = builder.topic(Topic((name,), *schemas, builder.link, partitions=partitions))
            return made

        declare(builder, topic)
        topology = builder.freeze()
        self.topics |= {name: each for each in topology.topics for name in each.names}
        self._subs = split(topology, self._existing, 1)
        self._counts = {name: count for sub in self._subs for name, count in sub.topics.items()}
        self.waiting: dict[TopicPartition, deque[Raw]] = {}
        self._offsets: dict[TopicPartition, int] = {}
        self._out: dict[str, list[Raw]] = {}
        backend = MemoryBackend()
        self._shelves = {
            (sub, number): backend.open(sub.task_name(number), {spec.name: "test" for spec in sub.stores})
            for sub in self._subs
            for number in range(sub.partitions)
        }
        self.lates: list[Late] = []
        self.states: dict[tuple[str, int], State] = {}
        self._start()

    # -- life

    def _start(self) -> None:
        tasks = [self._task(sub, number, shelf) for (sub, number), shelf in self._shelves.items()]
        self._tasks = {place: task for task in tasks for place in task.partitions}

    def _task(self, sub: SubTopology, number: int, shelf: Shelf) -> Task:
        task = Task(
            sub,
            number,
            clock=ManualClock(),
            collector=cast("Any", self),
            failures=cast("Any", self),
            wake=lambda: None,
        )
        states = {spec.name: State(spec, shelf.stores[spec.name], number, sub.partitions) for spec in sub.stores}
        self.states |= {(name, number): state for name, state in states.items()}
        task.open(states, {})
        task.restored()
        return task

    def commit(self) -> None:
        """All stores hold all that was written."""
        for state in self.states.values():
            state.logged.apply(*state.logged.begin_flush(), None)
            state.logged.end_flush()

    def restart(self) -> None:
        """A commit, and then new tasks over the same stores; what is on its way stays on its way."""
        self.commit()
        self._start()

    # -- what operators see

    def through(self, _: Any) -> "Engine":
        """It deals with failures as well."""
        return self

    def late(self, record: Late) -> None:
        self.lates.append(record)

    def partitions(self, topic: str) -> int:
        return self._counts.get(topic, 1)

    def add(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
        refused: Refused | None = None,
    ) -> None:
        for row in zip(keys, values, timestamps, strict=True):
            if topic in self._counts:
                place = TopicPartition(topic, 0 if row[0] is None else partition_of(row[0], self._counts[topic]))
                self.waiting.setdefault(place, deque()).append(row)
            else:
                self._out.setdefault(topic, []).append(row)

    def send(self, *_: Any) -> "asyncio.Future[RecordMetadata]":
        raise AssertionError("operators send in batches")

    # -- the test's side

    def give(self, topic: str, *rows: Row) -> None:
        """Records on their way to a topic."""
        shape = self.topics[topic]
        for key, value, timestamp in rows:
            self.add(topic, [shape.key_schema.encode(key)], [shape.value_schema.encode(value)], [timestamp])

    def deliver(self, place: TopicPartition, most: int = 1) -> None:
        """Lets records of one partition arrive together and be processed."""
        queue = self.waiting[place]
        taken = [queue.popleft() for _ in range(min(most, len(queue)))]
        if not queue:
            del self.waiting[place]
        start = self._offsets.get(place, 0)
        stop = self._offsets[place] = start + len(taken)
        keys, values = [key for key, _, _ in taken], [value for _, value, _ in taken]
        timestamps = [timestamp for _, _, timestamp in taken]
        self._tasks[place].add(RawBatch(*place, keys, values, timestamps, range(start, stop), None, stop))
        while self._tasks[place].step():
            pass

    def drain(self, most: int = 1) -> None:
        """Delivers until nothing is on its way."""
        while self.waiting:
            self.deliver(next(iter(self.waiting)), most)

    def read(self, topic: str) -> list[Row]:
        """What has come out since the last time."""
        shape = self.topics[topic]
        rows = self._out.pop(topic, [])
        return [(shape.key_schema.decode(key), shape.value_schema.decode(value), time) for key, value, time in rows]


MakeTopic = Callable[..., Topic[Any, Any]]
