"""New partitions: what is shared out against what is known, and the leader's look at the topics."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.assignment.wire import Host, Ownership
from streamz_actors.clock import ManualClock
from streamz_actors.dataflow.subtopologies import split
from streamz_actors.errors import BrokerUnavailable
from streamz_actors.transport.abc import TopicInfo
from streamz_actors.types import TopicPartition
from streamz_actors.worker.growth import EVERY, Growth, outdated, unshared
from streamz_actors.worker.members import Membership
from streamz_actors.worker.provision import Provision
from tests.scenarios.support import turns


def provision(**counts: int) -> Provision:
    app = App("growth")
    for name in counts:
        app.stream(app.topic(name, key_type=str, value_type=int)).foreach(lambda key, value: None)
    topics = {name: TopicInfo(name, name, count) for name, count in counts.items()}
    return Provision("cluster", topics, tuple(split(app.frozen(), counts, 8)))


def shared(**counts: int) -> Ownership:
    return Ownership("me", (Host("me", ""),), {name: (0,) * count for name, count in counts.items()})


@pytest.mark.parametrize(
    ("ownership", "assigned", "expected"),
    [
        (shared(a=2, b=3), [("a", 1)], False),
        (shared(a=4, b=3), [], True),
        (shared(a=2, b=2), [], True),
        (shared(), [("a", 2)], True),
        (shared(), [("a", 1), ("unknown", 5)], False),
        (None, [], False),
    ],
)
def test_other_counts_than_its_own_make_a_provision_outdated(
    ownership: Ownership | None, assigned: list[tuple[str, int]], expected: bool
) -> None:
    places = [TopicPartition(topic, partition) for topic, partition in assigned]
    assert outdated(provision(a=2, b=3), ownership, places) == expected


def test_partitions_that_nobody_was_given_are_found() -> None:
    known = provision(a=2, b=3)
    assert unshared(known, shared(a=2, b=3), {"a": 2, "b": 3}) == []
    assert unshared(known, shared(a=2, b=3), {"a": 4, "b": 3}) == ["a"]
    assert unshared(known, shared(), {"a": 4}) == []
    assert unshared(known, None, {"a": 4}) == []


class Broker:
    """The topics, as an admin client sees them."""

    def __init__(self, **counts: int) -> None:
        self.counts: Mapping[str, int] = counts
        self.error: Exception | None = None
        self.looks = 0

    async def describe(self, topics: Collection[str]) -> dict[str, TopicInfo]:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return {name: TopicInfo(name, name, self.counts[name]) for name in topics if name in self.counts}


class Watched:
    def __init__(self) -> None:
        self.clock, self.broker, self.rejoined = ManualClock(), Broker(a=2), 0
        self.members = Membership("me", self.rejoin, dict, lambda: None)
        self.members.consumer = self  # type: ignore[assignment]  # only `rejoin` is called
        self.members.ownership = shared(a=2)
        growth = Growth(self.broker, self.members, self.clock)  # type: ignore[arg-type]  # only `describe` is called
        self.watching = asyncio.create_task(growth.watch(provision(a=2)))

    async def rejoin(self) -> None:
        self.rejoined += 1

    async def look(self) -> None:
        await turns(5)
        end = self.clock.monotonic() + EVERY
        while self.clock.advance_to_next(end):
            await turns(5)


@pytest.fixture
async def watched() -> Any:
    watched = Watched()
    yield watched
    watched.watching.cancel()
    await asyncio.gather(watched.watching, return_exceptions=True)


async def test_the_leader_makes_the_group_rebalance_until_what_is_new_is_shared_out(watched: Watched) -> None:
    watched.members.leads.tell(leads=True)
    await watched.look()
    assert (watched.broker.looks > 0, watched.rejoined) == (True, 0)
    watched.broker.counts = {"a": 3}
    await watched.look()
    first = watched.rejoined
    assert first > 0
    await watched.look()
    assert watched.rejoined > first
    watched.members.ownership = shared(a=3)
    first = watched.rejoined
    await watched.look()
    assert watched.rejoined == first


async def test_the_others_do_not_look_and_nobody_does_in_a_rebalance(watched: Watched) -> None:
    await watched.look()
    watched.members.leads.tell(leads=True)
    watched.members.rebalancing = True
    await watched.look()
    assert watched.broker.looks == 0


async def test_a_look_that_fails_is_told_and_made_again(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    watched.members.leads.tell(leads=True)
    watched.broker.error = BrokerUnavailable("gone")
    await watched.look()
    assert "looking for new partitions failed, the next look comes soon: gone" in caplog.text
    watched.broker.error, watched.broker.counts = None, {"a": 3}
    await watched.look()
    assert watched.rejoined > 0
