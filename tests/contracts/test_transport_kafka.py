"""The Kafka adapter keeps the transport contracts, on a real Kafka."""

from collections.abc import AsyncIterator, Mapping

import pytest

from streamz_actors.transport.abc import GroupMember, TransactionalProducer, Transport
from streamz_actors.transport.kafka.consumer import KafkaConsumer
from streamz_actors.transport.kafka.transactions import KafkaTransactionalProducer
from streamz_actors.transport.kafka.transport import KafkaTransport
from streamz_actors.types import TopicPartition
from tests.contracts.group_contract import GroupContract
from tests.contracts.transaction_contract import TransactionContract
from tests.contracts.transaction_contract import begin as begin
from tests.contracts.transaction_contract import careful as careful
from tests.contracts.transport_contract import TransportContract
from tests.contracts.transport_members import Member
from tests.kafka_server import kafka_url as kafka_url

pytestmark = pytest.mark.kafka


@pytest.fixture
async def transport(kafka_url: str) -> AsyncIterator[Transport]:
    async with KafkaTransport(kafka_url) as transport:
        yield transport


class TestKafkaTransport(TransportContract):
    """Topics, records, readers."""


class TestKafkaGroups(GroupContract):
    """Consumers."""

    async def kill(self, member: Member) -> None:
        assert isinstance(member.consumer, KafkaConsumer)

        async def say_nothing(*args: object) -> None:
            """To leave is not what the dead do."""

        member.consumer._consumer._coordinator._maybe_leave_group = say_nothing
        await member.consumer.stop()


class TestKafkaTransactions(TransactionContract):
    """Transactional producers."""

    async def add_offsets(
        self, producer: TransactionalProducer, offsets: Mapping[TopicPartition, int], member: GroupMember
    ) -> None:
        assert isinstance(producer, KafkaTransactionalProducer)
        assert producer._ending is not None
        await producer._ending.add_offsets(offsets, member)

    async def end(self, producer: TransactionalProducer) -> None:
        assert isinstance(producer, KafkaTransactionalProducer)
        assert producer._ending is not None
        await producer._ending.end(True)
