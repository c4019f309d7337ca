"""The last known values of partitions that nobody can be asked for: copies on this machine, which may be behind.

    a task that is being restored here       what its store holds so far
    a task of which a standby is kept here   what that holds
    a task that was here before, or that     what is on disk (or, in memory, what was closed), opened read-only; of
    another process of this machine has      several places, the newest value of each key
"""

import asyncio
from collections.abc import Sequence

from streamz_actors.query.access import Access, Known, Place
from streamz_actors.query.wire import Held
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.logged import unstamp
from streamz_actors.tasks.shelves import places_of
from streamz_actors.tasks.state import identity
from streamz_actors.tasks.task import TaskStatus
from streamz_actors.worker.worker import Worker


class Copies:
    def __init__(self, worker: Worker, access: Access, backend: Backend) -> None:
        self._worker, self._access, self._backend = worker, access, backend
        self._one = asyncio.Lock()
        """Opening files read-only takes milliseconds of processor: one at a time leaves the other to the worker."""

    async def held(self, table: Known, partition: int, raws: Sequence[bytes]) -> list[Held | None] | None:
        """What the copy of a partition has under each key; None if there is no copy."""
        place = self._access.place(table)
        stored = None if place is None else await self._stored(place, partition, raws)
        return None if stored is None else [_held(partition, value) for value in stored]

    async def _stored(self, place: Place, partition: int, raws: Sequence[bytes]) -> list[bytes | None] | None:
        name = place.task(partition)
        task, standby = self._worker.tasks.get(name), self._worker.assigned.standbys.tasks.get(name)
        if task is not None and task.status is TaskStatus.RESTORING:
            # Not through its cache, which the restore writes past.
            return task.own[place.spec.name].logged.store.get_many(raws)
        if standby is not None:
            return standby.shelf.stores[place.spec.name].get_many(raws)
        provision = self._worker.provision
        assert provision is not None, "there are places once the topics are known"
        whose = identity(place.spec, provision.cluster_id, provision.topics)
        async with self._one:
            return await asyncio.to_thread(self._peek, name, place.spec.name, whose, raws)

    def _peek(self, task: str, store: str, whose: str, raws: Sequence[bytes]) -> list[bytes | None] | None:
        places = places_of(task, self._backend.places(task))
        found = [self._backend.peek(place, store, whose, raws) for place in places]
        copies = [copy for copy in found if copy is not None]
        return [max(filter(None, values), key=_time, default=None) for values in zip(*copies, strict=True)] or None


def _time(stored: bytes) -> int:
    return unstamp(stored)[0]


def _held(partition: int, stored: bytes | None) -> Held | None:
    if stored is None:
        return None
    timestamp, raw = unstamp(stored)
    return Held(partition, timestamp, raw, stale=True)
