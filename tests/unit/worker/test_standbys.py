"""Copies that are taken away while others are written."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Any

from streamz_actors.clock import SystemClock
from streamz_actors.errors import OffsetOutOfRange
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import TopicPartition
from streamz_actors.worker.standbys import Standbys

FIRST, SECOND = TopicPartition("totals-changelog", 0), TopicPartition("totals-changelog", 1)


class Copy:
    """Of one task with one table; it says when it is written, and does what it is told to do meanwhile."""

    def __init__(self, place: TopicPartition, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.name, self.place, self._meanwhile = f"task-{place.partition}", place, meanwhile
        self.copies = {place: SimpleNamespace(take=self._take)}
        self.sources: frozenset[TopicPartition] = frozenset()
        self.begun = self.gone = False
        self.lag = 0
        self.taken = 0
        self.written: list[int] = []
        """What had been taken in, each time."""

    def begin(self, begins: object, ends: object) -> None:
        self.begun = True

    def hear(self, ends: object, committed: object, notes: object) -> None:
        pass

    def rested(self) -> bool:
        return False

    def reads(self) -> dict[TopicPartition, int]:
        return {self.place: self.taken}

    def _take(self, raw: RawBatch) -> None:
        self.taken = raw.next_offset

    async def write(self, pause: Callable[[], Awaitable[None]]) -> None:
        assert not self.gone, "its stores are somebody else's, or closed"
        self.written.append(self.taken)
        if self.taken:
            self._meanwhile()
            await pause()


class Broker:
    """Transport, admin and reader in one: a record in each changelog, all of them in the first answer."""

    def __init__(self) -> None:
        self.admin = self
        self.answered, self.asked_again = False, asyncio.Event()

    async def end_offsets(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 1)

    async def beginning_offsets(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    def reader(self, *, read_committed: bool) -> "Broker":
        return self

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        pass

    async def poll(self, timeout: float) -> list[RawBatch]:
        if self.answered:
            self.asked_again.set()
            await asyncio.Event().wait()
        self.answered = True
        return [RawBatch(*place, [b"key"], [b"value"], [0], range(1), None, 1) for place in (FIRST, SECOND)]


def copies(broker: Any) -> Standbys:
    async def nothing() -> None:
        pass

    return Standbys(
        broker, SystemClock(), lambda: None, lambda: False, lambda: False, nothing, committed_only=True, patience=1.0
    )


async def followed(standbys: Standbys, broker: Any) -> "asyncio.Task[None]":
    """Their life, once it has ended or the broker is asked again."""
    life = asyncio.create_task(standbys.follow())
    again = asyncio.create_task(broker.asked_again.wait())
    await asyncio.wait({life, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    return life


async def test_a_copy_that_goes_while_another_is_written_is_not_written_any_more() -> None:
    broker: Any = Broker()
    standbys = copies(broker)
    second: Any = Copy(SECOND)
    first: Any = Copy(FIRST, lambda: standbys.take(second.name))
    standbys.add(first)
    standbys.add(second)
    life = await followed(standbys, broker)
    assert not life.done()
    assert (first.written[-1], second.written) == (1, [0])
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)


class Moving(Broker):
    """A broker whose logs begin elsewhere by the time they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.begin, self.positions = 0, dict[TopicPartition, int]()
        self.polls = 0

    async def beginning_offsets(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        found = dict.fromkeys(places, self.begin)
        self.begin = 1
        return found

    async def end_offsets(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 2)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self.positions = dict(positions)

    async def poll(self, timeout: float) -> list[RawBatch]:
        self.polls += 1
        assert self.polls < 10, "it asks again and again for what is gone"
        gone = {place: at for place, at in self.positions.items() if at < self.begin}
        if gone:
            raise OffsetOutOfRange("gone", gone)
        if self.positions == {FIRST: 2}:
            self.asked_again.set()
            await asyncio.Event().wait()
        self.positions[FIRST] = 2
        return [RawBatch(*FIRST, [b"key"], [b"value"], [0], range(1, 2), None, 2)]


async def test_a_copy_whose_log_begins_elsewhere_meanwhile_goes_on_from_there() -> None:
    broker: Any = Moving()
    standbys = copies(broker)
    copy: Any = Copy(FIRST)
    copy.begin = lambda begins, ends: vars(copy).update(begun=True, taken=max(copy.taken, begins[FIRST]))
    standbys.add(copy)
    life = await followed(standbys, broker)
    assert (copy.taken, copy.written[-1], life.done()) == (2, 2, False)
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
