"""The `kafka://` transport: one profile of a cluster, and the clients that are made with it."""

from collections.abc import Mapping
from typing import Any

from streamz_actors.clock import Clock, SystemClock
from streamz_actors.errors import ConfigError
from streamz_actors.transport.abc import (
    Admin,
    Assignor,
    Consumer,
    GroupSettings,
    Listener,
    Producer,
    Reader,
    TransactionalProducer,
    Transport,
)
from streamz_actors.transport.kafka.admin import KafkaAdmin
from streamz_actors.transport.kafka.connection import Profile, probe
from streamz_actors.transport.kafka.consumer import KafkaConsumer
from streamz_actors.transport.kafka.errors import register_codes
from streamz_actors.transport.kafka.producer import KafkaProducer
from streamz_actors.transport.kafka.reader import KafkaReader
from streamz_actors.transport.kafka.transactions import KafkaTransactionalProducer

RESETS = ("earliest", "latest", "none")
OUT_OF_RANGE = ("reset", "raise")
CLIENT_ID = "streamz_actors"


class KafkaTransport(Transport):
    """`consumer_config` and `producer_config`: aiokafka's settings; those of the connection hold for every client."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        consumer_config: Mapping[str, Any] | None = None,
        producer_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises ConfigError for a malformed URL or a setting that does not exist."""
        self._profile = Profile.of(url, consumer_config or {}, producer_config or {})
        self._clock = clock or SystemClock()
        self._admin = KafkaAdmin(self._profile, CLIENT_ID, self._clock)

    async def start(self) -> None:
        register_codes()
        await probe(self._profile, CLIENT_ID)
        await self._admin.start()

    async def stop(self) -> None:
        await self._admin.stop()

    @property
    def admin(self) -> Admin:
        return self._admin

    def consumer(self, settings: GroupSettings, assignor: Assignor, listener: Listener) -> Consumer:
        if settings.auto_offset_reset not in RESETS:
            raise ConfigError(f"auto_offset_reset={settings.auto_offset_reset!r} is none of {', '.join(RESETS)}")
        if settings.on_out_of_range not in OUT_OF_RANGE:
            raise ConfigError(f"on_out_of_range={settings.on_out_of_range!r} is none of {', '.join(OUT_OF_RANGE)}")
        return KafkaConsumer(self._profile, settings, assignor, listener, self._clock)

    def reader(self, *, read_committed: bool = False) -> Reader:
        return KafkaReader(self._profile, CLIENT_ID, self._clock, read_committed)

    def producer(self, client_id: str) -> Producer:
        return KafkaProducer(self._profile, client_id, self._clock)

    def transactional_producer(
        self, client_id: str, transactional_id: str, *, timeout: float = 60.0
    ) -> TransactionalProducer:
        return KafkaTransactionalProducer(self._profile, client_id, self._clock, transactional_id, timeout)
