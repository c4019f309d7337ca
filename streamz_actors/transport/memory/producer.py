"""Sends to the embedded broker: a record is in its log when `send` returns."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from streamz_actors.errors import CommitError, ProduceError, TransportError
from streamz_actors.transport.abc import Delivery, GroupMember, Producer, TransactionalProducer
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transactions import Ticket
from streamz_actors.types import Headers, TopicPartition

Columns = tuple[Sequence[bytes | None], Sequence[bytes | None], Sequence[int], Sequence[Headers] | None]
"""Keys, values, timestamps and headers."""


class MemoryProducer(Producer):
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._running = False

    async def start(self) -> None:
        self._running = True

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        """The future it returns is done."""

        def append(columns: Columns) -> int:
            if not self._running:
                raise ProduceError(f"topic {topic!r}: send by a producer that is not running")
            return self._broker.append(TopicPartition(topic, partition), *columns)

        check_columns(topic, keys, values, timestamps, headers)
        return settled(topic, partition, (keys, values, timestamps, headers), append)

    @property
    def pending(self) -> int:
        return 0

    async def flush(self) -> None:
        """Nothing ever waits."""

    async def stop(self) -> None:
        self._running = False


class MemoryTransactionalProducer(TransactionalProducer):
    def __init__(self, broker: MemoryBroker, transactional_id: str, timeout: float) -> None:
        self._broker = broker
        self._id = transactional_id
        self._timeout = timeout
        self._ticket: Ticket | None = None
        self._failure = "it was not started"  # why nothing works; empty while all does
        self._refusals: list[ProduceError] = []  # of this transaction, that nobody has forgiven

    async def start(self) -> None:
        self._ticket = self._broker.transactions.begin(self._id, self._timeout)
        self._failure = ""
        self._refusals.clear()

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        """The future it returns is done."""

        def append(columns: Columns) -> int:
            return self._broker.append(TopicPartition(topic, partition), *columns, self._usable(ProduceError))

        check_columns(topic, keys, values, timestamps, headers)
        return settled(topic, partition, (keys, values, timestamps, headers), append, self._failed)

    def _failed(self, error: ProduceError) -> None:
        if error.refused:
            self._refusals.append(error)
        else:
            self._failure = self._failure or f"a send of this transaction failed ({error})"

    def forgive(self, error: ProduceError) -> None:
        self._refusals = [other for other in self._refusals if other is not error]

    async def commit(self, offsets: Mapping[TopicPartition, int], member: GroupMember) -> None:
        if self._refusals and not self._failure:
            self._failure = f"a send of this transaction was refused ({self._refusals[0]})"
        ticket = self._usable(CommitError)
        try:
            if offsets:
                require_generation(member)
                self._broker.transactions.add_offsets(ticket, self._broker.group(member.group), offsets, member)
            self._broker.transactions.end(ticket, True)
        except TransportError as error:
            self._failure = f"a commit failed ({error})"
            raise CommitError(f"transactional id {self._id!r}: {error}") from error

    def _usable(self, error: type[ProduceError] | type[CommitError]) -> Ticket:
        if self._failure or self._ticket is None:
            raise error(f"transactional id {self._id!r}: this producer cannot go on: {self._failure}")
        return self._ticket

    @property
    def pending(self) -> int:
        return 0

    async def flush(self) -> None:
        """Nothing ever waits."""

    async def drop(self) -> None:
        self._ticket, self._failure = None, "it was dropped"

    async def stop(self) -> None:
        ticket, failed = self._ticket, self._failure
        self._ticket, self._failure = None, "it is stopped"
        if ticket is None or failed:
            return
        try:
            self._broker.transactions.end(ticket, False)
        except TransportError:  # fenced: there is nothing of it left to abort
            return


def require_generation(member: GroupMember) -> None:
    """Kafka takes offsets without a generation from anybody, also on an active group: they are refused here."""
    if member.generation < 0:
        raise CommitError(f"group {member.group!r}: {member.member_id!r} has no place in the group to commit with")


def check_columns(
    topic: str,
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
) -> None:
    count = len(keys)
    if count == 0 or not count == len(values) == len(timestamps) == (count if headers is None else len(headers)):
        raise ValueError(f"topic {topic!r}: columns must have one equal length of at least 1")


def settled(
    topic: str,
    partition: int,
    columns: Columns,
    append: Callable[[Columns], int],
    failed: Callable[[ProduceError], None] = lambda error: None,
) -> "asyncio.Future[Delivery]":
    """A future with what came of appending these columns: all of them but what is refused. `failed` hears of errors."""
    future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
    try:
        first = append(columns)
    except ProduceError as error:
        told = error if error.lasting or not error.refused else partly(error, columns, append)
        failed(told)
        future.set_exception(told)
    else:
        future.set_result(Delivery(topic, partition, ((first, len(columns[0])),)))
    return future


def partly(refused: ProduceError, columns: Columns, append: Callable[[Columns], int]) -> ProduceError:
    """Appends the others, and says where they are."""
    keys, values, timestamps, headers = columns
    rest = [row for row in range(len(keys)) if row not in refused.rows]
    first = 0
    if rest:
        first = append(
            (
                [keys[row] for row in rest],
                [values[row] for row in rest],
                [timestamps[row] for row in rest],
                None if headers is None else [headers[row] for row in rest],
            )
        )
    offsets = iter(range(first, first + len(rest)))
    runs = tuple((-1 if row in refused.rows else next(offsets), 1) for row in range(len(keys)))
    return ProduceError(str(refused), refused.rows, runs)
