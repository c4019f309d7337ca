"""Agents in the middle of a stream and slow calls, while workers join, leave and die: nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App
from tests.scenarios.group import PARTITIONS, Flow, expire
from tests.scenarios.support import Site, turns, until


class Behind(Flow):
    """The numbers go through an agent and through slow calls, then they are counted and passed on. `pause` is how many
    turns of the loop a call takes.
    """

    def __init__(self, site: Site, pause: int, *, awaited: bool) -> None:
        super().__init__(site, "behind")
        self.pause, self.awaited = pause, awaited

    def app(self, worker: str) -> App:
        app = App(self.name)
        topic = app.topic("in", key_type=str, value_type=int, partitions=PARTITIONS)
        out = app.topic("out", key_type=str, value_type=int, partitions=PARTITIONS)

        async def through(stream: AgentStream[str, int]) -> AsyncIterator[int]:
            async for number in stream:
                if number % 3 == 0:
                    await asyncio.sleep(0)
                yield number

        async def call(number: int) -> int:
            for _ in range(self.pause):
                await asyncio.sleep(0)
            return number

        async def same(number: int) -> int:
            await asyncio.sleep(0)
            return number

        stream = app.stream(topic).through_agent(through, concurrency=2).map_async(call, concurrency=5)
        if self.awaited:
            stream = stream.map_values(same)
        stream.to(out)
        stream.group_by_key().count(name="counts")
        return app


class State(Behind):
    """The other way round: the numbers are counted, and behind that they go through the slow calls and the agent."""

    def app(self, worker: str) -> App:
        app = App(self.name)
        topic = app.topic("in", key_type=str, value_type=int, partitions=PARTITIONS)
        out = app.topic("out", key_type=str, value_type=int, partitions=PARTITIONS)

        async def call(number: int) -> int:
            for _ in range(self.pause):
                await asyncio.sleep(0)
            return number

        async def same(number: int) -> int:
            await asyncio.sleep(0)
            return number

        async def last(stream: AgentStream[str, int]) -> AsyncIterator[int]:
            async for number in stream:
                yield number

        grouped = app.stream(topic).group_by_key()
        grouped.count(name="counts")
        stream = grouped.reduce(lambda _, number: number, name="latest").to_stream().map_async(call, concurrency=5)
        if self.awaited:
            stream = stream.map_values(same)
        stream.through_agent(last).to(out)
        return app


@pytest.mark.parametrize("flow_of", [Behind, State])
@pytest.mark.parametrize("awaited", [False, True], ids=["", "awaited"])
@pytest.mark.parametrize("pause", [0, 1, 20])
async def test_whoever_comes_and_goes_in_order_everything_is_counted_once(
    pause: int, awaited: bool, flow_of: type[Behind]
) -> None:
    flow = flow_of(Site(), pause, awaited=awaited)
    first = await flow.join("first")
    flow.send(5)
    await turns(17)
    await flow.join("second")
    flow.send(5)
    await turns(9)
    await flow.join("third")
    flow.send(5)
    await turns(23)
    await flow.leave(first)
    flow.send(2)
    await until(lambda: sum(flow.shares()) == PARTITIONS)
    await flow.settle()
    flow.check_exact()
    await flow.end()


@pytest.mark.parametrize("flow_of", [Behind, State])
@pytest.mark.parametrize("pause", [0, 20])
async def test_what_a_dead_worker_had_in_hand_comes_again(pause: int, flow_of: type[Behind]) -> None:
    flow = flow_of(Site(), pause, awaited=False)
    first: Any = await flow.join("first")
    await flow.join("second")
    flow.send(6)
    await turns(15)
    await first.worker.commit()
    flow.send(3)
    await turns(10)
    await flow.kill(first)
    flow.send(1)
    await expire(flow.site)
    await until(lambda: sum(flow.shares()) == PARTITIONS)
    await flow.settle()
    flow.check_at_least_once()
    await flow.end()
