"""A worker that is stopped while a handler is in the middle of something long: it says what comes again."""

import asyncio

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended, until


async def test_what_is_not_done_in_time_is_named(caplog: pytest.LogCaptureFixture) -> None:
    app = App("slow")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    begun = asyncio.Event()

    @app.agent(topic)
    async def crawl(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if value == 2:
                begun.set()
                await asyncio.Event().wait()

    site = Site()
    running, life = await site.begin(app)
    site.broker.append(TopicPartition("in", 0), [b"a"] * 3, [b"1", b"2", b"3"], [0] * 3, None)
    await until(begun.is_set)
    await ended(running, life, site.clock)
    said = "agent 'crawl' was not done with topic 'in', partition 0, offset 1 within 10 s: it comes again"
    assert said in caplog.text
    assert site.committed("slow", "in") == 1
