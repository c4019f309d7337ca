"""State on this machine that nobody has open: what a task left here when it went, or a worker that is no more.

It counts as a copy when tasks are shared out, so that a worker that comes back gets its tasks back; and it is removed
when nobody has wanted it for long.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streamz_actors.clock import Clock
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import StateError, TransportError
from streamz_actors.stores.abc import Backend
from streamz_actors.tasks.shelves import Shelves, identities_of, task_of
from streamz_actors.transport.abc import Admin
from streamz_actors.types import TopicPartition
from streamz_actors.worker.provision import Provision

logger = logging.getLogger("streamz_actors.worker")

LOOK: Final = 60.0
"""Seconds between two looks at what there is."""
FRESH: Final = 2.5 * LOOK
"""Seconds for which what was seen is told: changelogs grow."""
KEPT: Final = 600.0
"""Seconds for which state that nobody opens is kept."""


@dataclass(frozen=True, slots=True)
class Leftover:
    sub: SubTopology
    partition: int
    place: str
    covered: Mapping[TopicPartition, int]
    """By changelog partition: the offset up to which it is here."""
    lag: int = 0


class Leftovers:
    """`shelves` has what is open here."""

    def __init__(self, backend: Backend, admin: Admin, clock: Clock, shelves: Shelves) -> None:
        self._backend, self._admin, self._clock, self._shelves = backend, admin, clock, shelves
        self.provision: Provision | None = None
        """What the broker and the topology say now."""
        self._found: list[Leftover] = []
        self._found_at = 0.0
        self._free_since: dict[str, float] = {}

    def lags(self) -> dict[tuple[str, int], int]:
        """By sub-topology and partition: how many records behind the best of what lies here is, as far as is known."""
        if self._clock.monotonic() - self._found_at > FRESH:
            return {}
        lags: dict[tuple[str, int], int] = {}
        open_ = self._shelves.names
        for found in self._found:
            task = found.sub.name, found.partition
            if task_of(found.place) not in open_ and not self._backend.held(found.place):
                lags[task] = min(found.lag, lags.get(task, found.lag))
        return lags

    async def find(self, provision: Provision) -> None:
        """Looks for what there is. Raises TransportError."""
        self.provision = provision
        tasks = {sub.task_name(n): (sub, n) for sub in provision.subs if _logged(sub) for n in range(sub.partitions)}
        found = []
        for place in self._free():
            if task_of(place) in tasks:
                found.append(self._read(place, *tasks[task_of(place)], provision))
                await asyncio.sleep(0)  # it takes some milliseconds
        self._found = await self._measured(found) if found else []
        self._found_at = self._clock.monotonic()

    def _free(self) -> list[str]:
        open_ = self._shelves.names
        return [p for p in self._backend.places() if task_of(p) not in open_ and not self._backend.held(p)]

    def _read(self, place: str, sub: SubTopology, partition: int, provision: Provision) -> Leftover:
        offsets = self._backend.covered(place, identities_of(sub, provision.cluster_id, provision.topics))
        covered = {
            TopicPartition(spec.changelog.name, partition): offsets.get(spec.name, 0)
            for spec in sub.stores
            if spec.changelog is not None
        }
        return Leftover(sub, partition, place, covered)

    async def _measured(self, found: Sequence[Leftover]) -> list[Leftover]:
        places = sorted({place for one in found for place in one.covered})
        begins, ends = await self._admin.beginning_offsets(places), await self._admin.end_offsets(places)

        def behind(place: TopicPartition, offset: int) -> int:
            continued = begins[place] <= offset <= ends[place]
            return ends[place] - (offset if continued else begins[place])

        return [
            Leftover(one.sub, one.partition, one.place, one.covered, sum(behind(*each) for each in one.covered.items()))
            for one in found
        ]

    async def watch(self) -> None:
        """Looks again and again, and removes what has been free for long, until it is cancelled."""
        while True:
            await self._clock.sleep(LOOK)
            provision = self.provision
            assert provision is not None, "it has looked once"
            try:
                await self._remove(keep=_unlogged(provision))
                await self.find(provision)
            except TransportError as error:
                logger.warning("what is left of state here was not looked at: %s", error)

    async def _remove(self, keep: set[str]) -> None:
        """What was free at each look of the last KEPT seconds; not what no changelog could bring back."""
        now = self._clock.monotonic()
        free = self._free()
        self._free_since = {place: self._free_since.get(place, now) for place in free if task_of(place) not in keep}
        for place, since in list(self._free_since.items()):
            if now - since < KEPT:
                continue
            try:
                await asyncio.to_thread(self._backend.destroy, place)
                logger.info("removed state that nobody has opened for %.0f minutes: %s", KEPT / 60, place)
            except StateError as error:
                logger.warning("state that nobody opens was not removed: %s", error)
            del self._free_since[place]


def _logged(sub: SubTopology) -> bool:
    """Whether there is anything in it of which a copy is a copy."""
    return any(spec.changelog is not None for spec in sub.stores)


def _unlogged(provision: Provision) -> set[str]:
    """The tasks of which something is in no changelog."""
    subs = [sub for sub in provision.subs if any(spec.changelog is None for spec in sub.stores)]
    return {sub.task_name(number) for sub in subs for number in range(sub.partitions)}
