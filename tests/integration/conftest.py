"""Fixtures of the tests that run on a real Kafka."""

from collections.abc import AsyncIterator

import pytest

from streamz_actors.transport.abc import Transport
from streamz_actors.transport.kafka.transport import KafkaTransport
from tests.kafka_server import kafka_url as kafka_url


@pytest.fixture
async def kafka(kafka_url: str) -> AsyncIterator[Transport]:
    """A started transport to it."""
    async with KafkaTransport(kafka_url) as transport:
        yield transport
