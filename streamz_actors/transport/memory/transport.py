"""The `memory://` transport: clients of an embedded broker that transports of this process can share."""

from streamz_actors.clock import Clock
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
from streamz_actors.transport.memory.admin import MemoryAdmin
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.consumer import MemoryConsumer
from streamz_actors.transport.memory.producer import MemoryProducer, MemoryTransactionalProducer
from streamz_actors.transport.memory.reader import MemoryReader

RESETS = ("earliest", "latest", "none")
OUT_OF_RANGE = ("reset", "raise")


class MemoryTransport(Transport):
    """Without a `broker` it makes one of its own, which runs on `clock`; a given broker keeps its clock."""

    embedded = True

    def __init__(self, broker: MemoryBroker | None = None, *, clock: Clock | None = None) -> None:
        self.broker = broker if broker is not None else MemoryBroker(clock)
        self._admin = MemoryAdmin(self.broker)

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """The broker keeps its records for as long as somebody holds it."""

    @property
    def admin(self) -> Admin:
        return self._admin

    def consumer(self, settings: GroupSettings, assignor: Assignor, listener: Listener) -> Consumer:
        if settings.auto_offset_reset not in RESETS:
            raise ConfigError(f"auto_offset_reset={settings.auto_offset_reset!r} is none of {', '.join(RESETS)}")
        if settings.on_out_of_range not in OUT_OF_RANGE:
            raise ConfigError(f"on_out_of_range={settings.on_out_of_range!r} is none of {', '.join(OUT_OF_RANGE)}")
        return MemoryConsumer(self.broker, settings, assignor, listener)

    def reader(self, *, read_committed: bool = False) -> Reader:
        return MemoryReader(self.broker, read_committed)

    def producer(self, client_id: str) -> Producer:
        return MemoryProducer(self.broker)

    def transactional_producer(
        self, client_id: str, transactional_id: str, *, timeout: float = 60.0
    ) -> TransactionalProducer:
        return MemoryTransactionalProducer(self.broker, transactional_id, timeout)
