"""The committed positions of one group, and those that open transactions will commit."""

import asyncio
from collections.abc import Callable, Collection, Mapping

from streamz_actors.types import TopicPartition


class Offsets:
    """Producers are the numbers of the transactions' coordinator."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, int] = {}
        self.notes: dict[TopicPartition, str] = {}
        """What was committed beside the positions, where that was something."""
        self._pending: dict[int, dict[TopicPartition, int]] = {}  # producer → what its open transaction holds
        self._watchers: dict[Callable[[], None], None] = {}  # a dict and not a set: woken in a fixed order

    def commit(self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]) -> None:
        self._set(offsets, notes)
        for pending in self._pending.values():  # the later one counts, whichever ends first
            for partition in offsets:
                pending.pop(partition, None)

    def _set(self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]) -> None:
        self.committed.update(offsets)
        for partition in offsets:
            self.notes.pop(partition, None)
        self.notes.update({partition: note for partition, note in notes.items() if note})

    def add(self, producer: int, offsets: Mapping[TopicPartition, int]) -> None:
        """They are committed, or not, when the producer's transaction ends."""
        self._pending.setdefault(producer, {}).update(offsets)

    def end(self, producer: int, committed: bool) -> None:
        offsets = self._pending.pop(producer, {})
        if committed:
            self._set(offsets, {})
        for watcher in tuple(self._watchers):
            watcher()

    def stable(self, partitions: Collection[TopicPartition]) -> bool:
        """Whether no open transaction holds an offset of these."""
        return not any(partition in pending for pending in self._pending.values() for partition in partitions)

    async def until_stable(self, partitions: Collection[TopicPartition]) -> None:
        changed = asyncio.Event()
        self.watch(changed.set)
        try:
            while not self.stable(partitions):
                changed.clear()
                await changed.wait()
        finally:
            self.unwatch(changed.set)

    def forget(self, topic: str) -> None:
        self.committed = {key: offset for key, offset in self.committed.items() if key.topic != topic}
        self.notes = {key: note for key, note in self.notes.items() if key.topic != topic}
        for pending in self._pending.values():
            for partition in [partition for partition in pending if partition.topic == topic]:
                del pending[partition]

    def watch(self, callback: Callable[[], None]) -> None:
        """Calls back whenever a transaction with offsets of this group ends, until `unwatch`."""
        self._watchers[callback] = None

    def unwatch(self, callback: Callable[[], None]) -> None:
        self._watchers.pop(callback, None)
