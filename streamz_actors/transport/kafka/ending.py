"""How a transaction is ended on Kafka: three requests, one after the other, each repeated while the answer is "soon".

    AddOffsetsToTxn ──▶ TxnOffsetCommit (version 3: with the member's place in its group) ──▶ EndTxn

aiokafka's own way knows no member, waits between its steps, and its abort may leave open, and later publish, what it
should have aborted. Each request may arrive twice: the broker answers the second as it answered the first.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import errors as kafka
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.producer import sender
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.transaction import AddOffsetsToTxnRequest, EndTxnRequest
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema

from streamz_actors.clock import Clock
from streamz_actors.transport.abc import GroupMember
from streamz_actors.transport.kafka.protocol import TAGS
from streamz_actors.types import TopicPartition

sender.BACKOFF_OVERRIDE = 0.004
"""Seconds for which aiokafka's sender waits when the former transaction's end is not in all logs yet (it: 20 ms)."""


FIRST_PAUSE, LONGEST_PAUSE = 0.004, 0.25
NO_EPOCH = -1

SOON = (
    kafka.CoordinatorNotAvailableError,
    kafka.NotCoordinatorError,
    kafka.CoordinatorLoadInProgressError,
    kafka.ConcurrentTransactions,
    kafka.UnknownTopicOrPartitionError,
    kafka.RequestTimedOutError,
    kafka.KafkaConnectionError,
    kafka.NodeNotReadyError,
)
"""Worth asking again."""


class InitProducer(sender.InitPIDHandler):  # type: ignore[misc]
    """Asks soon again for a producer id whose former transaction is being ended (aiokafka: after 100 ms)."""

    def handle_response(self, response: Any) -> float | None:
        backoff: float | None = super().handle_response(response)
        concurrent = response.error_code == kafka.ConcurrentTransactions.errno
        return sender.BACKOFF_OVERRIDE if concurrent else backoff


sender.InitPIDHandler = InitProducer
"""Looked up there by name at each start of a producer."""


class TxnOffsetCommitResponse_v3(Response):  # type: ignore[misc]  # noqa: N801
    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), TAGS)),
                TAGS,
            ),
        ),
        TAGS,
    )


class TxnOffsetCommitRequest_v3(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY = 28
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = TxnOffsetCommitResponse_v3
    SCHEMA = Schema(
        ("transactional_id", CompactString("utf-8")),
        ("group", CompactString("utf-8")),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation", Int32),
        ("member_id", CompactString("utf-8")),
        ("instance_id", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        TAGS,
                    ),
                ),
                TAGS,
            ),
        ),
        TAGS,
    )


class CommitOffsetsInTransaction(Request[TxnOffsetCommitRequest_v3]):  # type: ignore[misc]
    API_KEY = 28

    def __init__(self, ident: tuple[str, int, int], offsets: Mapping[TopicPartition, int], member: GroupMember) -> None:
        self._ident, self._offsets, self._member = ident, offsets, member

    def build(self, request_struct_class: Any) -> Any:
        (transactional_id, producer, epoch), member = self._ident, self._member
        topics: dict[str, list[Any]] = defaultdict(list)
        for (topic, partition), offset in self._offsets.items():
            topics[topic].append((partition, offset, NO_EPOCH, "", {}))
        place = (member.generation, member.member_id, member.instance_id)
        found: Any = [(topic, rows, {}) for topic, rows in topics.items()]
        return request_struct_class(transactional_id, member.group, producer, epoch, *place, found, {})


class Ending:
    """The end of each transaction of one started aiokafka producer. Everything raises aiokafka's errors."""

    def __init__(self, producer: Any, clock: Clock, alive: Callable[[], bool]) -> None:
        """Nothing is asked any more once `alive` says no."""
        self._client = producer.client
        self._clock = clock
        self._alive = alive
        manager = producer._txn_manager
        self._ident = (manager.transactional_id, manager.producer_id, manager.producer_epoch)
        self._coordinators: dict[tuple[int, str], int] = {}

    async def add_offsets(self, offsets: Mapping[TopicPartition, int], member: GroupMember) -> None:
        joining = AddOffsetsToTxnRequest(*self._ident, member.group)
        await self._ask(CoordinationType.TRANSACTION, self._ident[0], joining)
        committing = CommitOffsetsInTransaction(self._ident, offsets, member)
        await self._ask(CoordinationType.GROUP, member.group, committing)

    async def end(self, committed: bool) -> None:
        await self._ask(CoordinationType.TRANSACTION, self._ident[0], EndTxnRequest(*self._ident, committed))

    async def _ask(self, kind: int, key: str, request: Any) -> None:
        """Returns when the coordinator has said yes; raises what it says else."""
        pause = FIRST_PAUSE
        while True:
            try:
                response = await self._client.send(
                    await self._coordinator(kind, key), request, group=ConnectionGroup.COORDINATION
                )
                raise_for(response)
                return
            except SOON as error:
                if not self._alive():
                    raise
                if not isinstance(error, kafka.ConcurrentTransactions | kafka.UnknownTopicOrPartitionError):
                    self._coordinators.pop((kind, key), None)
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _coordinator(self, kind: int, key: str) -> int:
        node = self._coordinators.get((kind, key))
        if node is None:
            node = self._coordinators[kind, key] = int(await self._client.coordinator_lookup(kind, key))
        return node


def raise_for(response: Any) -> None:
    """Raises the first error in an answer to one of the requests above."""
    codes = [response.error_code] if hasattr(response, "error_code") else [
        code for _, partitions, _ in response.topics for _, code, _ in partitions
    ]
    for code in codes:
        if code:
            raise kafka.for_code(code)()
