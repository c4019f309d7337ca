"""What is done in the group's name for a process that died."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from streamz_actors.cli.control import Place
from streamz_actors.cli.farewell import Farewell
from streamz_actors.errors import BrokerUnavailable, TransportError
from streamz_actors.transport.abc import GroupSettings, TopicSpec, Transport
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transport import MemoryTransport
from tests.contracts.transport_members import Member, turns_until


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, logger="streamz_actors.cli"):
        yield


async def test_the_member_leaves_and_its_producer_ends_nothing_any_more(caplog: pytest.LogCaptureFixture) -> None:
    broker = MemoryBroker()
    transport = MemoryTransport(broker)
    await transport.admin.create([TopicSpec("orders", 1)])
    member = Member(transport, GroupSettings("shop", "dead"))
    await member.consumer.start(["orders"])
    await turns_until(lambda: bool(member.owned), member)
    place = member.consumer.member
    producer = transport.transactional_producer("dead", "shop-dead")
    await producer.start()
    await producer.send("orders", 0, [b"k"], [b"v"], [1])
    await Farewell(lambda: MemoryTransport(broker))(2, Place("shop", place.member_id, None, "shop-dead"))
    assert broker.group("shop").members == []
    with pytest.raises(TransportError):
        await producer.commit({}, place)
    await producer.drop()
    await member.consumer.stop()
    assert sorted(caplog.messages) == [
        "process 2: fencing its producer 'shop-dead': done",
        "process 2: leaving group 'shop' for it: done",
    ]


class Unreachable(MemoryTransport):
    async def start(self) -> None:
        raise BrokerUnavailable("nobody answers")


async def test_a_broker_that_is_away_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    await Farewell(Unreachable)(2, Place("shop", "m-1"))
    assert caplog.messages == ["process 2: its group cannot be told: nobody answers; it finds out by itself"]


class Unwilling(MemoryTransport):
    async def fence(self, transactional_id: str) -> None:
        raise TransportError("no permission")


async def test_one_that_cannot_be_fenced_leaves_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    await Farewell(Unwilling)(2, Place("shop", "m-1", None, "t-1"))
    assert sorted(caplog.messages) == [
        "process 2: fencing its producer 't-1' failed: no permission",
        "process 2: leaving group 'shop' for it: done",
    ]


class Silent(MemoryTransport):
    async def start(self) -> None:
        await asyncio.Event().wait()


async def test_a_silent_broker_is_not_waited_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamz_actors.cli.farewell.PATIENCE", 0.0)
    connect: type[Transport] = Silent
    await Farewell(connect)(2, Place("shop", "m-1"))
    assert caplog.messages == ["process 2: its group is not told within 0 s; it finds out by itself"]
