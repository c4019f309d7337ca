"""What no restart needs any more is deleted from internal topics, which have no retention limit by the broker's clock.

    a repartition topic            what is committed
    a changelog of a store that    what is older than what the store has erased, for good: its commit stands
    forgets with time

Of such a changelog the records before the first goes that is not older. All before that one are older too, and each
would come back as an entry that the store has erased: an entry's newest record has the time that its key begins with,
or a later one, and so has the stream time's. So nothing is lost that is not gone already.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from streamz_actors.concurrency import Background
from streamz_actors.dataflow.node import SourceNode
from streamz_actors.errors import TransportError
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import Admin
from streamz_actors.types import TopicPartition

logger = logging.getLogger("streamz_actors.worker")

EVERY: Final = 30
"""Commits between two purges."""

PARTS: Final = 8
"""Times are asked for in steps of this part of a retention: so changelogs keep that much more, and partitions of one
table can be asked about together.
"""

SLACK: Final = 1
"""Ms: a sliding window begins that much behind the record that makes it."""


class Purge:
    def __init__(self, admin: Admin, background: Background) -> None:
        self._admin, self._background = admin, background
        self._commits = 0
        self._purged: dict[TopicPartition, int] = {}
        """The offset below which each topic partition was emptied."""
        self._forgotten: dict[TopicPartition, int] = {}
        """By changelog partition: what is older was deleted; ms."""

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
        for time, ends in self._expired(tasks).items():
            self._forgotten |= dict.fromkeys(ends, time)
            self._background.start(self._forget(time, ends), "purge")

    async def _delete(self, before: Mapping[TopicPartition, int]) -> None:
        try:
            await self._admin.delete_records(before)
        except TransportError as error:
            _failed(error)
            for place in before:
                self._purged.pop(place, None)

    def _expired(self, tasks: Sequence[Task]) -> dict[int, dict[TopicPartition, int]]:
        """By time: the changelog partitions in which older records have become superfluous since they were deleted
        last, with the offset up to which they are committed.
        """
        found: defaultdict[int, dict[TopicPartition, int]] = defaultdict(dict)
        for state in [state for task in tasks for state in task.own.values()]:
            place = _changelog(state)
            if place is None or (time := oldest(state)) <= self._forgotten.get(place, 0):
                continue
            end = state.logged.store.offset
            if end is not None:
                found[time][place] = end
        return found

    async def _forget(self, time: int, ends: Mapping[TopicPartition, int]) -> None:
        """Deletes what is older. `ends`: where what is committed ends; what stands behind is judged by a restart."""
        try:
            found = await self._admin.offsets_at(ends, time)
            await self._admin.delete_records({place: min(found[place], end) for place, end in ends.items()})
        except TransportError as error:
            _failed(error)
            for place in ends:
                self._forgotten.pop(place, None)


def _failed(error: TransportError) -> None:
    logger.warning("records of internal topics were not deleted, the next commits try again: %s", error)


def _internal(task: Task) -> set[str]:
    return {
        name
        for node in task.sub.nodes
        if isinstance(node, SourceNode) and node.topic.internal
        for name in node.topic.names
    }


def _changelog(state: State) -> TopicPartition | None:
    """Of a store that forgets with time."""
    spec = state.spec
    if spec.retention is None or spec.changelog is None or spec.source:
        return None
    return TopicPartition(spec.changelog.name, state.partition)


def oldest(state: State) -> int:
    """Records of a store's changelog that are older than this are of what it has erased; ms, in steps."""
    step = max(1, (state.spec.retention or 0) // PARTS)
    return (state.logged.erased - SLACK) // step * step
