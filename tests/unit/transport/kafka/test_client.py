"""Torn connections: what aiokafka's callers hear of them, and how a consumer closes then."""

import asyncio
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from streamz_actors.transport.kafka.client import send
from streamz_actors.transport.kafka.consumer import close_fetcher


class Torn:
    """A stream's writer as uvloop has it once the other side has torn the connection."""

    def write(self, data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    def close(self) -> None:
        pass


async def test_a_write_into_a_torn_connection_is_a_connection_error_and_closes_it() -> None:
    connection = AIOKafkaConnection("localhost", 9092)
    connection._writer = Torn()
    with pytest.raises(KafkaConnectionError, match="localhost:9092 broken: unable to perform"):
        send(connection, ApiVersionRequest())
    assert not connection.connected()


async def test_every_connection_sends_so() -> None:
    assert AIOKafkaConnection.send is send


class Fetcher:
    """With requests that nobody has answered; it closes as aiokafka's does."""

    def __init__(self) -> None:
        self._pending_tasks: set[asyncio.Task[Any]] = {
            asyncio.create_task(asyncio.sleep(3600)) for _ in range(3)
        }
        self.requests = set(self._pending_tasks)

    async def close(self) -> None:
        for task in self._pending_tasks:
            task.cancel()
            await task


async def test_requests_that_nobody_has_answered_do_not_cancel_who_closes() -> None:
    fetcher = Fetcher()
    await close_fetcher(fetcher)
    assert all(request.cancelled() for request in fetcher.requests)
