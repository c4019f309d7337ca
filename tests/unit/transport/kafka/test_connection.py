"""What the broker's URL and the client settings become, and the first contact."""

import asyncio
import socket
from typing import Any

import pytest

from streamz_actors.clock import SystemClock
from streamz_actors.errors import BrokerUnavailable, ConfigError
from streamz_actors.transport.kafka import connection
from streamz_actors.transport.kafka.connection import Profile, probe
from streamz_actors.transport.kafka.transport import KafkaTransport
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.transport.select import make_transport


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("kafka://localhost:9092", ("localhost:9092",)),
        ("kafka://a,b:1234/", ("a:9092", "b:1234")),
        ("kafka://[::1]:9093, [::2]", ("[::1]:9093", "[::2]:9092")),
    ],
)
def test_addresses(url: str, servers: tuple[str, ...]) -> None:
    assert Profile.of(url, {}, {}).servers == servers


@pytest.mark.parametrize("url", ["kafka://", "kafka://a,,b", "kafka://a:x", "kafka://a:0", "kafka://:1", "kafka:a:1"])
def test_malformed_addresses(url: str) -> None:
    with pytest.raises(ConfigError, match="kafka"):
        Profile.of(url, {}, {})


def test_settings_of_the_connection_hold_for_every_client_and_the_others_for_one() -> None:
    profile = Profile.of(
        "kafka://a:1",
        {"security_protocol": "SASL_PLAINTEXT", "fetch_max_bytes": 1000},
        {"compression_type": "lz4", "sasl_mechanism": "PLAIN"},
    )
    assert profile.shared == {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
    assert (profile.consumer, profile.producer) == ({"fetch_max_bytes": 1000}, {"compression_type": "lz4"})


def test_tls_without_files_trusts_what_the_system_trusts() -> None:
    assert Profile.of("kafka://a:1", {"security_protocol": "SSL"}, {}).shared["ssl_context"].check_hostname


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"fetch_max_byte": 1}, "unknown setting 'fetch_max_byte'"),
        ({"group_id": "x"}, "'group_id' cannot be set here"),
        ({"ssl_cafile": "/does/not/exist"}, "ssl_"),
    ],
)
def test_settings_that_cannot_be(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Profile.of("kafka://a:1", config, {})


async def test_an_address_where_nobody_answers_is_named_with_the_reason() -> None:
    port = free_port()
    with pytest.raises(BrokerUnavailable, match=rf"kafka://127\.0\.0\.1:{port} .*refused"):
        await KafkaTransport(f"kafka://127.0.0.1:{port}").start()


async def test_a_server_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 0.05)
    hung_up = asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BrokerUnavailable, match="no answer in time"):
            await probe(Profile.of(f"kafka://127.0.0.1:{port}", {}, {}), "test")
        await hung_up.wait()


async def test_the_url_selects_the_transport() -> None:
    clock = SystemClock()
    broker = MemoryBroker(clock)
    embedded = make_transport("memory://", clock=clock, broker=broker)
    assert isinstance(embedded, MemoryTransport)
    assert embedded.broker is broker
    assert isinstance(make_transport("kafka://a:1", clock=clock), KafkaTransport)
    with pytest.raises(ConfigError, match="amqp"):
        make_transport("amqp://a:1", clock=clock)


def test_the_time_for_a_delivery_is_ours_and_not_aiokafkas() -> None:
    profile = Profile.of("kafka://a:1", {}, {"delivery_timeout_ms": 90_000, "linger_ms": 5})
    assert (profile.delivery_timeout, profile.producer) == (90.0, {"linger_ms": 5})
    assert Profile.of("kafka://a:1", {}, {}).delivery_timeout == 600.0


@pytest.mark.parametrize("wrong", [0, -1, "60000", 1.5])
def test_a_time_for_a_delivery_is_a_positive_number_of_milliseconds(wrong: object) -> None:
    with pytest.raises(ConfigError, match="delivery_timeout_ms"):
        Profile.of("kafka://a:1", {}, {"delivery_timeout_ms": wrong})
