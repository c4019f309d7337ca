"""Everything that leaves: columns per output partition, handed to the producer once a turn, every delivery checked."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

from streamz_actors.dataflow.context import Collector, Refused
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import ProduceError, StreamzError, TopologyError
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
    owners: list[tuple[int, Sequence[int] | None, Refused]] = field(default_factory=list)
    """Who is told of refused rows: from which row on, and which rows of theirs those are (None: all)."""

    def owned(self, rows: Sequence[int] | None, refused: Refused | None) -> "Columns":
        """The rows that come next are these of somebody's."""
        if refused is not None:
            self.owners.append((len(self.timestamps), rows, refused))
        elif self.owners:
            self.owners.append((len(self.timestamps), None, _stop))
        return self

    def tell(self, row: int, error: ProduceError) -> None:
        """Tells whom the row came from that it was refused. Raises as that does."""
        at = bisect_right(self.owners, row, key=itemgetter(0)) - 1
        if at < 0:
            raise error
        start, rows, refused = self.owners[at]
        refused(row - start if rows is None else rows[row - start], error)

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

    With `transactional`, what is sent belongs to a transaction, which a send that failed ruins: so `failed` is called
    with the first of any kind, and who waits for one hears nothing before the task that sent it is dropped. What is
    refused ruins nothing: who waits for it, or whom it came from, is told.

        open ──hold──▶ held: what is added waits ──release──▶ open
          └────────────────────reset: all is dropped────────────┘
    """

    def __init__(
        self,
        producer: Producer,
        counts: Mapping[str, int],
        failed: Callable[[StreamzError], None],
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
        self._deliveries: dict[asyncio.Future[Delivery], TopicPartition] = {}
        self._turn = 0
        self._refused: list[tuple[asyncio.Future[RecordMetadata], Callable[[], None]]] = []
        """Futures that have failed, and what is done if nobody looks at one."""
        self._unforgiven: list[ProduceError] = []
        """Refusals since the last `drain`."""
        self._letters: set[asyncio.Future[Delivery]] = set()
        """What was sent because of them."""
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
        refused: Refused | None = None,
    ) -> None:
        count = self.partitions(topic)
        if count == 1:
            self._columns(topic, 0).owned(None, refused).extend(keys, values, timestamps, headers)
            return
        homes = self._homes(topic, keys, count)
        if homes and homes.count(homes[0]) == len(homes):
            # So it is wherever keys stay what they were.
            self._columns(topic, homes[0]).owned(None, refused).extend(keys, values, timestamps, headers)
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
                columns = self._columns(topic, partition).owned(rows, refused)
                columns.extend((keys[row],), (values[row],), (timestamps[row],), head)
                continue
            pick = itemgetter(*rows)
            self._columns(topic, partition).owned(rows, refused).extend(
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
        refused: Refused | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        count = self.partitions(topic)
        if partition is None:
            partition = self._home(topic, key, count) if key is not None else self._turn % count
        elif not 0 <= partition < count:
            raise ProduceError(f"topic {topic!r} has {count} partitions: there is no partition {partition}")
        columns = self._columns(topic, partition)
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        columns.waiters.append((len(columns.timestamps), future))
        columns.owned(None, refused).extend((key,), (value,), (timestamp,), (headers,) if headers else None)
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
        for place, columns in pending.items():
            topic, partition = place
            rows = len(columns.timestamps)
            self._count(topic, rows)
            self._outstanding += rows
            future = self._producer.send(
                topic, partition, columns.keys, columns.values, columns.timestamps, columns.headers
            )
            self._deliveries[future] = place
            if future.done():
                self._delivered(place, columns, rows, future)
            else:
                future.add_done_callback(partial(self._delivered, place, columns, rows))

    def _delivered(
        self, place: TopicPartition, columns: Columns, rows: int, future: "asyncio.Future[Delivery]"
    ) -> None:
        error = ProduceError("the producer was stopped") if future.cancelled() else future.exception()
        if future not in self._deliveries:  # of before a reset
            _cancel(columns)
            return
        self._outstanding -= rows
        del self._deliveries[future]
        self._letters.discard(future)
        if isinstance(error, ProduceError) and error.refused:
            self._refuse(columns, error, Delivery(*place, error.runs))
            return
        if error is not None and self.transactional:
            self._ruined.append(columns)
            self._fail(error)
            return
        for row, waiter in columns.waiters:
            if waiter.done():
                continue
            if error is not None:
                waiter.set_exception(error)
                self._refused.append((waiter, partial(self._fail, error)))
            else:
                delivery = future.result()
                waiter.set_result(
                    RecordMetadata(delivery.topic, delivery.partition, delivery.offset(row), columns.timestamps[row])
                )
        if error is not None and len(columns.waiters) < rows:
            self._fail(error)

    def _refuse(self, columns: Columns, error: ProduceError, delivery: Delivery) -> None:
        """Some rows were refused, the others delivered. Whoever waits for a row hears of it, else whom it came from."""
        waited = dict(columns.waiters)
        for row, waiter in waited.items():
            if waiter.done():
                continue
            if row in error.rows:
                waiter.set_exception(error)
                self._refused.append((waiter, partial(self._tell, columns, row, error)))
            else:
                stamp = columns.timestamps[row]
                waiter.set_result(RecordMetadata(delivery.topic, delivery.partition, delivery.offset(row), stamp))
        self._unforgiven.append(error)
        for row in error.rows:
            if row not in waited and self.failure is None:
                self._tell(columns, row, error)

    def _tell(self, columns: Columns, row: int, error: ProduceError) -> None:
        """What is sent because of it, a dead letter, belongs to what is committed next, also while held."""
        held, self.held = self.held, False
        waiting, self._pending = self._pending, {}
        before = set(self._deliveries)
        try:
            columns.tell(row, error)
        except StreamzError as failure:
            self._fail(failure)
        self.flush()
        self._letters |= self._deliveries.keys() - before
        self.held, self._pending = held, waiting
        self._scheduled = bool(waiting) and not held
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self.flush)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self._failed(error if isinstance(error, StreamzError) else ProduceError(str(error)))

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
        self._pending, self._ruined, self._deliveries, self._outstanding = {}, [], {}, 0
        self.held, self.used, self.failure = False, False, None
        self._refused, self._unforgiven, self._letters = [], [], set()
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

    def waits_for(self) -> list[TopicPartition]:
        """Where not everything is acknowledged; what has waited longest comes first."""
        return list(dict.fromkeys(self._deliveries.values()))

    async def drain(self) -> None:
        """Returns when everything added so far is acknowledged. Raises StreamzError if any of it was not delivered."""
        if self._pending:
            self.flush()
        if self._deliveries:
            await asyncio.wait(self._deliveries)
        if self._refused:
            await self._see_refused()
        while self._letters:
            await asyncio.wait(self._letters)
        if self.failure is not None:
            raise self.failure
        unforgiven, self._unforgiven = self._unforgiven, []
        for error in unforgiven:
            self._producer.forgive(error)

    async def _see_refused(self) -> None:
        """A refused record is the affair of whoever looks at its future; else it is its event's, or the worker's."""
        await asyncio.sleep(0)
        refused, self._refused = self._refused, []
        for waiter, unseen in refused:
            if waiter._log_traceback and self.failure is None:  # what asyncio itself goes by: nobody has asked yet
                waiter.exception()
                unseen()


def _stop(row: int, error: ProduceError) -> None:
    """For rows of which nobody is told."""
    raise error


def _cancel(columns: Columns) -> None:
    for _, waiter in columns.waiters:
        waiter.cancel()
