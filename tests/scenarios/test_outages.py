"""No broker answers for a while: the worker goes on when one does, with what it had, and nothing is lost or doubled."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.errors import BrokerUnavailable
from streamz_actors.transport.memory.consumer import MemoryConsumer
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended, turns, until


def counting() -> App:
    app = App("outage", store="rocksdb://")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    app.stream(topic).group_by_key().count("counts")
    return app


class Silence:
    """While it lasts, calls of the consumer get no answer; a commit may have been made all the same."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, made: bool = False) -> None:
        self.lasts = False
        self.calls = 0
        commit, committed = MemoryConsumer.commit, MemoryConsumer.committed

        async def silent_commit(
            consumer: MemoryConsumer,
            offsets: Mapping[TopicPartition, int],
            notes: Mapping[TopicPartition, str] | None = None,
        ) -> None:
            if made or not self.lasts:
                await commit(consumer, offsets, notes)
            self._check()

        async def silent_committed(consumer: MemoryConsumer, places: Any) -> dict[TopicPartition, int | None]:
            self._check()
            return await committed(consumer, places)

        monkeypatch.setattr(MemoryConsumer, "commit", silent_commit)
        monkeypatch.setattr(MemoryConsumer, "committed", silent_committed)

    def _check(self) -> None:
        if self.lasts:
            self.calls += 1
            raise BrokerUnavailable("no answer in time")


@pytest.mark.parametrize("made", [False, True], ids=["not made", "made all the same"])
@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "dies then"])
async def test_commits_without_an_answer_are_tried_again_and_tasks_go_on(
    made: bool, dies: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence, site, app = Silence(monkeypatch, made=made), Site("rocksdb://", tmp_path), counting()
    running, life = await site.begin(app)
    task = running.worker.tasks["in-0"]
    for number in range(6):
        running.collector.send("in", b"a", b"1", number)
        await site.settle(running)
        silence.lasts = number in (1, 2, 3)
        await running.worker.commit()
    assert silence.calls == 3
    assert running.worker.tasks["in-0"] is task
    assert site.committed("outage", "in") == 6
    silence.lasts = dies
    running.collector.send("in", b"a", b"1", 6)
    await site.settle(running)
    await running.worker.commit()
    if dies:
        running.worker.fail(RuntimeError("it dies"))
        with pytest.raises(RuntimeError):
            await life
        silence.lasts = False
    else:
        await ended(running, life, site.clock)
    again, life = await site.begin(app)
    await site.settle(again)
    assert again.worker.states("counts")[0].get("a") == 7
    await ended(again, life, site.clock)
    assert site.committed("outage", "in") == 7


async def later(site: Site) -> None:
    await turns(20)
    site.clock.advance_to_next(site.clock.monotonic() + 0.5)


async def test_an_assignment_that_comes_in_an_outage_is_carried_out_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    silence, site = Silence(monkeypatch), Site()
    silence.lasts = True
    running = site.worker(counting())
    life = asyncio.create_task(running.run())
    await until(lambda: silence.calls)
    while silence.calls < 4:
        await later(site)
    assert not running.worker.tasks
    silence.lasts = False
    while not running.worker.ready.is_set():
        await later(site)
    running.collector.send("in", b"a", b"1", 0)
    await site.settle(running)
    assert running.worker.states("counts")[0].get("a") == 1
    await ended(running, life, site.clock)
