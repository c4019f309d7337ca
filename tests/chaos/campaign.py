"""A campaign: workers of one application under one guarantee, a load, a schedule of what befalls them, a verdict."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from streamz_actors.errors import StreamzError
from streamz_actors.transport.abc import Transport
from tests.chaos.cluster import Cluster
from tests.chaos.places import Place
from tests.chaos.proxy import Cut
from tests.chaos.schedule import Cycle, Event, counted
from tests.chaos.subject import Subject
from tests.chaos.tables import differences
from tests.integration.crew import look
from tests.integration.kafka_contents import behind, places_of

LONGEST_STILL = 90.0
"""Seconds without anything committed, under load, after which the application counts as hung."""

LONGEST_FINISH = 180.0
"""Seconds that all that was sent may take to be done, once nothing happens any more."""


@dataclass
class Verdict:
    violations: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def stands(self) -> bool:
        return not self.violations


class Campaign:
    def __init__(
        self,
        subject: Subject,
        kafka: Transport,
        cluster: Cluster,
        places: Sequence[Place],
        say: Callable[[str], None],
        *,
        exact: bool,
    ) -> None:
        """`kafka` reaches the cluster past the proxies; `say` is given a line for each thing that happens."""
        self._subject, self._kafka, self._cluster, self._places = subject, kafka, cluster, places
        self._exact = exact
        self._began = time.monotonic()
        self._tell = say
        self._verdict = Verdict()

    async def run(self, cycles: Sequence[Cycle]) -> Verdict:
        """A violation ends it: what happened until then is in the logs, and the less came after it the better."""
        self._verdict.counts = counted(cycles)
        await self._subject.prepare(self._kafka)
        load = asyncio.create_task(self._subject.feed(self._kafka))
        try:
            await self._cycles(cycles)
            self._subject.finish()
            await load
            if self._verdict.stands:
                await self._conclude()
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        self._verdict.seconds = time.monotonic() - self._began
        return self._verdict

    async def _cycles(self, cycles: Sequence[Cycle]) -> None:
        for place in self._places[:-1]:
            place.start()
        await self._until_all_are_ready()
        await self._until_it_goes_on()
        for number, cycle in enumerate(cycles, start=1):
            if not self._verdict.stands:
                return
            self._say(f"cycle {number}: " + " and ".join(map(str, cycle.events)))
            await asyncio.gather(*(self._happen(event) for event in cycle.events))
            if cycle.settles:
                await self._until_all_are_ready()
            await self._until_it_goes_on()
            await asyncio.sleep(cycle.pause)
            self._look_for_dead()

    # -- what happens

    async def _happen(self, event: Event) -> None:
        match event.kind:
            case "kill" | "stop" | "zombie" | "cut-closed" | "cut-silent" | "cut-deaf":
                await self._befall(self._places[event.target], event)
            case "join":
                await self._join()
            case "cut-all":
                await self._cut(self._places, Cut.SILENT, event.seconds)
            case _:
                await self._befall_node(event)

    async def _befall(self, place: Place, event: Event) -> None:
        match event.kind:
            case "kill":
                place.kill()
                await asyncio.sleep(event.seconds)
                place.start()
            case "stop":
                self._wrong(await place.end())
                await asyncio.sleep(event.seconds)
                place.start()
            case "zombie":
                place.signal(signal.SIGSTOP)
                await asyncio.sleep(event.seconds)
                place.signal(signal.SIGCONT)
            case kind:
                await self._cut([place], Cut(kind.removeprefix("cut-")), event.seconds)

    async def _cut(self, places: Sequence[Place], how: Cut, seconds: float) -> None:
        for place in places:
            place.cut(how)
        await asyncio.sleep(seconds)
        for place in places:
            place.cut(Cut.OPEN)

    async def _join(self) -> None:
        last = self._places[-1]
        if last.taken:
            self._wrong(await last.end())
        else:
            last.start()

    async def _befall_node(self, event: Event) -> None:
        node = self._cluster.nodes[event.target]
        if event.kind == "broker-kill":
            node.kill()
        else:
            await node.stop()
        await asyncio.sleep(event.seconds)
        node.launch()
        await node.until_ready()

    # -- looking

    def _look_for_dead(self) -> None:
        for place in self._places:
            if place.taken:
                self._wrong(place.died())

    async def _until_it_goes_on(self) -> None:
        """Until something more of the sources is committed than at first."""
        before = await self._committed()

        async def more() -> bool:
            return await self._committed() > before

        if not await self._within(LONGEST_STILL, more):
            self._wrong(f"nothing was committed for {LONGEST_STILL:.0f} s")

    async def _until_all_are_ready(self) -> None:
        async def ready() -> bool:
            answers = [await look(f"{place.url}/readyz") for place in self._places if place.taken]
            return all(answers)

        if not await self._within(LONGEST_STILL, ready):
            self._wrong(f"not all were ready within {LONGEST_STILL:.0f} s")

    async def _committed(self) -> int:
        places = [place for topic in self._subject.sources for place in await places_of(self._kafka, topic)]
        committed = await self._kafka.admin.committed(self._subject.group, places)
        return sum(offset or 0 for offset in committed.values())

    async def _conclude(self) -> None:
        async def done() -> bool:
            return not await behind(self._kafka, self._subject.group, self._subject.sources)

        self._say(f"all is over; {self._subject} were sent")
        if not await self._within(LONGEST_FINISH, done):
            left = await behind(self._kafka, self._subject.group, self._subject.sources)
            return self._wrong(f"{left} records were not done {LONGEST_FINISH:.0f} s after the last event")
        urls = [place.url for place in self._places if place.taken]
        for difference in await differences(self._kafka, self._subject, urls):
            self._wrong(difference)
        for problem in await asyncio.gather(*(place.end() for place in self._places)):
            self._wrong(problem)
        for remark in await self._subject.remarks(self._kafka):
            self._say(remark)
        for violation in await self._subject.violations(self._kafka, exact=self._exact):
            self._wrong(violation)
        return None

    async def _within(self, seconds: float, true: Callable[[], Awaitable[bool]]) -> bool:
        """Workers that die meanwhile are a violation too, and end the waiting."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            with suppress(StreamzError):  # a broker is on its way: ask again
                if await true():
                    return True
            self._look_for_dead()
            if not self._verdict.stands:
                return True
            await asyncio.sleep(0.3)
        return False

    def _wrong(self, problem: str | None) -> None:
        if problem is not None:
            self._verdict.violations.append(problem)
            self._say(f"VIOLATION: {problem}")

    def _say(self, line: str) -> None:
        self._tell(f"{time.monotonic() - self._began:7.1f} {line}")
