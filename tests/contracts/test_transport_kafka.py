"""The Kafka adapter keeps the transport contracts, on a real Kafka."""

from collections.abc import AsyncIterator

import pytest

from streamz_actors.transport.abc import Transport
from streamz_actors.transport.kafka.transport import KafkaTransport
from tests.contracts.group_contract import GroupContract
from tests.contracts.transport_contract import TransportContract
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
