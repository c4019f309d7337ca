"""The growth of W2: counts by key in as many tables as are asked for; each key has its table."""

import os

from benchmarks.ours.base import INPUT, make_app, topic
from streamz_actors import AgentStream

TABLES = int(os.environ["BENCH_TABLES"])

app = make_app()
counts = [app.table(f"counts-{number}", key_type=str, value_type=int, default=int) for number in range(TABLES)]


@app.agent(topic(app, INPUT, bytes))
async def count(stream: AgentStream[str, bytes]) -> None:
    async for key, _ in stream.items():  # noqa: PERF102 - a stream, no dict
        counts[int(key[-2:]) % TABLES][key] += 1
