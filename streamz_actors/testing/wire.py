"""What lies between a simulated worker and its broker: requests take time, fail, get lost; those of the dead stay out.

    asked ──(held while the worker is paused)──▶ out ──▶ takes effect ──▶ answered ──(held while paused)──▶ told
                                                  │            └─ unanswered: an error though it took effect
                                                  └─ lost: an error, and no effect

The way of a request is carried by tasks of the wire's own, for who asked may be cancelled or die while it is out. All
choices come from one seeded source; times are those of the cluster's clock, which no worker's pause holds up.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, TypeVar

from streamz_actors.clock import ManualClock
from streamz_actors.errors import BrokerUnavailable, TransportError
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import TopicPartition

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Faults:
    """What a cluster's network does. Shares are of requests, from 0 to 1; times are in seconds of the cluster's clock.

    Fetches and sends are repeated by their clients, so for them a lost request only takes longer. Whoever commits or
    asks for offsets gets an error.
    """

    delay: float = 0.004
    """The longest usual way, there or back."""
    slow: float = 0.0
    """Share of ways that take longer: up to `stall`."""
    stall: float = 2.0
    lost: float = 0.0
    """Share that fails before the broker has it."""
    unanswered: float = 0.0
    """Share that takes effect and fails then: who asked cannot know."""
    late: float = 0.0
    """Share of commits that fail at once and take effect afterwards, if the broker still takes them."""
    repeated: float = 0.0
    """Share of commits that reach the broker twice."""
    refused: float = 0.0
    """Share of sends that fail for good, some of them though the records are there."""
    split: float = 0.0
    """Share of batches that come in parts."""


@dataclass(slots=True)
class Request(Generic[T]):
    what: str
    effect: Callable[[], Awaitable[T]]
    answer: "asyncio.Future[T]"
    failing: type[TransportError] | None
    """What it fails with where a client cannot repeat it; None: it can."""
    commits: bool


class Wire:
    """One worker's connection, for one of its lives. `note` gets a line for everything that takes effect or fails."""

    def __init__(self, clock: ManualClock, faults: Faults, random: Random, note: Callable[[str], None]) -> None:
        self.clock, self.faults, self.random, self.note = clock, faults, random, note
        self.dead = False
        self._passing = asyncio.Event()
        self._passing.set()
        self._lines: list[Line] = []

    # -- what is done to it

    def hold(self) -> None:
        """The worker stands still: nothing it asks goes out, no answer reaches it. What is out takes effect."""
        self._passing.clear()

    def release(self) -> None:
        self._passing.set()

    @property
    def held(self) -> bool:
        return not self._passing.is_set()

    def cut(self) -> None:
        """The worker is dead. Of what is out at this moment, some takes effect; nobody is told."""
        self.dead = True
        self._passing.set()
        for line in self._lines:
            line.clear()

    async def close(self) -> None:
        """Ends what is still on its way."""
        for line in self._lines:
            await line.close()

    # -- what it does

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not any(line.busy for line in self._lines)

    def line(self) -> "Line":
        line = Line(self)
        self._lines.append(line)
        return line

    async def standing(self) -> None:
        """Returns when the worker does not stand still, or is dead."""
        await self._passing.wait()

    async def passing(self) -> None:
        """As `standing`. Raises BrokerUnavailable in a dead one."""
        await self.standing()
        if self.dead:
            raise BrokerUnavailable("the process of this worker is dead")

    async def way(self) -> None:
        """One way, there or back."""
        faults, random = self.faults, self.random
        if self.chance(faults.slow):
            await self.clock.sleep(random.uniform(faults.delay, faults.stall))
        elif faults.delay:
            await self.clock.sleep(random.uniform(0.0, faults.delay))

    def chance(self, share: float) -> bool:
        return share > 0 and self.random.random() < share


class Line:
    """The requests of one connection: they reach the broker in their order, each when the one before is answered."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._queue: deque[Request[Any]] = deque()
        self._carrier: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._carrier is not None

    def put(
        self,
        what: str,
        effect: Callable[[], Awaitable[T]],
        failing: type[TransportError] | None = BrokerUnavailable,
        *,
        commits: bool = False,
    ) -> "asyncio.Future[T]":
        """Asks for something; the answer is what `effect` gives or raises, unless it fails on the way."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._wire.dead:
            answer.set_exception(BrokerUnavailable(f"{what}: the process of this worker is dead"))
            return answer
        self._queue.append(Request(what, effect, answer, failing, commits))
        if self._carrier is None:
            self._carrier = asyncio.create_task(self._carry(), name="wire")
        return answer

    def clear(self) -> "list[asyncio.Future[Any]]":
        """What is not out yet never goes out; gives the answers that will not come."""
        answers = [request.answer for request in self._queue]
        self._queue.clear()
        return answers

    async def settled(self) -> None:
        """Returns when nothing of it is out any more."""
        if self._carrier is not None:
            await asyncio.wait((self._carrier,))

    async def close(self) -> None:
        if self._carrier is not None:
            self._carrier.cancel()
            await self.settled()

    async def _carry(self) -> None:
        wire = self._wire
        try:
            while self._queue:
                await wire.standing()
                if not self._queue:  # cleared meanwhile
                    return
                await self._carry_one(self._queue.popleft())
        finally:
            self._carrier = None

    async def _carry_one(self, request: "Request[Any]") -> None:
        wire, faults = self._wire, self._wire.faults
        await wire.way()
        if await self._stays_out(request):
            return
        if request.commits and wire.chance(faults.late):
            await self._fail(request, "no answer")
            await wire.clock.sleep(wire.random.uniform(0.0, faults.stall))
        try:
            result = await request.effect()
        except TransportError as error:
            wire.note(f"{request.what}: {type(error).__name__}")
            await self._tell(request, error=error)
            return
        wire.note(request.what)
        if wire.chance(faults.unanswered):
            await self._fail(request, "no answer")
        await self._tell(request, result)

    async def _stays_out(self, request: "Request[Any]") -> bool:
        """Whether it never reaches the broker."""
        wire = self._wire
        lost = wire.chance(wire.faults.lost)
        if lost and request.failing is None:
            await wire.clock.sleep(wire.random.uniform(0.0, wire.faults.stall))  # the client sends it again
            lost = wire.dead
        if lost or (wire.dead and wire.chance(0.5)):
            await self._fail(request, "lost")
            return True
        return False

    async def _fail(self, request: "Request[Any]", how: str) -> None:
        if request.failing is not None:
            self._wire.note(f"{request.what}: {how}")
            await self._tell(request, error=request.failing(f"{request.what}: {how}"))

    async def _tell(self, request: "Request[Any]", result: Any = None, error: BaseException | None = None) -> None:
        """Nothing, if it was told something already."""
        await self._wire.way()
        await self._wire.standing()
        if self._wire.dead or request.answer.done():
            return
        if error is not None:
            request.answer.set_exception(error)
        else:
            request.answer.set_result(result)


def split_batches(wire: Wire, batches: list[RawBatch]) -> dict[TopicPartition, int]:
    """Lets only the first part of some come now; gives the positions at which their partitions go on.

    They come in the order of their partitions: that of a poll may differ between processes, which hash differently.
    """
    batches.sort(key=_place)
    positions: dict[TopicPartition, int] = {}
    for batch in batches:
        if len(batch) < 2 or not wire.chance(wire.faults.split):
            continue
        size = wire.random.randrange(1, len(batch))
        positions[_place(batch)] = batch.next_offset = batch.offsets[size]
        batch.keys, batch.values = batch.keys[:size], batch.values[:size]
        batch.timestamps, batch.offsets = batch.timestamps[:size], batch.offsets[:size]
        headers = batch.headers[:size] if batch.headers is not None else ()
        batch.headers = list(headers) if any(headers) else None
    return positions


def shown(offsets: Mapping[TopicPartition, int]) -> str:
    """Positions, in one order always."""
    return ", ".join(f"{place}: {offsets[place]}" for place in sorted(offsets))


def _place(batch: RawBatch) -> TopicPartition:
    return TopicPartition(batch.topic, batch.partition)
