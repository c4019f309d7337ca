"""Sends to Kafka within transactions, under one transactional id.

Records go the way of every producer (`sending`); aiokafka adds each partition to the transaction before its first batch
leaves. For aiokafka it is one transaction without an end: beginnings and ends are told to the broker here (`ending`),
where beginning means no more than sending.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import errors as kafka
from aiokafka.producer.transaction_manager import TransactionState

from streamz_actors.clock import Clock
from streamz_actors.errors import CommitError, ProduceError
from streamz_actors.transport.abc import Delivery, GroupMember, TransactionalProducer
from streamz_actors.transport.kafka.connection import Profile
from streamz_actors.transport.kafka.ending import Ending
from streamz_actors.transport.kafka.errors import FOREIGN, reason
from streamz_actors.transport.kafka.producer import flush_within, started
from streamz_actors.transport.kafka.sending import Sending, check_columns, refused
from streamz_actors.types import Headers, TopicPartition

log = logging.getLogger(__name__)

FLUSH_TIMEOUT = 5.0
ABORT_TIMEOUT = 5.0

OUTDATED = (
    kafka.IllegalGenerationError,
    kafka.UnknownMemberIdError,
    kafka.RebalanceInProgressError,
    kafka.CommitFailedError,
)


class KafkaTransactionalProducer(TransactionalProducer):
    def __init__(
        self, profile: Profile, client_id: str, clock: Clock, transactional_id: str, timeout: float
    ) -> None:
        """`timeout`: seconds that the broker leaves a transaction open, and that a commit here may take."""
        self._profile = profile
        self._client_id = client_id
        self._clock = clock
        self._id = transactional_id
        self._timeout = timeout
        self._sending: Sending | None = None
        self._ending: Ending | None = None
        self._failure = "it was not started"  # why nothing works; empty while all does
        self._refusals: list[ProduceError] = []  # of this transaction, that nobody has forgiven

    async def start(self) -> None:
        await self.drop()
        producer = await started(
            self._profile,
            self._client_id,
            {"transactional_id": self._id, "transaction_timeout_ms": round(self._timeout * 1000)},
        )
        manager = producer._txn_manager
        manager.begin_transaction()
        manager._transaction_waiter.add_done_callback(retrieve)
        # Nothing can be committed of what is delivered later than a transaction may last.
        patience = min(self._profile.delivery_timeout, self._timeout)
        self._sending = Sending(producer, self._profile, self._clock, patience)
        self._ending = Ending(producer, self._clock, lambda: not self._failure)
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
        check_columns(keys, values, timestamps, headers)
        if self._sending is None or self._failure:
            return refused(topic, partition, f"this producer cannot go on: {self._failure}")
        future = self._sending.send(topic, partition, keys, values, timestamps, headers)
        sending = self._sending
        future.add_done_callback(lambda done: self._sent(sending, done))
        return future

    def _sent(self, sending: Sending, future: "asyncio.Future[Delivery]") -> None:
        if sending is not self._sending or self._failure:
            return
        if future.cancelled():
            self._failure = "somebody has cancelled a send: whether it was written is unknown"
        elif isinstance(error := future.exception(), ProduceError) and error.refused:
            self._refusals.append(error)
        elif isinstance(error, ProduceError):
            self._failure = f"a send of this transaction failed ({error})"

    def forgive(self, error: ProduceError) -> None:
        self._refusals = [other for other in self._refusals if other is not error]

    async def commit(self, offsets: Mapping[TopicPartition, int], member: GroupMember) -> None:
        ending = self._ending
        if self._failure or ending is None:
            raise CommitError(f"transactional id {self._id!r}: this producer cannot go on: {self._failure}")
        try:
            async with asyncio.timeout(self._timeout):
                await self._commit(ending, offsets, member)
        except CommitError as error:
            self._fail(str(error))
            raise
        except OUTDATED as error:
            raise self._failed(f"the group {member.group!r} has gone on without {member.member_id}", error) from error
        except FOREIGN as error:
            raise self._failed("whether the transaction is committed is unknown", error) from error
        except asyncio.CancelledError:
            self._fail("a commit was cancelled")
            raise

    def _failed(self, what: str, error: BaseException) -> CommitError:
        self._fail(f"{what}: {reason(error)}")
        return CommitError(f"transactional id {self._id!r}: {self._failure}")

    def _fail(self, why: str) -> None:
        """Nothing works any more; the first reason stays."""
        self._failure = self._failure or why

    async def _commit(self, ending: Ending, offsets: Mapping[TopicPartition, int], member: GroupMember) -> None:
        if offsets and member.generation < 0:  # Kafka would take it from a stranger, also on an active group
            raise CommitError(f"group {member.group!r}: {member.member_id!r} has no place in the group to commit with")
        sending = self._sending
        assert sending is not None
        await sending.flush()
        manager = sending.producer._txn_manager
        if manager.state is not TransactionState.IN_TRANSACTION:
            self._fail("aiokafka has given the transaction up")
        if self._refusals:
            self._fail(f"a send of this transaction was refused ({self._refusals[0]})")
        if self._failure:
            raise CommitError(f"transactional id {self._id!r}: {self._failure}")
        if offsets:
            await ending.add_offsets(offsets, member)
        if offsets or manager.txn_partitions:
            await ending.end(True)
        manager.txn_partitions.clear()

    @property
    def pending(self) -> int:
        return self._sending.pending if self._sending is not None else 0

    async def flush(self) -> None:
        if self._sending is not None:
            await self._sending.flush()

    async def drop(self) -> None:
        self._fail("it was dropped")
        sending, self._sending, self._ending = self._sending, None, None
        if sending is not None:
            await sending.abandon(self._failure)

    async def stop(self) -> None:
        sending, ending = self._sending, self._ending
        if sending is None or ending is None:
            return
        if self._failure or not await flush_within(sending, FLUSH_TIMEOUT):
            await self.drop()
            return
        await self._abort(sending.producer._txn_manager, ending)
        self._failure, self._sending, self._ending = "it is stopped", None, None
        await sending.close()

    async def _abort(self, manager: Any, ending: Ending) -> None:
        """Aborts what is open, else readers of committed records would wait until the broker does it."""
        if not manager.txn_partitions:
            return
        try:
            async with asyncio.timeout(ABORT_TIMEOUT):
                await ending.end(False)
        except FOREIGN as error:
            log.warning("transactional id %r: its open transaction was not aborted: %s", self._id, reason(error))


def retrieve(future: "asyncio.Future[Any]") -> None:
    """Of a future that nobody awaits: its error is known otherwise."""
    if not future.cancelled():
        future.exception()
