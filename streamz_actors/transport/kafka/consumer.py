"""A member of a consumer group on Kafka: aiokafka's group protocol, our buffer, explicit commits.

    start ─▶ joining ─▶ assigned ─▶ (on_revoked) ─▶ joining ─▶ assigned ─▶ ... ─▶ stop

Rebalances are eager and happen in aiokafka's task, not in `poll`. What our listener or assignor raises there is kept,
and raised by the next poll.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ForeignPartition
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import CommitFailedError
from aiokafka.protocol.group import LeaveGroupRequest

from streamz_actors.clock import Clock
from streamz_actors.errors import BrokerUnavailable, CommitError, TransportError
from streamz_actors.transport.abc import Assignor, Consumer, GroupMember, GroupSettings, Listener, RawBatch
from streamz_actors.transport.kafka.assignor import ForeignAssignor, ForeignListener
from streamz_actors.transport.kafka.client import Hearing, no_auto_creation
from streamz_actors.transport.kafka.connection import Profile, probe
from streamz_actors.transport.kafka.errors import FOREIGN, UNREACHABLE, reason, translate
from streamz_actors.transport.kafka.fetching import Buffer
from streamz_actors.transport.kafka.stable import PATIENCE, StableOffsets
from streamz_actors.types import TopicPartition

log = logging.getLogger(__name__)

START_TIMEOUT = 15.0
COMMIT_TIMEOUT = 10.0
STOP_TIMEOUT = 5.0
MAX_POLL_INTERVAL_MS = 3_600_000
"""An hour: heartbeats say that the process lives, `poll` need not."""

RESETS = {"earliest": OffsetResetStrategy.EARLIEST, "latest": OffsetResetStrategy.LATEST}

FETCH_WAIT_MS = 100
"""What a resumed or sought partition may have to wait for: its broker's answer to the request under way."""


class KafkaConsumer(Consumer):
    def __init__(
        self, profile: Profile, settings: GroupSettings, assignor: Assignor, listener: Listener, clock: Clock
    ) -> None:
        self._profile = profile
        self._settings = settings
        self._strict = settings.on_out_of_range == "raise"
        self._listener = listener
        self._clock = clock
        self._assignor = ForeignAssignor(assignor, self._membership, self._fail)
        self._assigned: frozenset[TopicPartition] | None = None  # None: between two assignments
        self._failure: Exception | None = None
        self._may_return = asyncio.Event()  # cleared while on_revoked runs: no poll returns then
        self._may_return.set()
        self._place = GroupMember(settings.group, -1, "", settings.group_instance_id)
        self._consumer: Any = None
        self._hearing: Hearing | None = None
        self._heard_at = clock.monotonic()
        self._buffer: Buffer | None = None  # None: not running

    async def start(self, topics: Collection[str]) -> None:
        await probe(self._profile, self._settings.client_id)
        consumer = self._make()
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await consumer.start()
        except FOREIGN as error:
            await close(consumer)
            raise translate(error, f"joining group {self._settings.group!r} at {self._profile.address}") from error
        if self._settings.read_committed:
            StableOffsets(consumer._coordinator, self._clock)
        reset = RESETS.get(self._settings.auto_offset_reset) if self._strict else None
        self._consumer, self._buffer = consumer, Buffer(consumer, reset)
        self._hearing = Hearing(consumer._client, self._clock)
        consumer.subscribe(topics=list(topics), listener=ForeignListener(self._on_revoked, self._on_assigned))

    def _make(self) -> Any:
        settings = self._settings
        consumer = AIOKafkaConsumer(
            **{
                "max_poll_interval_ms": MAX_POLL_INTERVAL_MS,
                "fetch_max_wait_ms": FETCH_WAIT_MS,
                "auto_offset_reset": "none" if self._strict else settings.auto_offset_reset,
                "session_timeout_ms": round(settings.session_timeout * 1000),
                "heartbeat_interval_ms": round(settings.heartbeat_interval * 1000),
                "rebalance_timeout_ms": round(settings.rebalance_timeout * 1000),
                **self._profile.shared,
                **self._profile.consumer,
                **({"isolation_level": "read_committed"} if settings.read_committed else {}),
            },
            bootstrap_servers=list(self._profile.servers),
            client_id=settings.client_id,
            group_id=settings.group,
            group_instance_id=settings.group_instance_id,
            enable_auto_commit=False,
            partition_assignment_strategy=[self._assignor],
        )
        no_auto_creation(consumer._client)
        return consumer

    # ---- rebalances, as aiokafka's task tells of them

    def _membership(self) -> tuple[int, str]:
        coordinator = self._consumer._coordinator
        return coordinator.generation, coordinator.member_id

    async def _on_revoked(self) -> None:
        if self._assigned is None or self._buffer is None:
            return
        self._may_return.clear()
        try:
            await self._listener.on_revoked(self._assigned)
        except Exception as error:  # whatever it is: reported by the next poll
            self._fail(error)
        finally:
            self._assigned = None
            self._buffer.assign(())
            self._may_return.set()
            self._buffer.wake()

    def _on_assigned(self) -> None:
        if self._buffer is None:
            return
        self._assigned = frozenset(TopicPartition(*partition) for partition in self._consumer.assignment())
        generation, member_id = self._membership()
        self._place = replace(self._place, generation=generation, member_id=member_id)
        self._buffer.assign(self._assigned)
        try:
            self._listener.on_assigned(self._assigned)
        except Exception as error:  # whatever it is: reported by the next poll
            self._fail(error)
        self._buffer.wake()

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        if self._buffer is not None:
            self._buffer.wake()

    # ---- records

    async def poll(self, timeout: float) -> list[RawBatch]:
        if self._buffer is None:
            raise TransportError(f"group {self._settings.group!r}: poll of a consumer that is not running")
        await asyncio.sleep(0)  # polls that always find something must not keep the loop to themselves
        try:
            with self._consumer._subscription.fetch_context():
                return await self._poll(timeout)
        except FOREIGN as error:
            raise translate(error, f"polling in group {self._settings.group!r}") from error

    async def _poll(self, timeout: float) -> list[RawBatch]:
        deadline = self._clock.monotonic() + timeout
        while self._buffer is not None:
            self._check()
            await self._may_return.wait()
            batches = self._buffer.give() if self._assigned is not None else []
            left = deadline - self._clock.monotonic()
            if batches or left <= 0:
                return batches
            await self._buffer.wait(left)
        return []

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._consumer._coordinator.check_errors()
        fetching = self._consumer._fetcher.error_future
        if fetching.done():
            fetching.result()

    async def rejoin(self) -> None:
        if self._buffer is None:
            raise TransportError(f"group {self._settings.group!r}: a consumer that is not running cannot rejoin")
        try:
            async with asyncio.timeout(self._profile.request_timeout):
                await self._consumer._client.force_metadata_update()
        except FOREIGN as error:
            raise translate(error, f"looking up the topics of group {self._settings.group!r}") from error
        self._consumer._coordinator.request_rejoin()

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assigned or frozenset()

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        if self._buffer is not None:
            self._buffer.pause(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        if self._buffer is not None:
            self._buffer.resume(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if self._buffer is not None:
            self._buffer.seek(partition, offset)

    @property
    def heard_at(self) -> float:
        if self._hearing is None or self._buffer is None or not self._buffer.due:
            self._heard_at = self._clock.monotonic()
        else:
            self._heard_at = max(self._heard_at, self._hearing.at)
        return self._heard_at

    def lag(self, partition: TopicPartition) -> int | None:
        return self._buffer.lag(partition) if self._buffer is not None else None

    # ---- offsets

    async def commit(
        self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str] | None = None
    ) -> None:
        what = f"committing offsets of group {self._settings.group!r}"
        if self._buffer is None:
            raise CommitError(f"{what}: this consumer is not running")
        if foreign := sorted(offsets.keys() - self.assignment()):
            raise CommitError(f"{what}: {', '.join(map(str, foreign))} not assigned to this consumer any more")
        # Without a generation the broker takes a commit for one of a stranger, and accepts it if the group is empty.
        if self._consumer._coordinator.generation < 0:
            raise CommitError(f"{what}: this consumer has lost its place in the group and joins again")
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT):
                kept = notes or {}
                await self._consumer.commit(
                    {ForeignPartition(*key): (offset, kept.get(key, "")) for key, offset in offsets.items()}
                )
        except CommitFailedError as error:
            raise CommitError(f"{what}: the group has rebalanced without this consumer") from error
        except FOREIGN as error:
            unknown = f"{what}: {reason(error)}; whether they are committed is unknown"
            raise (BrokerUnavailable if isinstance(error, UNREACHABLE) else CommitError)(unknown) from error

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        found = await self._found(partitions)
        return {partition: found[partition].offset if partition in found else None for partition in partitions}

    async def notes(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, str]:
        found = await self._found(partitions)
        kept = {partition: found[partition].metadata for partition in partitions if partition in found}
        return {partition: note for partition, note in kept.items() if note}

    async def _found(self, partitions: Collection[TopicPartition]) -> Any:
        """Offsets with what is kept beside them, by partition."""
        what = f"reading the committed offsets of group {self._settings.group!r}"
        if self._buffer is None:
            raise TransportError(f"{what}: this consumer is not running")
        foreign = [ForeignPartition(*partition) for partition in partitions]
        patience = self._profile.request_timeout + (PATIENCE if self._settings.read_committed else 0)
        try:
            async with asyncio.timeout(patience):
                return await self._consumer._coordinator.fetch_committed_offsets(foreign)
        except FOREIGN as error:
            raise translate(error, what) from error

    @property
    def member(self) -> GroupMember:
        return self._place

    async def stop(self) -> None:
        buffer, self._buffer, self._assigned = self._buffer, None, None
        if buffer is None:
            return
        buffer.wake()
        await close(self._consumer)


async def close(consumer: Any) -> None:
    """Stops an aiokafka consumer in a bounded time; its own stop waits for the step it is in, even for a join."""
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping}, timeout=STOP_TIMEOUT)
    if not stopping.done():
        log.warning("a Kafka consumer did not stop within %.0f s: abandoned", STOP_TIMEOUT)
        stopping.cancel()
        await asyncio.wait({stopping}, timeout=1)
        await leave(consumer)
    elif stopping.cancelled():  # a task of aiokafka's was cancelled before its first step, and took stop() with it
        pass
    elif (error := stopping.exception()) is not None:
        log.warning("a Kafka consumer did not stop cleanly: %s", reason(error))
    else:
        return
    if consumer._fetcher is not None:
        await close_fetcher(consumer._fetcher)
    await consumer._client.close()


async def close_fetcher(fetcher: Any) -> None:
    """Its own close awaits requests that it has cancelled, and is cancelled by the first of them."""
    closing = {asyncio.ensure_future(fetcher.close())}
    await asyncio.wait(closing, timeout=1)
    left = closing | fetcher._pending_tasks
    for task in left:
        task.cancel()
    await asyncio.wait(left, timeout=1)


async def leave(consumer: Any) -> None:
    """Tells the group on another connection: the broker answers nothing on the one where a join waits."""
    coordinator = consumer._coordinator
    if not isinstance(coordinator, GroupCoordinator):
        return
    node, member, static = coordinator.coordinator_id, coordinator.member_id, coordinator._group_instance_id
    if node is not None and member and static is None:
        try:
            async with asyncio.timeout(1):
                await consumer._client.send(node, LeaveGroupRequest(coordinator.group_id, member))
        except FOREIGN as error:
            log.warning("leaving group %r failed: %s", coordinator.group_id, reason(error))
    await coordinator._stop_heartbeat_task()
    await coordinator._stop_commit_offsets_refresh_task()
