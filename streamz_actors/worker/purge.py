"""Repartition topics have no retention limit: a record is deleted once it is committed."""

import logging
from collections.abc import Mapping, Sequence

from streamz_actors.concurrency import Background
from streamz_actors.dataflow.node import SourceNode
from streamz_actors.errors import TransportError
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import Admin
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.worker")
EVERY = 30
"""Commits between two purges."""


class Purge:
    def __init__(self, admin: Admin, background: Background) -> None:
        self._admin, self._background = admin, background
        self._commits = 0
        self._purged: dict[TopicPartition, int] = {}

    def after(self, tasks: Sequence[Task], committed: Mapping[TopicPartition, int]) -> None:
        """Called after each commit; deletes beside the loop what every so many of them have made superfluous."""
        self._commits += 1
        if self._commits % EVERY:
            return
        done = {
            place: committed[place]
            for task in tasks
            for place in task.partitions
            if place.topic in _internal(task) and committed.get(place, 0) > self._purged.get(place, 0)
        }
        if done:
            self._purged |= done
            self._background.start(self._delete(done), "purge")

    async def _delete(self, before: Mapping[TopicPartition, int]) -> None:
        try:
            await self._admin.delete_records(before)
        except TransportError as error:
            logger.warning("records of repartition topics were not deleted, the next commits try again: %s", error)
            for place in before:
                self._purged.pop(place, None)


def _internal(task: Task) -> set[str]:
    return {
        name
        for node in task.sub.nodes
        if isinstance(node, SourceNode) and node.topic.internal
        for name in node.topic.names
    }
