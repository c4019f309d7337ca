"""W2 as an agent with a table."""

from benchmarks.ours.base import INPUT, make_app, topic
from streamz_actors import AgentStream

app = make_app()
counts = app.table("counts", key_type=str, value_type=int, default=int)


@app.agent(topic(app, INPUT, bytes))
async def count(stream: AgentStream[str, bytes]) -> None:
    async for key, _ in stream.items():  # noqa: PERF102 - a stream, no dict
        counts[key] += 1
