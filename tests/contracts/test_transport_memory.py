"""The embedded broker keeps the transport contracts."""

from collections.abc import AsyncIterator, Mapping

import pytest

from streamz_actors.transport.abc import GroupMember, TransactionalProducer, Transport
from streamz_actors.transport.memory.producer import MemoryTransactionalProducer
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.contracts.group_contract import GroupContract
from tests.contracts.transaction_contract import TransactionContract
from tests.contracts.transaction_contract import begin as begin
from tests.contracts.transaction_contract import careful as careful
from tests.contracts.transport_contract import TransportContract
from tests.contracts.transport_members import Member


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with MemoryTransport() as transport:
        yield transport


class TestMemoryTransport(TransportContract):
    """Topics, records, readers."""


class TestMemoryGroups(GroupContract):
    """Consumers."""

    shortest_session = 0.1

    async def kill(self, member: Member) -> None:
        """It polls no more."""


class TestMemoryTransactions(TransactionContract):
    """Transactional producers."""

    async def add_offsets(
        self, producer: TransactionalProducer, offsets: Mapping[TopicPartition, int], member: GroupMember
    ) -> None:
        assert isinstance(producer, MemoryTransactionalProducer)
        broker, ticket = producer._broker, producer._ticket
        assert ticket is not None
        broker.transactions.add_offsets(ticket, broker.group(member.group), offsets, member)

    async def end(self, producer: TransactionalProducer) -> None:
        assert isinstance(producer, MemoryTransactionalProducer)
        assert producer._ticket is not None
        producer._broker.transactions.end(producer._ticket, True)
