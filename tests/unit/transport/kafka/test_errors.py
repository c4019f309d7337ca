"""Foreign errors in our words."""

import ssl

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka

from streamz_actors.errors import BrokerUnavailable, CommitError, OffsetOutOfRange, TransportError
from streamz_actors.transport.kafka import connection
from streamz_actors.transport.kafka.errors import FencedInstanceId, InvalidRecord, register_codes, translate


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (kafka.OffsetOutOfRangeError({TopicPartition("t", 1): 7}), OffsetOutOfRange, "reading: .*offset 7 of t-1"),
        (kafka.NoOffsetForPartitionError("t-1"), OffsetOutOfRange, "nothing is committed for t-1"),
        (kafka.KafkaConnectionError("refused"), BrokerUnavailable, "refused"),
        (kafka.RequestTimedOutError(), BrokerUnavailable, "REQUEST_TIMED_OUT"),
        (TimeoutError(), BrokerUnavailable, "no answer in time"),
        (ConnectionRefusedError(111, "refused"), BrokerUnavailable, "refused"),
        (ssl.SSLCertVerificationError("self-signed"), TransportError, "ssl_"),
        (ssl.SSLEOFError("it went away"), BrokerUnavailable, "ssl_"),
        (kafka.AuthenticationFailedError("no"), TransportError, "sasl_"),
        (kafka.TopicAuthorizationFailedError("t"), TransportError, r"\(t\); .*ACL"),
        (FencedInstanceId(), TransportError, "group_instance_id"),
        (kafka.CorruptRecordException("bad"), TransportError, "bad"),
    ],
)
def test_kind_and_message(error: BaseException, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        raise translate(error, "reading")
    assert type(caught.value) is kind


@pytest.mark.parametrize("refusal", [ssl.SSLCertVerificationError("untrusted"), kafka.AuthenticationFailedError("no")])
async def test_who_is_turned_away_by_one_broker_need_not_try_again(
    refusal: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(host: str, port: int, **settings: object) -> None:
        raise refusal if port == 2 else ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(connection, "create_conn", connect)
    with pytest.raises(TransportError, match=r"no connection to Kafka .*a:1: connection refused; b:2: ") as caught:
        await connection.probe(connection.Profile.of("kafka://a:1,b:2", {}, {}), "test")
    assert not isinstance(caught.value, BrokerUnavailable)


def test_our_own_errors_stay_themselves() -> None:
    error = CommitError("lost")
    assert translate(error, "reading") is error


def test_codes_that_aiokafka_does_not_know_are_known() -> None:
    register_codes()
    assert kafka.for_code(InvalidRecord.errno) is InvalidRecord
    assert kafka.for_code(3) is kafka.UnknownTopicOrPartitionError
