"""The embedded broker keeps the transport contracts."""

from collections.abc import AsyncIterator

import pytest

from streamz_actors.transport.abc import Transport
from streamz_actors.transport.memory.transport import MemoryTransport
from tests.contracts.group_contract import GroupContract
from tests.contracts.transport_contract import TransportContract


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with MemoryTransport() as transport:
        yield transport


class TestMemoryTransport(TransportContract):
    """Topics, records, readers."""


class TestMemoryGroups(GroupContract):
    """Consumers."""
