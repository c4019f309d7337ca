"""The broker and the local state of an application, for commands that look at them without a worker."""

from streamz_actors.clock import SystemClock
from streamz_actors.config import DEFAULT, Settings
from streamz_actors.errors import ConfigError
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.select import make_backend
from streamz_actors.transport.abc import Transport
from streamz_actors.transport.select import make_transport


def connected(settings: Settings) -> Transport:
    """Not started yet."""
    return make_transport(
        settings.broker,
        clock=SystemClock(),
        consumer_config=settings.consumer_config,
        producer_config=settings.producer_config,
    )


def backend_of(settings: Settings) -> Backend:
    return make_backend(settings.store_url, settings.data_dir, settings.app_id)


def on_kafka(settings: Settings, command: str) -> None:
    """Raises ConfigError where the broker lives and dies with a worker."""
    if settings.embedded:
        origin = settings.origins.get("broker", DEFAULT)
        raise ConfigError(
            f"app {command}: broker {settings.broker!r} ({origin}) is embedded in a worker, and keeps nothing; name a "
            "Kafka, such as --broker kafka://localhost:9092"
        )
