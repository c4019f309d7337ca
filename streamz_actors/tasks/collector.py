"""Everything that leaves: columns per output partition, handed to the producer once a turn, every delivery checked."""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import ProduceError, TopologyError
from streamz_actors.serde.schema import is_windowed
from streamz_actors.serde.windowed import key_part, key_parts
from streamz_actors.transport.abc import Delivery, Producer
from streamz_actors.types import Headers, RecordMetadata, TopicPartition, partition_of

CACHED_KEYS = 1 << 17
"""Keys whose partition is remembered, per topic: about 10 MB."""

Waiter = tuple[int, "asyncio.Future[RecordMetadata]"]


def windowed_topics(topics: Iterable[Topic[Any, Any]]) -> frozenset[str]:
    """The names of those whose keys are in windows."""
    return frozenset(name for topic in topics if is_windowed(topic.key_schema) for name in topic.names)


@dataclass(slots=True)
class Columns:
    """Rows on their way to one partition."""

    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    headers: list[Headers] | None = None
    waiters: list[Waiter] = field(default_factory=list)

    def extend(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
    ) -> None:
        if headers is not None or self.headers is not None:
            if self.headers is None:
                self.headers = [()] * len(self.timestamps)
            self.headers.extend([()] * len(timestamps) if headers is None else headers)
        self.keys.extend(keys)
        self.values.extend(values)
        self.timestamps.extend(timestamps)


class Homes(dict[bytes | None, int]):
    """The partitions of keys, each computed when it is asked for first. Rows without a key go round, turn by turn."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self.turn = 0

    def __missing__(self, key: bytes | None) -> int:
        if key is None:
            return self.turn % self._count
        self[key] = partition = partition_of(key, self._count)
        return partition


class RecordCollector(Collector):
    """Of one worker. `failed` is called with the first send that nobody waits for and that was not delivered.

    Records of the topics in `windowed` have windowed keys: they belong where their keys without the window do.

    With `transactional`, what is sent belongs to a transaction, which a failed send ruins: so `failed` is called with
    the first of any kind, and who waits for one hears nothing before the task that sent it is dropped.

        open ──hold──▶ held: what is added waits ──release──▶ open
          └────────────────────reset: all is dropped────────────┘
    """

    def __init__(
        self,
        producer: Producer,
        counts: Mapping[str, int],
        failed: Callable[[ProduceError], None],
        windowed: Container[str] = (),
        *,
        transactional: bool = False,
    ) -> None:
        self._producer, self._counts, self._failed, self._windowed = producer, counts, failed, windowed
        self.transactional = transactional
        self.held = False
        """What is added waits: it belongs to the next transaction."""
        self.used = False
        """Whether anything was handed to the producer since the start, or since `release`."""
        self._pending: dict[TopicPartition, Columns] = {}
        self._partition_of: dict[tuple[str, int], Homes] = {}
        self._scheduled = False
        self._outstanding = 0
        self._deliveries: set[asyncio.Future[Delivery]] = set()
        self._turn = 0
        self._refused: list[asyncio.Future[RecordMetadata]] = []
        self._ruined: list[Columns] = []
        """Of a transaction: what was not delivered."""
        self.failure: BaseException | None = None
        self.sent: dict[str, int] = {}
        """Records handed to the producer, by topic."""

    # -- taking

    def partitions(self, topic: str) -> int:
        try:
            return self._counts[topic]
        except KeyError:
            raise TopologyError(
                f"topic {topic!r} is not one of the application's: declare it with app.topic(...)"
            ) from None

    def add(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        count = self.partitions(topic)
        if count == 1:
            self._columns(topic, 0).extend(keys, values, timestamps, headers)
            return
        homes = self._homes(topic, keys, count)
        if homes and homes.count(homes[0]) == len(homes):
            # So it is wherever keys stay what they were.
            self._columns(topic, homes[0]).extend(keys, values, timestamps, headers)
            return
        spread: list[list[int]] = [[] for _ in range(count)]
        for row, partition in enumerate(homes):
            spread[partition].append(row)
        for partition, rows in enumerate(spread):
            if not rows:
                continue
            if len(rows) == 1:
                row = rows[0]
                head = None if headers is None else (headers[row],)
                self._columns(topic, partition).extend((keys[row],), (values[row],), (timestamps[row],), head)
                continue
            pick = itemgetter(*rows)
            self._columns(topic, partition).extend(
                pick(keys), pick(values), pick(timestamps), None if headers is None else pick(headers)
            )

    def _homes(self, topic: str, keys: Sequence[bytes | None], count: int) -> list[int]:
        """The partition of each row."""
        known = self._partition_of.get((topic, count))
        if known is None:
            known = self._partition_of[topic, count] = Homes(count)
        if len(known) > CACHED_KEYS:
            known.clear()
        known.turn = self._turn
        # A key comes back; in the same window it hardly ever does.
        return list(map(known.__getitem__, key_parts(keys) if topic in self._windowed else keys))

    def _home(self, topic: str, key: bytes, count: int) -> int:
        return partition_of(key_part(key) if topic in self._windowed else key, count)

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers = (),
        partition: int | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        count = self.partitions(topic)
        if partition is None:
            partition = self._home(topic, key, count) if key is not None else self._turn % count
        elif not 0 <= partition < count:
            raise ProduceError(f"topic {topic!r} has {count} partitions: there is no partition {partition}")
        columns = self._columns(topic, partition)
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        columns.waiters.append((len(columns.timestamps), future))
        columns.extend((key,), (value,), (timestamp,), (headers,) if headers else None)
        return future

    def log(
        self,
        partition: TopicPartition,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        """Changelog records of one partition, at once, also while held; the future is the caller's to check."""
        self.used = True
        self._count(partition.topic, len(timestamps))
        return self._producer.send(partition.topic, partition.partition, keys, values, timestamps, headers)

    def _columns(self, topic: str, partition: int) -> Columns:
        place = TopicPartition(topic, partition)
        columns = self._pending.get(place)
        if columns is None:
            columns = self._pending[place] = Columns()
            if not self._scheduled and not self.held:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self.flush)
        return columns

    def _count(self, topic: str, rows: int) -> None:
        self.sent[topic] = self.sent.get(topic, 0) + rows

    # -- sending

    def flush(self) -> None:
        """Hands everything to the producer. Called by itself at the end of each turn in which something was added."""
        self._scheduled = False
        if self.held or not self._pending:
            return
        self._turn += 1
        self.used = True
        pending, self._pending = self._pending, {}
        for (topic, partition), columns in pending.items():
            rows = len(columns.timestamps)
            self._count(topic, rows)
            self._outstanding += rows
            future = self._producer.send(
                topic, partition, columns.keys, columns.values, columns.timestamps, columns.headers
            )
            self._deliveries.add(future)
            if future.done():
                self._delivered(columns, rows, future)
            else:
                future.add_done_callback(partial(self._delivered, columns, rows))

    def _delivered(self, columns: Columns, rows: int, future: "asyncio.Future[Delivery]") -> None:
        error = ProduceError("the producer was stopped") if future.cancelled() else future.exception()
        if future not in self._deliveries:  # of before a reset
            _cancel(columns)
            return
        self._outstanding -= rows
        self._deliveries.discard(future)
        if error is not None and self.transactional:
            self._ruined.append(columns)
            self._fail(error)
            return
        for row, waiter in columns.waiters:
            if waiter.done():
                continue
            if error is not None:
                waiter.set_exception(error)
                self._refused.append(waiter)
            else:
                delivery = future.result()
                waiter.set_result(
                    RecordMetadata(delivery.topic, delivery.partition, delivery.offset(row), columns.timestamps[row])
                )
        if error is not None and len(columns.waiters) < rows:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self._failed(error if isinstance(error, ProduceError) else ProduceError(str(error)))

    # -- transactions

    def hold(self) -> None:
        """Hands everything to the producer; what is added from now on waits."""
        self.flush()
        self.held = True

    def release(self) -> None:
        """What waits begins the next transaction."""
        self.held = self.used = False
        self.flush()

    def reset(self) -> None:
        """Forgets whatever was added. Whoever still waits for a delivery is cancelled."""
        pending, ruined = self._pending, self._ruined
        self._pending, self._ruined, self._deliveries, self._outstanding = {}, [], set(), 0
        self.held, self.used, self.failure = False, False, None
        for columns in (*pending.values(), *ruined):
            _cancel(columns)

    # -- how it stands

    @property
    def outstanding(self) -> int:
        """Records that are not acknowledged yet."""
        waiting = sum(len(columns.timestamps) for columns in self._pending.values()) if self.held else 0
        return self._outstanding + waiting

    @property
    def idle(self) -> bool:
        return not self._pending and not self._outstanding

    async def drain(self) -> None:
        """Returns when everything added so far is acknowledged. Raises ProduceError if any of it was not delivered."""
        if self._pending:
            self.flush()
        if self._deliveries:
            await asyncio.wait(self._deliveries)
        if self._refused:
            await self._see_refused()
        if self.failure is not None:
            raise self.failure

    async def _see_refused(self) -> None:
        """A refused record is the affair of whoever looks at its future; one that nobody looks at is ours."""
        await asyncio.sleep(0)
        refused, self._refused = self._refused, []
        for waiter in refused:
            if waiter._log_traceback and self.failure is None:  # what asyncio itself goes by: nobody has asked yet
                self.failure = waiter.exception()


def _cancel(columns: Columns) -> None:
    for _, waiter in columns.waiters:
        waiter.cancel()
