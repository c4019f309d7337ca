"""At-least-once: whatever happens to workers, and at whatever moment, no table counts a record twice or not at all.

Where tables are written by operators, so that what a record does to them is done at once. Handlers that write before
they await something are another matter (`docs/reference/guarantees.md`).
"""

from collections import Counter
from random import Random
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.testing import TestCluster
from streamz_actors.testing.wire import Faults

KEYS = 12
ACTS = ("crash", "crash", "kill", "pause", "resume", "resume", "restart", "restart", "stop", "add")
STEPS = ("taken", "delivered", "sent", "committed", "applied")
ROUGH = Faults(slow=0.02, stall=1.0, lost=0.01, unanswered=0.01, late=0.01, repeated=0.01, split=0.05)


def counting() -> App:
    """Two tables of each task: how often each key came, and how often with an odd number."""
    app = App("exact-state")
    topic = app.topic("in", key_type=str, value_type=int, partitions=3)
    out = app.topic("out", key_type=str, value_type=int, partitions=3)
    stream = app.stream(topic)
    app.stream(stream.group_by_key().count("all")).to(out)
    stream.filter(lambda key, value: value % 2 == 1).group_by_key().count("odd")
    return app


class Story:
    """What happens to a cluster, by a seed: often enough in the middle of a commit, a restore or a rebalance."""

    def __init__(self, cluster: TestCluster, chance: Random) -> None:
        self.cluster, self.chance = cluster, chance
        self.sent = 0

    async def feed(self) -> None:
        for _ in range(self.chance.randrange(30)):
            await self.cluster.send("in", key=f"k{self.chance.randrange(KEYS)}", value=self.sent)
            self.sent += 1

    async def happen(self) -> None:
        cluster, chance = self.cluster, self.chance
        await self.feed()
        standing = [worker.number for worker in cluster.workers if worker.standing]
        gone = [worker.number for worker in cluster.workers if not worker.alive]
        paused = [worker.number for worker in cluster.workers if worker.paused]
        match chance.choice(ACTS):
            case "crash" if standing:
                cluster.crash_at(chance.choice(standing), chance.choice(STEPS))
            case "kill" if standing:
                await cluster.kill(chance.choice(standing), keep_state=chance.random() < 0.5)
            case "pause" if standing:
                await cluster.pause(chance.choice(standing))
            case "resume" if paused:
                await cluster.resume(chance.choice(paused))
            case "restart" if gone:
                await cluster.restart(chance.choice(gone))
            case "add" if len(cluster.workers) < 4:
                await cluster.add()
            case "stop" if len(standing) > 1:
                await cluster.stop(chance.choice(standing))
        await self.feed()
        await cluster.advance(chance.choice([0.01, 0.2, 0.5, 1.0, 3.0, 15.0]))

    async def end(self) -> None:
        """All is well again."""
        self.cluster.heal()
        for worker in self.cluster.workers:
            if worker.paused:
                await self.cluster.resume(worker.number)
            elif not worker.alive:
                await self.cluster.restart(worker.number)
        await self.cluster.advance(30.0)
        await self.feed()
        await self.cluster.settle()


def truth(cluster: TestCluster) -> tuple[dict[str, int], dict[str, int]]:
    every: Counter[str] = Counter()
    odd: Counter[str] = Counter()
    for log in cluster.broker.topic("in").logs:
        raw = log.read(log.begin, 100_000)
        for key, value in zip(raw.keys, raw.values, strict=True) if raw is not None else ():
            name = (key or b"").decode()
            every[name] += 1
            odd[name] += int(value or b"0") % 2
    return dict(every), {key: count for key, count in odd.items() if count}


def found(cluster: TestCluster) -> tuple[dict[str, Any], dict[str, Any]]:
    return dict(cluster.table("all")), dict(cluster.table("odd"))


async def told(seed: int, faults: Faults, **settings: Any) -> None:
    chance = Random(f"{seed}/state")
    async with TestCluster(counting, workers=3, seed=seed, faults=faults, **settings) as cluster:
        story = Story(cluster, chance)
        for _ in range(10):
            await story.happen()
        await story.end()
        assert found(cluster) == truth(cluster)
        # Once more by whoever has nothing but the changelogs, with what compaction leaves of them.
        for name in ("exact-state-all-changelog", "exact-state-odd-changelog"):
            for log in cluster.broker.topic(name).logs:
                log.compact(cluster.clock.now())
        for worker in cluster.workers:
            await cluster.kill(worker.number, keep_state=False)
        for worker in cluster.workers:
            await cluster.restart(worker.number)
        await cluster.advance(30.0)
        await cluster.settle()
        assert found(cluster) == truth(cluster)


@pytest.mark.parametrize("seed", range(12))
async def test_workers_that_die_and_stand_still_anywhere(seed: int) -> None:
    await told(seed, Faults())


@pytest.mark.parametrize("seed", range(12))
async def test_and_a_network_that_loses_requests_and_answers(seed: int) -> None:
    await told(seed, ROUGH)
