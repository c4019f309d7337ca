"""Sends columns of records to Kafka in large batches: idempotent, acknowledged by all in-sync replicas."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from streamz_actors.clock import Clock
from streamz_actors.transport.abc import Delivery, Producer
from streamz_actors.transport.kafka.client import no_auto_creation
from streamz_actors.transport.kafka.connection import Profile, probe
from streamz_actors.transport.kafka.errors import FOREIGN, translate
from streamz_actors.transport.kafka.sending import Sending, abandon, check_columns, refused
from streamz_actors.types import Headers

START_TIMEOUT = 15.0
FLUSH_TIMEOUT = 5.0


class KafkaProducer(Producer):
    def __init__(self, profile: Profile, client_id: str, clock: Clock) -> None:
        self._profile = profile
        self._client_id = client_id
        self._clock = clock
        self._sending: Sending | None = None
        self._stopped = False

    async def start(self) -> None:
        producer = await started(self._profile, self._client_id, {})
        self._sending = Sending(producer, self._profile, self._clock, self._profile.delivery_timeout)

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        check_columns(keys, values, timestamps, headers)
        if self._sending is None or self._stopped:
            return refused(topic, partition, f"the producer {'is stopped' if self._stopped else 'was not started'}")
        return self._sending.send(topic, partition, keys, values, timestamps, headers)

    @property
    def pending(self) -> int:
        return self._sending.pending if self._sending is not None else 0

    async def flush(self) -> None:
        if self._sending is not None:
            await self._sending.flush()

    async def stop(self) -> None:
        sending = self._sending
        if sending is None or self._stopped:
            return
        self._stopped = True
        await flush_within(sending, FLUSH_TIMEOUT)
        await sending.close()


async def started(profile: Profile, client_id: str, settings: Mapping[str, Any]) -> Any:
    """An aiokafka producer, connected and with its producer id. Raises TransportError, most likely BrokerUnavailable.

    `settings` go before the user's.
    """
    await probe(profile, client_id)
    producer = AIOKafkaProducer(
        **{"enable_idempotence": True, **profile.shared, **profile.producer, **settings},
        bootstrap_servers=list(profile.servers),
        client_id=client_id,
        acks="all",
    )
    no_auto_creation(producer.client)
    try:
        async with asyncio.timeout(START_TIMEOUT):
            await producer.start()
    except FOREIGN as error:
        await abandon(producer)
        raise translate(error, f"starting a producer at {profile.address}") from error
    except asyncio.CancelledError:
        await abandon(producer)
        raise
    return producer


async def flush_within(sending: Sending, seconds: float) -> bool:
    """Whether nothing is pending after that."""
    try:
        async with asyncio.timeout(seconds):
            await sending.flush()
    except TimeoutError:
        return False
    return True
