"""W9: `map_async` over I/O that takes its time, many calls at once, those of one key in order."""

import asyncio
import os

from benchmarks.ours.base import INPUT, OUTPUT, Order, make_app, topic

WAIT = float(os.environ["BENCH_WAIT"])
CONCURRENCY = int(os.environ["BENCH_CONCURRENCY"])


async def ask(order: Order) -> int:
    await asyncio.sleep(WAIT)
    return order.id


app = make_app()
app.stream(topic(app, INPUT, Order)).map_async(ask, concurrency=CONCURRENCY).to(topic(app, OUTPUT, int))
