"""An agent in one task: takes runs of rows and spreads them over its actors, records of one key always to the same."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

from streamz_actors.agents.actor import Actor, Behaviour
from streamz_actors.agents.channel import Channel
from streamz_actors.agents.columns import Given, GivenColumns
from streamz_actors.agents.lane import Lane
from streamz_actors.agents.outbox import Call, Outbox
from streamz_actors.agents.refusals import Refusals
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Context
from streamz_actors.dataflow.node import Leg, Operator, Place
from streamz_actors.dataflow.topics import Topic
from streamz_actors.types import TopicPartition

ROOM = 4_096
"""Unfinished rows at which an inbox takes no more."""


class Inbox(Operator, Leg):
    """`concurrency` actors over one input. They start with the first row and end with `stop`."""

    def __init__(
        self,
        behaviour: Behaviour,
        place: Place,
        states: Mapping[str, Any],
        topics: tuple[Topic[Any, Any], ...],
        calls: tuple[Call, ...],
        concurrency: int,
        *,
        channels: tuple[Channel[Any], ...] = (),
        eager: bool = False,
        given: Given | None = None,
    ) -> None:
        """`eager`: the place is woken by each event done. `given`: the stream that its yields make."""
        self._behaviour, self._place, self._states = behaviour, place, states
        self._topics, self._calls, self._channels = topics, calls, channels
        self._lanes = tuple(Lane(place.wake, self._passed) for _ in range(concurrency))
        self.width = concurrency
        self._unfinished = 0
        self._refusals = Refusals(f"agent {behaviour.name!r}", behaviour.on_error, place)
        for lane in self._lanes:
            lane.eager = eager
        self._given = given
        self._waiting: deque[Batch] = deque()
        """Rows of that stream for the node's children."""
        self._outboxes: list[Outbox] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def process(self, batch: Batch) -> None:
        if batch.raw_keys is not None:
            self._load(batch)
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._actor(lane).run(), name=self._behaviour.name) for lane in self._lanes
            ]
        self._unfinished += len(batch)
        if len(self._lanes) == 1:
            self._lanes[0].put(batch, range(len(batch)))
            return
        for lane, rows in self._spread(batch).items():
            lane.put(batch, rows)

    def _load(self, batch: Batch) -> None:
        """Where one table only has keys such as the events', handlers will look the events' own up in it."""
        keyed = [state for state in self._states.values() if state.spec.key_schema == batch.key_schema]
        if len(keyed) == 1:
            keyed[0].logged.load(batch.raw_keys)

    def _actor(self, lane: Lane) -> Actor:
        place = self._place
        judge = self._refusals.judge
        context = Context(f"agent {self._behaviour.name!r}", place.partition, self._states, place.late, judge)

        def in_hand() -> tuple[Batch, int] | None:
            return (context.batch, context.index) if lane.busy and context.batch is not None else None

        given = None if self._given is None else GivenColumns(self._given, self._give)
        outbox = Outbox(self._topics, self._calls, self._channels, place.collector, in_hand, judge, given)
        self._outboxes.append(outbox)
        return Actor(self._behaviour, place, lane, outbox, context, judge)

    def _give(self, batch: Batch) -> None:
        self._waiting.append(batch)
        self._place.wake()

    @property
    def gives(self) -> bool:
        return bool(self._waiting)

    def take(self) -> Sequence[Batch]:
        taken, self._waiting = self._waiting, deque()
        return taken

    def _spread(self, batch: Batch) -> dict[Lane, list[int]]:
        """The rows of each lane: by a checksum of the key, those without a key by offset."""
        lanes, count = self._lanes, len(self._lanes)
        keys: Iterable[bytes | None] = batch.encoded_keys(batch.key_schema)
        spread: dict[Lane, list[int]] = {}
        for row, key in enumerate(keys):
            lane = lanes[(crc32(key) if key is not None else batch.offsets[row]) % count]
            rows = spread.get(lane)
            if rows is None:
                spread[lane] = [row]
            else:
                rows.append(row)
        return spread

    def unfinished(self) -> dict[TopicPartition, int]:
        lowest: dict[TopicPartition, int] = {}
        for lane in self._lanes:
            lane.lowest(lowest)
        for batch in self._waiting:
            lowest[batch.origin] = min(lowest.get(batch.origin, batch.offsets[0]), *batch.offsets)
        return lowest

    def pending(self) -> int:
        """Of many lanes it is not summed up: this is asked for several times in each turn."""
        return self._lanes[0].count if len(self._lanes) == 1 else self._unfinished

    def _passed(self, rows: int) -> None:
        self._unfinished -= rows

    def room(self) -> bool:
        return self.pending() < ROOM

    def _keeps(self) -> bool:
        """Whether yields for the operators behind have not left their outbox yet: they do at the end of the turn."""
        return self._given is not None and any(outbox.holding for outbox in self._outboxes)

    def idle(self) -> bool:
        return not self._keeps() and all(
            lane.waiting or not lane.count or task.done() for lane, task in zip(self._lanes, self._tasks, strict=False)
        )

    def drain(self) -> None:
        for lane in self._lanes:
            lane.close()

    def freeze(self) -> None:
        for outbox in self._outboxes:
            outbox.frozen = True

    def resume(self) -> None:
        for outbox in self._outboxes:
            outbox.frozen = False
            outbox.flush()
        for lane in self._lanes:
            lane.open()

    def drained(self) -> bool:
        return not self._keeps() and self.stands()

    def in_hand(self) -> Sequence[tuple[TopicPartition, int]]:
        """The events that handlers work on now, by the first of each list: where they came from."""
        hands = (hand for lane in self._lanes for hand in lane.in_hand())
        return [(batch.origin, batch.offsets[rows[0]]) for batch, rows in hands if rows]

    @property
    def sequential(self) -> bool:
        return self.width == 1

    def keep_order(self) -> None:
        for lane in self._lanes:
            lane.orderly = True

    def stands(self) -> bool:
        return all(
            task.done() or lane.timer_waits or not lane.busy
            for lane, task in zip(self._lanes, self._tasks, strict=False)
        )

    def hurry(self, hurried: bool) -> None:
        for lane in self._lanes:
            lane.hurried = hurried
            lane.poke()

    def flush(self) -> None:
        for outbox in self._outboxes:
            outbox.flush()

    async def stop(self) -> None:
        for lane in self._lanes:
            lane.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
