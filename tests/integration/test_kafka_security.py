"""A Kafka that asks for a password: every client gives it, and a wrong one is said in one clear message."""

from collections.abc import Iterator
from typing import Any

import pytest

from streamz_actors.errors import BrokerUnavailable, TransportError
from streamz_actors.transport.abc import GroupSettings, TopicSpec
from streamz_actors.transport.kafka.transport import KafkaTransport
from tests.contracts.transport_members import START, Member, Names, turns_until
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

LOGIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="admin" password="of-the-broker" user_admin="of-the-broker" user_alice="of-alice";'
)


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    settings = {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": LOGIN,
    }
    server = KafkaServer(*(f"--set={name}={value}" for name, value in settings.items()))
    yield server.url
    server.stop()


def login(password: str) -> dict[str, Any]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "alice",
        "sasl_plain_password": password,
    }


async def test_settings_given_once_are_used_by_all_clients(guarded: str) -> None:
    names = Names()
    topic = names("topic")
    async with KafkaTransport(guarded, consumer_config=login("of-alice")) as transport:
        await transport.admin.create([TopicSpec(topic, 1)])
        producer = transport.producer("p")
        await producer.start()
        await producer.send(topic, 0, [None], [b"value"], [START])
        await producer.stop()
        member = Member(transport, GroupSettings(names("group"), "a"))
        await member.consumer.start([topic])
        await turns_until(lambda: bool(member.rows), member)
        await member.consumer.stop()


@pytest.mark.parametrize(
    ("config", "message", "lasting"),
    [
        (login("wrong"), "sasl_", True),
        ({"security_protocol": "SSL"}, "security settings", False),  # it hangs up, as one does that is just stopping
        ({}, "security settings", False),
    ],
    ids=["wrong password", "TLS", "none"],
)
async def test_without_the_right_password_the_start_fails_with_the_reason(
    guarded: str, config: dict[str, Any], message: str, lasting: bool
) -> None:
    with pytest.raises(TransportError, match=message) as caught:
        await KafkaTransport(guarded, consumer_config=config).start()
    assert isinstance(caught.value, BrokerUnavailable) is not lasting
    assert "\n" not in str(caught.value)
