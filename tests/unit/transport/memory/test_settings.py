"""Topic settings: Kafka's names, defaults and refusals."""

import pytest

from streamz_actors.errors import TransportError
from streamz_actors.transport.memory.settings import TopicSettings, check_name


def test_both_cleanup_policies_can_be_given() -> None:
    settings = TopicSettings.parse("t", {"cleanup.policy": "compact, delete"})
    assert (settings.compacts, settings.deletes) == (True, True)


def test_settings_without_effect_here_are_accepted_and_shown() -> None:
    assert TopicSettings.parse("t", {"segment.bytes": "1000"}).effective["segment.bytes"] == "1000"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cleanup.policy", "remove"),
        ("cleanup.policy", ""),
        ("message.timestamp.type", "now"),
        ("retention.ms", "-2"),
        ("retention.bytes", "1k"),
        ("delete.retention.ms", "-1"),
        ("max.message.bytes", "-1"),
        ("retention", "1"),
    ],
)
def test_what_kafka_would_refuse_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(TransportError, match=f"topic 'orders'.*{name}"):
        TopicSettings.parse("orders", {name: value})


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ä", "x" * 250])
def test_illegal_topic_names_are_refused(name: str) -> None:
    with pytest.raises(TransportError, match="a name has"):
        check_name(name)


def test_legal_topic_names_pass() -> None:
    check_name("app.Name_1-x")
