"""The requests that end a transaction, and those for stable offsets: what is asked again, where, and what is final."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition as ForeignPartition
from aiokafka import errors as kafka

from streamz_actors.clock import ManualClock
from streamz_actors.transport.abc import GroupMember
from streamz_actors.transport.kafka.ending import CommitOffsetsInTransaction, Ending, TxnOffsetCommitRequest_v3
from streamz_actors.transport.kafka.errors import UnstableOffsets, register_codes
from streamz_actors.transport.kafka.stable import PATIENCE, FetchStableOffsets, OffsetFetchRequest_v7, StableOffsets
from streamz_actors.types import TopicPartition

MEMBER = GroupMember("g", 3, "m", "i")
OK, NOT_COORDINATOR, CONCURRENT, EPOCH, GENERATION, UNSTABLE = 0, 16, 51, 47, 22, 88


@asynccontextmanager
async def running(clock: ManualClock) -> AsyncIterator[None]:
    """Time goes on whenever everybody waits."""

    async def move() -> None:
        while True:
            await asyncio.sleep(0)
            clock.advance_to_next(clock.monotonic() + 1)

    moving = asyncio.create_task(move())
    yield
    moving.cancel()


class Cluster:
    """Answers each request with the next of the given codes, or raises the next error."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[int, str]] = []
        self.lookups: list[str] = []

    async def coordinator_lookup(self, kind: int, key: str) -> int:
        self.lookups.append(key)
        return len(self.lookups)

    async def send(self, node: int, request: Any, **how: Any) -> Any:
        self.asked.append((node, type(request).__name__))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(request, CommitOffsetsInTransaction):
            return SimpleNamespace(topics=[("t", [(0, OK, {}), (1, answer, {})], {})])
        return SimpleNamespace(error_code=answer)


def ending(cluster: Cluster, clock: ManualClock, alive: Callable[[], bool] = lambda: True) -> Ending:
    manager = SimpleNamespace(transactional_id="tx", producer_id=7, producer_epoch=2)
    return Ending(SimpleNamespace(client=cluster, _txn_manager=manager), clock, alive)


@pytest.fixture
def clock() -> ManualClock:
    register_codes()
    return ManualClock()


async def test_an_end_is_asked_for_until_the_coordinator_says_yes(clock: ManualClock) -> None:
    cluster = Cluster(CONCURRENT, CONCURRENT, OK)
    async with running(clock):
        await ending(cluster, clock).end(True)
    assert cluster.asked == [(1, "EndTxnRequest")] * 3
    assert cluster.lookups == ["tx"]


@pytest.mark.parametrize("problem", [NOT_COORDINATOR, kafka.KafkaConnectionError(), kafka.NodeNotReadyError()])
async def test_a_coordinator_that_is_not_one_any_more_is_looked_up_again(
    clock: ManualClock, problem: int | Exception
) -> None:
    cluster = Cluster(problem, OK, OK)
    async with running(clock):
        await ending(cluster, clock).add_offsets({TopicPartition("t", 0): 1}, MEMBER)
    assert cluster.asked == [
        (1, "AddOffsetsToTxnRequest"),
        (2, "AddOffsetsToTxnRequest"),
        (3, "CommitOffsetsInTransaction"),
    ]
    assert cluster.lookups == ["tx", "tx", "g"]


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ((EPOCH,), kafka.InvalidProducerEpoch),
        ((OK, GENERATION), kafka.IllegalGenerationError),
        ((kafka.CorrelationIdError(),), kafka.CorrelationIdError),
    ],
)
async def test_what_will_not_change_is_raised(
    clock: ManualClock, answers: tuple[int | Exception, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await ending(Cluster(*answers), clock).add_offsets({TopicPartition("t", 0): 1}, MEMBER)


async def test_nothing_is_asked_again_for_a_producer_that_was_dropped(clock: ManualClock) -> None:
    cluster = Cluster(CONCURRENT)
    with pytest.raises(kafka.ConcurrentTransactions):
        await ending(cluster, clock, lambda: False).end(True)


def test_offsets_are_sent_with_the_members_place_in_its_group() -> None:
    offsets = {TopicPartition("t", 0): 5, TopicPartition("u", 1): 6, TopicPartition("t", 1): 7}
    request = CommitOffsetsInTransaction(("tx", 7, 2), offsets, MEMBER).build(TxnOffsetCommitRequest_v3)
    assert (request.group, request.generation, request.member_id, request.instance_id) == ("g", 3, "m", "i")
    assert request.topics == [("t", [(0, 5, -1, "", {}), (1, 7, -1, "", {})], {}), ("u", [(1, 6, -1, "", {})], {})]
    assert TxnOffsetCommitRequest_v3.SCHEMA.decode(BytesIO(request.encode()))[:3] == ("tx", "g", 7)


class Coordinator:
    """Of a group on aiokafka's side; answers with the next of the given codes, and offset 5 with the code 0."""

    group_id = "g"

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.dead = 0
        self.requests: list[FetchStableOffsets] = []

    async def ensure_coordinator_known(self) -> None: ...

    def coordinator_dead(self) -> None:
        self.dead += 1

    async def _send_req(self, request: FetchStableOffsets) -> Any:
        self.requests.append(request)
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        rows: Any = [(0, 5, -1, "note", code, {}), (1, -1, -1, "", OK, {})]
        return SimpleNamespace(error_code=OK, topics=[("t", rows, {})])


PARTITIONS = [ForeignPartition("t", 0), ForeignPartition("t", 1)]


async def test_stable_offsets_are_asked_for_until_the_transaction_has_ended(clock: ManualClock) -> None:
    coordinator = Coordinator(UNSTABLE, UNSTABLE, OK)
    async with running(clock):
        found = await StableOffsets(coordinator, clock).fetch(PARTITIONS)
    assert {partition: (offset.offset, offset.metadata) for partition, offset in found.items()} == {
        PARTITIONS[0]: (5, "note")
    }
    assert coordinator.requests[-1].build(OffsetFetchRequest_v7).require_stable is True


async def test_a_transaction_that_lasts_is_told_of_and_given_up_in_the_end(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with running(clock):
        with pytest.raises(kafka.KafkaTimeoutError):
            await StableOffsets(Coordinator(UNSTABLE), clock).fetch(PARTITIONS)
    assert clock.monotonic() > PATIENCE
    assert 1 < len(caplog.records) <= PATIENCE / 30 + 1
    assert "'g'" in caplog.text


async def test_another_error_of_a_group_is_raised_for_aiokafka_to_judge(clock: ManualClock) -> None:
    coordinator = Coordinator(NOT_COORDINATOR)
    with pytest.raises(kafka.NotCoordinatorForGroupError):
        await StableOffsets(coordinator, clock).fetch(PARTITIONS)
    assert coordinator.dead == 1
    assert UnstableOffsets.retriable
