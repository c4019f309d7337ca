"""Queries while workers really share an application: members of one group on one broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from streamz_actors.running import Running
from tests.scenarios.pair import COUNT, Total, home, shop
from tests.scenarios.support import Site, ended, until
from tests.unit.web.client import client

KEYS = [f"k{number:02}" for number in range(24)]


class Group:
    """Workers of one application, each as in a process of its own."""

    def __init__(self, site: Site, name: str) -> None:
        self.site, self.name = site, name
        self.workers: dict[str, tuple[Running, asyncio.Task[None]]] = {}

    async def join(self, name: str) -> Running:
        running, life = await self.site.begin(shop(), name=name, web_enabled=True)
        self.workers[name] = running, life
        await self.settle()
        return running

    async def leave(self, name: str) -> None:
        running, life = self.workers.pop(name)
        await ended(running, life, self.site.clock)
        await self.settle()

    async def settle(self) -> None:
        """Every partition is at one worker, which runs it."""
        runnings = [running for running, _ in self.workers.values()]
        await until(lambda: sum(len(running.worker.states("totals")) for running in runnings) == COUNT)
        await self.site.settle(*runnings)

    async def write(self, amount: int) -> None:
        running, _ = next(iter(self.workers.values()))
        for key in KEYS:
            running.worker.collector.send("orders", key.encode(), str(amount).encode(), 0, (), home(key))
        await self.settle()

    async def check(self, amount: int) -> None:
        """Every worker knows every key."""
        for running, _ in self.workers.values():
            found = await running.queries.many("totals", KEYS)
            assert [one and one.value for one in found] == [Total(amount)] * len(KEYS)
            assert {one.worker for one in found if one is not None} <= self.workers.keys()
            rows, cursor = await running.queries.entries("totals")
            assert ([row.key for row in rows], cursor) == (KEYS, None)
            assert await running.queries.get("totals", "nobody") is None


@pytest.fixture
async def group() -> AsyncIterator[Group]:
    group = Group(Site(), "shop")
    yield group
    for running, life in group.workers.values():
        await ended(running, life, group.site.clock)


async def test_keys_are_known_to_all_as_workers_come_and_go(group: Group) -> None:
    await group.join("a")
    await group.write(1)
    await group.check(1)
    await group.join("b")
    await group.check(1)
    await group.write(2)
    await group.check(2)
    await group.join("c")
    await group.check(2)
    await group.leave("a")
    await group.write(3)
    await group.check(3)
    await group.leave("c")
    await group.check(3)


async def test_every_worker_shows_the_same_cluster(group: Group) -> None:
    for name in ("a", "b"):
        await group.join(name)
    said = []
    async with AsyncExitStack() as opened:
        for running, _ in group.workers.values():
            asking = await opened.enter_async_context(client(running.worker.address))
            said.append((await asking.get("/v1/cluster")).json)
    assert [one.pop("worker") for one in said] == ["a", "b"]
    assert said[0] == said[1]
    owners = said[0]["subtopologies"][0]["owners"]
    assert sorted(owners) == ["a", "a", "b", "b"]
    tasks = {one["name"]: one["tasks"] for one in said[0]["workers"]}
    assert {name: len(names) for name, names in tasks.items()} == {"a": 2, "b": 2}
    for running, _ in group.workers.values():
        assert tasks[running.worker.name] == sorted(running.worker.tasks)


async def test_a_worker_without_partitions_answers_for_all(group: Group) -> None:
    for name in ("a", "b", "c", "d", "e"):
        await group.join(name)
    await group.write(7)
    assert any(running.worker.spare for running, _ in group.workers.values())
    await group.check(7)
