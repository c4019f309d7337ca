"""From a broker's URL to its transport. Nothing of an adapter is imported before its scheme asks for it."""

from collections.abc import Mapping
from typing import Any

from streamz_actors.clock import Clock
from streamz_actors.errors import ConfigError
from streamz_actors.transport.abc import Transport
from streamz_actors.transport.memory.broker import MemoryBroker


def make_transport(
    url: str,
    *,
    clock: Clock,
    consumer_config: Mapping[str, Any] | None = None,
    producer_config: Mapping[str, Any] | None = None,
    broker: MemoryBroker | None = None,
) -> Transport:
    """`kafka://host:port,host:port` or `memory://`; `broker` is the embedded broker to share, else there is a new one.

    Raises ConfigError for any other URL, and for client settings that do not exist.
    """
    scheme = url.partition("://")[0]
    if scheme == "memory":
        from streamz_actors.transport.memory.transport import MemoryTransport

        return MemoryTransport(broker, clock=clock)
    if scheme == "kafka":
        from streamz_actors.transport.kafka.transport import KafkaTransport

        return KafkaTransport(url, clock=clock, consumer_config=consumer_config, producer_config=producer_config)
    raise ConfigError(f"broker {url!r}: unknown scheme; use kafka://host:port,host:port or memory://")
