"""State that lies about: it is offered as far as it goes, and removed when nobody has wanted it for long."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any, cast

import pytest

from streamz_actors import App
from streamz_actors.clock import ManualClock
from streamz_actors.dataflow.subtopologies import split
from streamz_actors.errors import BrokerUnavailable
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.tasks.shelves import Shelves, identities_of
from streamz_actors.transport.abc import Admin, TopicInfo
from streamz_actors.types import TopicPartition
from streamz_actors.worker.leftovers import FRESH, KEPT, LOOK, Leftovers
from streamz_actors.worker.provision import Provision
from tests.scenarios.support import turns, until

app = App("lying")
app.stream(app.topic("in", key_type=str, value_type=int, partitions=3)).group_by_key().count("counts")
unlogged = app.table("cached", key_type=str, value_type=int, changelog=False)
other = app.topic("other", key_type=str, value_type=int, partitions=1)


@app.agent(other, tables=[unlogged])
async def cache(stream: Any) -> None:
    async for key, value in stream.items():
        unlogged[key] = value


PROVISION = Provision(
    "cluster",
    {"lying-counts-changelog": TopicInfo("lying-counts-changelog", "id", 3)},
    tuple(split(app.frozen(), {}, 3)),
)
SUB = next(sub for sub in PROVISION.subs if sub.name == "in")


class Ends:
    """The changelog, from 100 to 200."""

    def __init__(self) -> None:
        self.down = False

    async def beginning_offsets(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        if self.down:
            raise BrokerUnavailable("nobody answers")
        return dict.fromkeys(places, 100)

    async def end_offsets(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 200)


class Folder:
    def __init__(self) -> None:
        self.backend, self.clock, self.ends = MemoryBackend(), ManualClock(), Ends()
        self.shelves = Shelves(self.backend)
        self.leftovers = Leftovers(self.backend, cast("Admin", self.ends), self.clock, self.shelves)

    def left(self, place: str, offset: int | None, identity: str | None = None) -> None:
        identities = {"counts": identity} if identity else identities_of(SUB, "cluster", PROVISION.topics)
        shelf = self.backend.open(place, identities)
        shelf.stores["counts"].write([(b"k", b"v")], offset)
        shelf.close()

    def open(self, partition: int) -> None:
        self.shelves.open(SUB, partition, PROVISION.cluster_id, PROVISION.topics, 0)

    async def pass_by(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while self.clock.advance_to_next(end):
            await turns(20)


@pytest.fixture
def folder() -> Folder:
    return Folder()


@pytest.fixture
async def watched(folder: Folder) -> AsyncIterator[Folder]:
    await folder.leftovers.find(PROVISION)
    watching = asyncio.create_task(folder.leftovers.watch())
    await turns(5)
    yield folder
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_what_was_left_counts_by_how_far_it_is_behind(folder: Folder) -> None:
    folder.left("in-0", 190)
    folder.left("in-1", 50)  # the log does not continue it any more
    folder.left("in-2", 190, identity="somebody else's")
    folder.left("gone-0", 190)
    await folder.leftovers.find(PROVISION)
    assert folder.leftovers.lags() == {("in", 0): 10, ("in", 1): 100, ("in", 2): 100}


async def test_of_several_places_the_best_counts(folder: Folder) -> None:
    for place, offset in (("in-0", 150), ("in-0@1", 199), ("in-0@2", 120)):
        folder.left(place, offset)
    await folder.leftovers.find(PROVISION)
    assert folder.leftovers.lags() == {("in", 0): 1}


async def test_what_somebody_opens_is_his(folder: Folder) -> None:
    folder.left("in-0", 200)
    folder.left("in-1", 200)
    await folder.leftovers.find(PROVISION)
    folder.open(0)
    held = folder.backend.open("in-1", {})
    assert folder.leftovers.lags() == {}
    held.close()
    assert folder.leftovers.lags() == {("in", 1): 0}


async def test_what_was_seen_long_ago_is_not_told(folder: Folder) -> None:
    folder.left("in-0", 200)
    await folder.leftovers.find(PROVISION)
    folder.clock.call_later(FRESH + 1, lambda: None)
    await folder.pass_by(FRESH + 1)
    assert folder.leftovers.lags() == {}


async def test_what_leaves_later_is_found_as_well(watched: Folder) -> None:
    watched.left("in-0", 180)
    await watched.pass_by(LOOK)
    assert watched.leftovers.lags() == {("in", 0): 20}


async def test_what_nobody_opens_for_long_is_removed(watched: Folder) -> None:
    for place in ("in-0", "in-1", "in-1@1", "gone-0"):
        watched.left(place, 180)
    watched.open(0)
    await watched.pass_by(KEPT)
    assert watched.backend.places() == ["gone-0", "in-0", "in-1", "in-1@1"]
    await watched.pass_by(2 * LOOK)
    await until(lambda: watched.backend.places() == ["in-0"])


async def test_what_was_opened_in_between_is_kept_for_as_long_again(watched: Folder) -> None:
    watched.left("in-0", 180)
    await watched.pass_by(KEPT - LOOK)
    shelf = watched.backend.open("in-0", {})
    await watched.pass_by(LOOK)
    shelf.close()
    await watched.pass_by(KEPT - LOOK)
    assert watched.backend.places() == ["in-0"]


async def test_what_no_changelog_could_bring_back_is_kept(watched: Folder) -> None:
    watched.left("other-0", 1)
    await watched.pass_by(KEPT + 3 * LOOK)
    assert watched.backend.places() == ["other-0"]


async def test_while_the_broker_does_not_answer_nothing_is_found_and_nothing_fails(
    watched: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    watched.left("in-0", 180)
    watched.ends.down = True
    await watched.pass_by(2 * LOOK)
    assert "nobody answers" in caplog.text
    watched.ends.down = False
    await watched.pass_by(LOOK)
    assert watched.leftovers.lags() == {("in", 0): 20}
