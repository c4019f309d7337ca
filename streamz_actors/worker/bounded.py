"""A bounded run: to the end that the topics have when it starts, through every repartition topic, then it stops."""

from collections.abc import Iterable

from streamz_actors.dataflow.node import SourceNode
from streamz_actors.errors import UsageError
from streamz_actors.types import TopicPartition
from streamz_actors.worker.worker import Worker

LOOK = 0.05
"""Seconds between two looks at how far the tasks are."""


class Bounded:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def watch(self) -> None:
        """Stops the worker when everything that was there, and everything that came of it, is done.

        Raises UsageError where another worker of the application has part of the work.
        """
        worker = self._worker
        await worker.ready.wait()
        self._check_alone()
        internal = self._places(internal=True)
        await self._reach(self._places(internal=False))
        for _ in {place.topic for place in internal}:
            await self._reach(internal)
        worker.stop()

    def _places(self, *, internal: bool) -> list[TopicPartition]:
        provision = self._worker.provision
        assert provision is not None
        topics = {
            name
            for sub in provision.subs
            for node in sub.nodes
            if isinstance(node, SourceNode) and node.topic.internal == internal
            for name in node.topic.names
        }
        return [TopicPartition(name, number) for name in sorted(topics) for number in range(provision.counts[name])]

    async def _reach(self, places: Iterable[TopicPartition]) -> None:
        """Returns when every record that these partitions hold now is done, and what it sent has been delivered."""
        worker = self._worker
        ends = await worker.transport.admin.end_offsets(list(places))
        begins = await worker.transport.admin.beginning_offsets(list(places))
        wanted = {place: end for place, end in ends.items() if end > begins[place]}
        while not self._done(wanted):
            self._check_alone()
            await worker.clock.sleep(LOOK)

    def _check_alone(self) -> None:
        ownership = self._worker.members.ownership
        if ownership is not None and len(ownership.hosts) > 1:
            name = self._worker.spec.app_id
            raise UsageError(f"another worker of {name!r} is running: a bounded run needs its group for itself")

    def _done(self, wanted: dict[TopicPartition, int]) -> bool:
        worker = self._worker
        done = worker.assigned.begun | worker.committed
        for task in worker.tasks.values():
            done |= task.committable()
        reached = all(done.get(place, 0) >= end for place, end in wanted.items())
        return reached and worker.collector.idle and all(task.settled for task in worker.tasks.values())
