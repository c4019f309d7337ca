"""Tasks that come to a worker while it waits for the end of its transaction: what they send is in it, so they are."""

from streamz_actors import AgentStream, App
from streamz_actors.clock import ManualClock
from streamz_actors.tasks.task import TaskStatus
from streamz_actors.testing import Faults, TestCluster
from streamz_actors.types import partition_of

SLOW = -1
KEYS = [key for key in map(str, range(99)) if partition_of(key.encode(), 2) == 0]
OTHERS = [key for key in map(str, range(99)) if partition_of(key.encode(), 2) == 1]


class Slowly:
    """An application that counts and sends on what it gets, and takes three seconds for SLOW."""

    clock: ManualClock

    def app(self) -> App:
        app = App("arrivals")
        topic = app.topic("in", key_type=str, value_type=int, partitions=2)
        out = app.topic("out", key_type=str, value_type=int, partitions=1)
        counts = app.table("counts", key_type=str, value_type=int, default=int)

        @app.agent(topic, concurrency=4)
        async def send_on(stream: AgentStream[str, int]) -> None:
            async for key, number in stream.items():
                if number == SLOW:
                    await self.clock.sleep(3.0)
                counts[key] += 1
                await out.send(key=key, value=number)

        return app


async def test_what_a_task_sends_that_came_while_a_transaction_waited_is_committed_with_its_offsets() -> None:
    slowly = Slowly()
    async with TestCluster(
        slowly.app,
        workers=2,
        faults=Faults(delay=0.1),
        processing_guarantee="exactly_once",
        commit_interval=0.1,
        session_timeout=5.0,
    ) as cluster:
        slowly.clock = cluster.clock
        survivor, dying = (0, 1) if "in-1" in cluster.workers[0].worker.tasks else (1, 0)
        tasks = cluster.workers[survivor].worker.tasks
        await cluster.kill(dying)
        for number in range(5):
            await cluster.send("in", key=KEYS[0], value=number)
        while "in-0" not in tasks:
            await cluster.advance(0.01)
        for number, key in enumerate(OTHERS[:8], 5):
            await cluster.send("in", key=key, value=number)
        await cluster.send("in", key=OTHERS[8], value=SLOW)
        while tasks["in-0"].status is not TaskStatus.RUNNING or set(tasks["in-0"].positions.values()) != {5}:
            await cluster.advance(0.01)
        cluster.crash_at(survivor, "committed")
        while cluster.workers[survivor].alive:
            await cluster.advance(0.1)
        await cluster.restart(survivor)
        await cluster.settle()
        assert sorted(record.value for record in cluster.read("out")) == [SLOW, *range(13)]
