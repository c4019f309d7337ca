"""Agents that iterate their stream more than once: no event is given out twice, none is left out."""

from collections.abc import AsyncIterator

from streamz_actors import AgentStream, App
from streamz_actors.testing import TestDriver


async def test_an_iteration_taken_up_again_goes_on_where_the_other_ended() -> None:
    app = App("twice")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    seen: list[tuple[str, int]] = []

    @app.agent(topic)
    async def alternate(stream: AgentStream[str, int]) -> None:
        first: AsyncIterator[int] = aiter(stream)
        second: AsyncIterator[tuple[str, int]] = aiter(stream.items())
        while True:
            seen.append(("value", await anext(first)))
            seen.append(("item", (await anext(second))[1]))

    async with TestDriver(app) as driver:
        for number in range(6):
            await driver.send("in", key="a", value=number)
    assert seen == [("value", 0), ("item", 1), ("value", 2), ("item", 3), ("value", 4), ("item", 5)]


async def test_an_event_counted_again_after_a_break_is_the_next_one() -> None:
    app = App("counted")
    topic = app.topic("in", key_type=str, value_type=str, partitions=1)
    seen: list[tuple[int, str]] = []
    note = seen.append

    @app.agent(topic)
    async def number(stream: AgentStream[str, str]) -> None:
        async for value in stream:
            note((-1, value))
            break
        async for pair in stream.enumerate(start=5):
            note(pair)

    async with TestDriver(app) as driver:
        for value in "abc":
            await driver.send("in", key="k", value=value)
    assert seen == [(-1, "a"), (5, "b"), (6, "c")]
