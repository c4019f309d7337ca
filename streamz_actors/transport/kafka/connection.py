"""How to reach a cluster: the URL and the user's settings, sorted by which client takes them, and the first contact."""

import asyncio
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import create_conn
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.metadata import MetadataRequest

from streamz_actors.errors import BrokerUnavailable, ConfigError, TransportError
from streamz_actors.transport.kafka.errors import FOREIGN, reason, turned_away

DEFAULT_PORT = 9092
CONNECT_TIMEOUT = 5.0
"""Seconds that one address has to answer in."""

SHARED = {
    "request_timeout_ms",
    "retry_backoff_ms",
    "metadata_max_age_ms",
    "connections_max_idle_ms",
    "security_protocol",
    "ssl_context",
    "sasl_mechanism",
    "sasl_plain_username",
    "sasl_plain_password",
    "sasl_kerberos_service_name",
    "sasl_kerberos_domain_name",
    "sasl_oauth_token_provider",
}
"""Settings of every client: given for one of consumer and producer, they hold for all."""

DELIVERY_TIMEOUT_MS = 600_000
"""Ten minutes: for how long a producer tries to deliver a batch, whatever the brokers do (`delivery_timeout_ms`)."""

SSL_FILES = ("cafile", "capath", "cadata", "certfile", "keyfile", "password")
OURS = {
    "bootstrap_servers": "it is the address in the broker's URL",
    "client_id": "it is derived from the app's id",
    "group_id": "the group is the app's id",
    "group_instance_id": "it is a setting of its own",
    "auto_offset_reset": "it is a setting of its own",
    "enable_auto_commit": "offsets are committed when their records are done",
    "partition_assignment_strategy": "the assignor is the framework's own",
    "key_deserializer": "decoding is the topics' concern",
    "value_deserializer": "decoding is the topics' concern",
    "key_serializer": "encoding is the topics' concern",
    "value_serializer": "encoding is the topics' concern",
    "partitioner": "partitions are chosen before a record reaches the producer",
    "transactional_id": "it follows from processing_guarantee",
    "acks": "a delivery counts when all in-sync replicas have it",
    "loop": "the running loop is used",
    "api_version": "versions are negotiated",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the cluster is and what its clients are made with (aiokafka's names and values)."""

    servers: tuple[str, ...]
    shared: Mapping[str, Any] = field(default_factory=dict)
    consumer: Mapping[str, Any] = field(default_factory=dict)
    producer: Mapping[str, Any] = field(default_factory=dict)
    delivery_timeout_ms: int = DELIVERY_TIMEOUT_MS

    @classmethod
    def of(cls, url: str, consumer_config: Mapping[str, Any], producer_config: Mapping[str, Any]) -> "Profile":
        """Raises ConfigError for a malformed address, an unknown setting, or one that is not the user's to make."""
        consumer = checked("consumer_config", consumer_config, AIOKafkaConsumer)
        delivery = {"delivery_timeout_ms": DELIVERY_TIMEOUT_MS, **producer_config}["delivery_timeout_ms"]
        if not isinstance(delivery, int) or delivery <= 0:
            raise ConfigError(f"producer_config: delivery_timeout_ms={delivery!r} is not a positive number of ms")
        settings = {name: value for name, value in producer_config.items() if name != "delivery_timeout_ms"}
        producer = checked("producer_config", settings, AIOKafkaProducer)
        shared = {name: value for name, value in {**producer, **consumer}.items() if name in SHARED}
        if shared.get("security_protocol") in ("SSL", "SASL_SSL") and "ssl_context" not in shared:
            shared["ssl_context"] = create_ssl_context()
        return cls(servers(url), shared, own(consumer), own(producer), delivery)

    @property
    def address(self) -> str:
        return ",".join(self.servers)

    @property
    def delivery_timeout(self) -> float:
        """Seconds after which a producer gives up a batch that no broker has acknowledged or refused."""
        return self.delivery_timeout_ms / 1000

    @property
    def request_timeout(self) -> float:
        """Seconds that the broker has for one answer."""
        return float(self.shared.get("request_timeout_ms", 40_000)) / 1000


def servers(url: str) -> tuple[str, ...]:
    """The `host:port`s of `kafka://host:port,host:port`; the port is 9092 where none is given."""
    scheme, separator, rest = url.partition("://")
    addresses = rest.rstrip("/").split(",")
    if scheme != "kafka" or not separator or not all(addresses):
        raise ConfigError(f"broker {url!r} is not of the form kafka://host:port,host:port")
    return tuple(server(address.strip(), url) for address in addresses)


def server(address: str, url: str) -> str:
    host, colon, port = address.rpartition(":") if not address.endswith("]") else (address, "", "")
    if not colon:
        return f"{address}:{DEFAULT_PORT}"
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"broker {url!r}: {address!r} is not of the form host:port")
    return f"{host}:{port}"


def checked(setting: str, config: Mapping[str, Any], client: type) -> dict[str, Any]:
    """The settings as `client` takes them: ssl_cafile and its like become one ssl_context."""
    known = set(inspect.signature(client).parameters)
    files = {f"ssl_{name}": name for name in SSL_FILES}
    for name in config:
        if name in OURS:
            raise ConfigError(f"{setting}: {name!r} cannot be set here: {OURS[name]}")
        if name not in known and name not in files:
            raise ConfigError(f"{setting}: unknown setting {name!r}; aiokafka's {client.__name__} lists what there is")
    result = {name: value for name, value in config.items() if name not in files}
    given = {files[name]: value for name, value in config.items() if name in files}
    if given:
        try:
            result["ssl_context"] = create_ssl_context(**given)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{setting}: the ssl_* files cannot be used: {error}") from error
    return result


def own(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in SHARED}


async def probe(profile: Profile, client_id: str) -> None:
    """Returns when one broker has answered, security included; else raises BrokerUnavailable with each one's reason.

    Raises TransportError if one does not take us for who we are, or we do not trust it: that does not pass by itself.
    aiokafka's own first contact only logs why it failed.
    """
    reasons = []
    lasting = False
    for address in profile.servers:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await greet(profile, address, client_id)
            return
        except FOREIGN as error:
            reasons.append(f"{address}: {reason(error)}")
            lasting = lasting or turned_away(error)
        except ValueError as error:
            raise ConfigError(f"the connection's settings are wrong: {error}") from error
    if lasting:
        raise TransportError(f"no connection to Kafka at kafka://{profile.address} ({'; '.join(reasons)})")
    raise BrokerUnavailable(
        f"no Kafka broker answers at kafka://{profile.address} ({'; '.join(reasons)}). "
        "Is it running, is the address right, and do the security settings match it?"
    )


async def greet(profile: Profile, address: str, client_id: str) -> None:
    host, _, port = address.rpartition(":")
    untimed = ("metadata_max_age_ms", "connections_max_idle_ms", "retry_backoff_ms")
    settings = {name: value for name, value in profile.shared.items() if name not in untimed}
    connection = await create_conn(host.strip("[]"), int(port), client_id=client_id, **settings)
    try:  # a listener that wants a password tells its versions to anybody, and hangs up at the first other request
        await connection.send(MetadataRequest([]))
    finally:
        await connection.close()
