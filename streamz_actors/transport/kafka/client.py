"""aiokafka's low-level client: for our own requests, or the one inside another client.

Kept from creating topics, with larger buffers, and with errors of torn connections that its callers expect.
"""

import asyncio
import random
from collections.abc import Collection
from typing import Any

from aiokafka import conn
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from streamz_actors.clock import Clock
from streamz_actors.transport.kafka.connection import Profile

conn.READER_LIMIT = 1 << 26
"""Bytes that a connection buffers before it stops reading from its socket: above the largest response of a fetch.

aiokafka's 64 KiB stop and start it many times within one response, each time with system calls and turns of the loop:
a sixth of what reading costs. There is never more under way than the one response that was asked for.
"""

_send = AIOKafkaConnection.send


def send(connection: Any, request: Any, expect_response: bool = True) -> Any:
    """AIOKafkaConnection.send, which lets uvloop's answer to a write into a torn connection through: no OSError."""
    try:
        return _send(connection, request, expect_response)
    except KafkaError:
        raise
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"connection at {connection.host}:{connection.port} broken: {error}") from error


AIOKafkaConnection.send = send

PAUSE = 0.05
"""Seconds between two looks for a topic that is not there: a producer's sender would look 1,000 times in one."""

BOOTSTRAP = ("bootstrap", ConnectionGroup.DEFAULT)


def new_client(profile: Profile, client_id: str) -> Any:
    """A client for requests of our own; not connected yet."""
    return no_auto_creation(
        AIOKafkaClient(bootstrap_servers=list(profile.servers), client_id=client_id, **profile.shared)
    )


def no_auto_creation(client: Any) -> Any:
    """Makes `client` ask for metadata without having the broker create what it names.

    aiokafka always allows that: on a broker with auto.create.topics.enable, a deleted internal topic would come back,
    with default settings, for as long as some worker still knows its name.
    """

    async def update(cluster: Any, topics: Collection[str] | None) -> bool:
        answered = await update_metadata(client, cluster, topics)
        if answered and any(cluster.partitions_for_topic(topic) is None for topic in topics or ()):
            await asyncio.sleep(PAUSE)
        return answered

    client._metadata_update = update
    return client


class Hearing:
    """Notes when a broker last answered a client's request for records. `at` is in seconds of the monotonic clock."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self.at = clock.monotonic()
        self._clock = clock
        self._send = client.send
        client.send = self._noting

    async def _noting(self, node: int, request: Any, **how: Any) -> Any:
        response = await self._send(node, request, **how)
        if isinstance(request, FetchRequest):
            self.at = self._clock.monotonic()
        return response


async def update_metadata(client: Any, cluster: Any, topics: Collection[str] | None) -> bool:
    """What AIOKafkaClient._metadata_update does, but for the creation. False: no broker answered."""
    request = MetadataRequest(list(topics or ()), allow_auto_topic_creation=False)
    nodes: list[Any] = [broker.nodeId for broker in client.cluster.brokers()]
    random.shuffle(nodes)
    if BOOTSTRAP in client._conns:
        nodes.append(BOOTSTRAP[0])
    for node in nodes:
        try:
            metadata = await client.send(node, request)
        except KafkaError:
            continue
        if not metadata.brokers:
            return False
        cluster.update_metadata(metadata)
        if BOOTSTRAP in client._conns:
            client._conns.pop(BOOTSTRAP).close()
        return True
    cluster.failed_update(None)
    return False
