"""A commit that had no answer and arrives later, while the worker looks where it stands: nothing is counted twice."""

from collections.abc import Callable, Collection, Mapping

from streamz_actors import AgentStream, App
from streamz_actors.errors import CommitError
from streamz_actors.transport.abc import Assignor, Consumer, GroupSettings, Listener
from streamz_actors.transport.memory.consumer import MemoryConsumer
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended


class LateConsumer(MemoryConsumer):
    """Its `late`th commit fails, and takes effect when notes are asked for next."""

    late = 0
    arrives: Callable[[], None] | None = None

    async def commit(
        self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str] | None = None
    ) -> None:
        self.late -= 1
        if self.late != 0:
            await super().commit(offsets, notes)
            return
        self.arrives = lambda: self._group.offsets.commit(offsets, notes or {})
        raise CommitError("no answer")

    async def notes(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, str]:
        arrives, self.arrives = self.arrives, None
        if arrives is not None:
            arrives()
        return await super().notes(partitions)


class LateTransport(MemoryTransport):
    made: LateConsumer

    def consumer(self, settings: GroupSettings, assignor: Assignor, listener: Listener) -> Consumer:
        self.made = LateConsumer(self.broker, settings, assignor, listener)
        return self.made


async def test_a_commit_that_arrives_between_two_questions_counts_nothing_twice() -> None:
    site = Site()
    app = App("late")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    counts = app.table("counts", key_type=str, value_type=int, default=int)

    @app.agent(topic)
    async def count(stream: AgentStream[str, int]) -> None:
        async for key, _ in stream.items():  # noqa: PERF102  # no dict
            counts[key] += 1

    transport = LateTransport(site.broker)
    running, life = await site.begin(app, transport=transport)
    for number in range(3):
        for _ in range(5):
            topic.send_soon(key="a", value=number)
        await site.settle(running)
        transport.made.late = 1 if number == 1 else 0
        await running.worker.commit()
        await site.settle(running)
    found = dict(running.worker.states("counts")[0].items())
    await ended(running, life, site.clock)
    assert found == {"a": 15}
    assert site.committed("late", "in") == 15
