"""A topic that was made a moment ago need not be known to every broker yet."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError

from streamz_actors.clock import ManualClock
from streamz_actors.errors import TransportError
from streamz_actors.transport.kafka.admin import SETTLING, SINCE_3_6, UNKNOWN_TOPIC, KafkaAdmin, without
from streamz_actors.transport.kafka.connection import Profile


class Brokers:
    async def force_metadata_update(self) -> bool:
        return True


class Topic:
    """It is known from the `known`th time on that somebody asks."""

    def __init__(self, known: int) -> None:
        self.asked, self._known = 0, known

    async def ask(self) -> str:
        self.asked += 1
        if self.asked < self._known:
            raise UnknownTopicOrPartitionError
        return "known"


async def answer(topic: Topic) -> str:
    clock = ManualClock()
    admin = KafkaAdmin(Profile.of("kafka://nowhere:1", {}, {}), "test", clock)
    inner: Any = admin
    inner._client = Brokers()
    asking = asyncio.create_task(inner._patiently("asking", topic.ask, {UNKNOWN_TOPIC}))
    while not asking.done():
        await asyncio.sleep(0)
        clock.advance_to_next(clock.monotonic() + SETTLING)
    found: str = await asking
    return found


async def test_a_topic_that_is_about_to_be_known_is_waited_for() -> None:
    assert await answer(Topic(known=3)) == "known"


async def test_a_topic_that_nobody_knows_is_an_error_in_the_end() -> None:
    topic = Topic(known=1_000)
    with pytest.raises(TransportError, match="asking"):
        await answer(topic)
    assert topic.asked > 1


def test_what_an_old_broker_does_not_know_is_left_out_once() -> None:
    config = {"message.timestamp.after.max.ms": "9", "cleanup.policy": "compact"}
    topics = [("a", 1, -1, config), ("b", 1, -1, {"cleanup.policy": "delete"})]
    assert without(topics, SINCE_3_6)
    assert [settings for *_, settings in topics] == [{"cleanup.policy": "compact"}, {"cleanup.policy": "delete"}]
    assert not without(topics, SINCE_3_6)
