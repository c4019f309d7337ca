"""Whose attempts they are: each event has all of its own, also where several of one run fail."""

from streamz_actors import AgentStream, App, Retry
from tests.scenarios.support import Site, ended


async def test_events_of_one_run_that_fail_once_each_have_their_own_attempts() -> None:
    app = App("attempts")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    done: list[int] = []
    failed: set[int] = set()

    @app.agent(topic, on_error=Retry(1, backoff=0.0))
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            if value % 2 and value not in failed:
                failed.add(value)
                raise RuntimeError("not now")
            done.append(value)

    site = Site()
    running, life = await site.begin(app)
    for value in range(8):
        running.collector.send("in", b"a", b"%d" % value, 0)
    await site.settle(running)
    while site.clock.advance_to_next(site.clock.monotonic() + 1):
        await site.settle(running)
    assert done == list(range(8))
    await ended(running, life, site.clock)
