"""How far this worker is behind: in its partitions, whose ends the broker knows, and in its agents' inboxes."""

import asyncio
import logging
from collections.abc import Mapping

from streamz_actors.agents.channel import Channel
from streamz_actors.errors import TransportError
from streamz_actors.types import TopicPartition
from streamz_actors.worker.worker import Worker

logger = logging.getLogger("streamz_actors.web")

PATIENCE = 2.0
"""Seconds that the broker gets to answer."""

FRESH = 1.0
"""Seconds that an answer is good for."""


class Lag:
    """Records between what is done and the end, by source partition. The broker is asked once a second at the most."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._asked: float | None = None
        self._ends: Mapping[TopicPartition, int] | None = {}
        self._begins: dict[TopicPartition, int] = {}

    async def read(self) -> Mapping[TopicPartition, int] | None:
        """None if the broker doesn't say."""
        done = self.done()
        ends = await self._fresh(list(done))
        if ends is None:
            return None
        positions = {place: self._begins.get(place) if at is None else at for place, at in done.items()}
        return {place: max(0, ends[place] - at) for place, at in positions.items() if at is not None and place in ends}

    def done(self) -> dict[TopicPartition, int | None]:
        """The position below which every record is done; None where nothing is done or committed yet."""
        worker = self._worker
        done: dict[TopicPartition, int | None] = {}
        for task in worker.tasks.values():
            known = task.committable()
            done |= {place: known.get(place, worker.committed.get(place)) for place in task.partitions}
        return done

    async def _fresh(self, places: list[TopicPartition]) -> Mapping[TopicPartition, int] | None:
        worker = self._worker
        now = worker.clock.monotonic()
        known = self._ends is not None and all(place in self._ends for place in places)
        if known and self._asked is not None and now - self._asked < FRESH:
            return self._ends
        self._asked = now
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ask(places)
        except (TransportError, TimeoutError) as error:
            reason = str(error) or f"no answer within {PATIENCE:g} s"
            logger.warning("the broker does not say where its partitions end: %s", reason)
            self._ends = None
        return self._ends

    async def _ask(self, places: list[TopicPartition]) -> None:
        """A partition where nothing is done yet is read from its beginning, unless only what comes from now on is."""
        worker = self._worker
        self._ends = await worker.transport.admin.end_offsets(places) if places else {}
        new = [place for place in places if place not in self._begins]
        if worker.spec.settings.auto_offset_reset == "earliest" and new:
            self._begins |= await worker.transport.admin.beginning_offsets(new)


def pending(worker: Worker) -> dict[str, int]:
    """Records taken and not finished, of all tasks and channels together."""
    taken = {agent.name: 0 for agent in worker.spec.agents}
    for agent in worker.spec.agents:
        if isinstance(agent.source, Channel):
            taken[agent.name] = agent.source.unfinished()
    for task in worker.tasks.values():
        for name, leg in task.agents.items():
            taken[name] += leg.pending()
    return taken
