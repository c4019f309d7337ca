"""Committed offsets that no open transaction can still change: OffsetFetch version 7, which aiokafka does not speak."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition as ForeignPartition
from aiokafka import errors as kafka
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema
from aiokafka.structs import OffsetAndMetadata

from streamz_actors.clock import Clock
from streamz_actors.transport.kafka.errors import UnstableOffsets
from streamz_actors.transport.kafka.protocol import TAGS

log = logging.getLogger(__name__)

PATIENCE = 960.0
"""Seconds to wait for transactions to end. A broker lets none be open for longer than 15 minutes, unless told to."""

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.1
TELL_AFTER, TELL_EVERY = 1.0, 30.0
UNKNOWN_TOPIC = kafka.UnknownTopicOrPartitionError.errno
NOT_COORDINATOR = kafka.NotCoordinatorForGroupError.errno


class OffsetFetchResponse_v7(Response):  # type: ignore[misc]  # noqa: N801
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
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
                        ("error_code", Int16),
                        TAGS,
                    ),
                ),
                TAGS,
            ),
        ),
        ("error_code", Int16),
        TAGS,
    )


class OffsetFetchRequest_v7(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY = 9
    API_VERSION = 7
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = OffsetFetchResponse_v7
    SCHEMA = Schema(
        ("group", CompactString("utf-8")),
        ("topics", CompactArray(("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), TAGS)),
        ("require_stable", Boolean),
        TAGS,
    )


class FetchStableOffsets(Request[OffsetFetchRequest_v7]):  # type: ignore[misc]
    API_KEY = 9

    def __init__(self, group: str, partitions: Sequence[ForeignPartition]) -> None:
        self._group = group
        self._by_topic: dict[str, list[int]] = defaultdict(list)
        for topic, partition in partitions:
            self._by_topic[topic].append(partition)

    def build(self, request_struct_class: Any) -> Any:
        topics: Any = [(topic, numbers, {}) for topic, numbers in self._by_topic.items()]
        return request_struct_class(self._group, topics, True, {})


class StableOffsets:
    """Takes the place of the question that an aiokafka coordinator asks for committed offsets.

    So the positions that it gives its fetcher are stable as well.
    """

    def __init__(self, coordinator: Any, clock: Clock) -> None:
        self._coordinator = coordinator
        self._clock = clock
        coordinator._do_fetch_commit_offsets = self.fetch

    async def fetch(self, partitions: Sequence[ForeignPartition]) -> dict[ForeignPartition, OffsetAndMetadata]:
        """Waits while a transaction that holds some of them is open. Errors as the original's: retriable ones too."""
        began, pause, told = self._clock.monotonic(), FIRST_PAUSE, -TELL_EVERY
        while True:
            try:
                return await self._ask(partitions)
            except UnstableOffsets:
                waited = self._clock.monotonic() - began
                if waited > PATIENCE:
                    raise kafka.KafkaTimeoutError(f"a transaction has been open for {waited:.0f} s") from None
                if waited > TELL_AFTER and waited - told > TELL_EVERY:
                    told = waited
                    log.warning(
                        "group %r: its offsets are part of a transaction that has not ended for %.0f s; waiting for it",
                        self._coordinator.group_id,
                        waited,
                    )
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _ask(self, partitions: Sequence[ForeignPartition]) -> dict[ForeignPartition, OffsetAndMetadata]:
        await self._coordinator.ensure_coordinator_known()
        response = await self._coordinator._send_req(FetchStableOffsets(self._coordinator.group_id, partitions))
        self._check(response.error_code)
        offsets: dict[ForeignPartition, OffsetAndMetadata] = {}
        for topic, found, _ in response.topics:
            for partition, offset, _, metadata, code, _ in found:
                if code == UNKNOWN_TOPIC:
                    continue
                self._check(code)
                if offset >= 0:
                    offsets[ForeignPartition(topic, partition)] = OffsetAndMetadata(offset, metadata)
        return offsets

    def _check(self, code: int) -> None:
        if code == 0:
            return
        if code == NOT_COORDINATOR:
            self._coordinator.coordinator_dead()
        raise kafka.for_code(code)(self._coordinator.group_id)
