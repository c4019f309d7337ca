"""The application of test_workers_under_load.py. The value of a step is how many steps its key had before."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from streamz_actors import App

PARTITIONS = 8

app = App("stepping")
steps = app.topic("steps", key_type=str, value_type=int, partitions=PARTITIONS)
passed = app.topic("passed", key_type=str, value_type=int, partitions=PARTITIONS)

counted = app.table("counted", key_type=str, value_type=int, default=int)


@app.agent(steps, tables=[counted])
async def count(stream: Any) -> None:
    async for event in stream.events():
        counted[event.key] += 1


# Over a topic in between: what moves has an input that other tasks, on other workers, write.
tallied = app.stream(steps).group_by(lambda key, _: key, name="by-key", key_type=str).count(name="tallied")


@app.agent(steps, sinks=[passed], concurrency=4)
async def pass_on(stream: Any) -> AsyncIterator[int]:
    async for number in stream:
        if number % 8 == 0:
            await asyncio.sleep(0)  # lets the other three go first, if they may
        yield number
