"""W8: an agent that waits for I/O with every record, many at a time, those of one key in order."""

import asyncio
import os
from collections.abc import AsyncIterator

from benchmarks.ours.base import INPUT, OUTPUT, Order, make_app, topic

WAIT = float(os.environ["BENCH_WAIT"])

app = make_app()
orders = topic(app, INPUT, Order)
answers = topic(app, OUTPUT, int)


@app.agent(orders, sinks=[answers], concurrency=int(os.environ["BENCH_CONCURRENCY"]))
async def ask(stream: AsyncIterator[Order]) -> AsyncIterator[int]:
    async for order in stream:
        await asyncio.sleep(WAIT)
        yield order.id
