"""The application of test_dlq.py. Negative orders are what it can't do, unless REPAIRED is set."""

import os
from collections.abc import AsyncIterator
from typing import Any

from streamz_actors import App, DeadLetter, Retry

app = App("poisoned", on_error=DeadLetter())
orders = app.topic("poisoned-in", key_type=str, value_type=float, partitions=4)
bills = app.topic("poisoned-out", key_type=str, value_type=float, partitions=1)
totals = app.table("totals", key_type=str, value_type=float, default=float)


@app.agent(orders, sinks=[bills], tables=[totals], on_error=Retry(2, backoff=0.05, then=DeadLetter()))
async def charge(stream: Any) -> AsyncIterator[float]:
    async for account, amount in stream.items():
        totals[account] += amount
        if amount < 0 and not os.environ.get("REPAIRED"):
            raise ValueError(f"a negative order: {amount}")
        yield totals[account]
