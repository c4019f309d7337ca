"""Runs a schedule, and says what does not hold at its end."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from tempfile import gettempdir
from unittest import mock

from streamz_actors.errors import UsageError
from streamz_actors.testing import TestCluster
from streamz_actors.worker import purge
from tests.simulation.cases import CASES, Found, Input, Pace
from tests.simulation.checks import Violation
from tests.simulation.schedules import Action, Schedule

MOST_WORKERS = 4
SESSION = 5.0
"""Seconds after which a worker is missed: what is simulated takes as long."""
LIMIT = 300.0
"""Seconds in which a cluster that nothing happens to any more must have done everything."""
PURGES = 1
"""Commits between two purges of internal topics: runs are short."""


@dataclass(slots=True)
class Outcome:
    schedule: Schedule
    violation: Violation | None = None
    trace: list[str] = field(default_factory=list)

    @property
    def invariant(self) -> str:
        return self.violation.invariant if self.violation is not None else ""


def simulate(schedule: Schedule) -> Outcome:
    """In an event loop of its own, without a log, and without the settings of the project in whose folder this is."""
    with silence(), chdir(gettempdir()), mock.patch.object(purge, "EVERY", PURGES):
        return asyncio.run(Run(schedule).outcome())


@contextmanager
def silence() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


class Run:
    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._case = CASES[schedule.case]
        self._given: list[Input] = []
        pace = Pace(schedule.seed)
        self._cluster = TestCluster(
            lambda: self._case.app(pace),
            workers=schedule.workers,
            seed=schedule.seed,
            faults=schedule.faults,
            commit_interval=schedule.commit_interval,
            session_timeout=SESSION,
            standby_replicas=schedule.standbys,
            processing_guarantee=schedule.guarantee,
        )
        pace.clock = self._cluster.clock

    async def outcome(self) -> Outcome:
        outcome = Outcome(self._schedule, trace=self._cluster.trace)
        try:
            await self._live()
        except Violation as violation:
            outcome.violation = violation
        except Exception as error:
            ended = isinstance(error, UsageError) and "come to rest" in str(error)
            outcome.violation = Violation("no end" if ended else "failed", f"{type(error).__name__}: {error}")
        finally:
            await self._cluster.close()
        return outcome

    async def _live(self) -> None:
        cluster = self._cluster
        await cluster.start()
        for action in self._schedule.actions:
            await self._act(action)
        await self._recover()
        await cluster.settle(limit=LIMIT)
        if self._case.loses_state:
            await self._lose_state()
        last = self._case.last(len(self._given))
        await self._send(last)
        await cluster.settle(limit=LIMIT)
        schedule = self._schedule
        exact, ordered = schedule.guarantee == "exactly_once", not schedule.faults.refused
        self._case.check(self._given, Found(self._case, cluster), exact=exact, ordered=ordered)

    async def _recover(self) -> None:
        """Everything is put right again; those that are ending come to their end first."""
        cluster = self._cluster
        cluster.heal()
        end = cluster.clock.monotonic() + LIMIT
        while any(process.ending for process in cluster.workers) and cluster.clock.monotonic() < end:
            await cluster.advance(0.5)
        for number, process in enumerate(cluster.workers):
            if process.paused:
                await cluster.resume(number)
            elif not process.alive:
                await cluster.restart(number)

    async def _lose_state(self) -> None:
        """All workers die, and begin again with nothing."""
        cluster = self._cluster
        numbers = range(len(cluster.workers))
        for number in numbers:
            await cluster.kill(number, keep_state=False)
        for number in numbers:
            await cluster.restart(number)
        await cluster.settle(limit=LIMIT)

    async def _send(self, inputs: list[Input]) -> None:
        for each in inputs:
            await self._cluster.send(each.topic, key=each.key, value=each.number, timestamp=each.timestamp)
        self._given.extend(inputs)

    async def _let_stand(self, number: int, seconds: float, count: int) -> None:
        """A worker stands still for so long that others have its tasks, and some work with them, when it goes on."""
        await self._cluster.pause(number)
        await self._cluster.advance(seconds)
        await self._feed(count)
        await self._cluster.advance(1.0)
        if self._cluster.workers[number].paused:
            await self._cluster.resume(number)

    async def _feed(self, count: int) -> None:
        """The next records of the case."""
        first = len(self._given)
        await self._send([self._case.record(self._schedule.seed, number) for number in range(first, first + count)])

    async def _act(self, action: Action) -> None:
        """Actions on a worker whose state does not allow them are left out."""
        cluster, arguments = self._cluster, action.arguments
        match action.what:
            case "send":
                await self._feed(arguments[0])
            case "advance":
                await cluster.advance(arguments[0])
            case "jump":
                await cluster.jump(arguments[0])
            case "compact":
                cluster.compact()
            case "add":
                if len(cluster.workers) < MOST_WORKERS:
                    await cluster.add()
            case _:
                await self._act_on(arguments[0] % len(cluster.workers), action)

    async def _act_on(self, number: int, action: Action) -> None:
        cluster, arguments = self._cluster, action.arguments
        process = cluster.workers[number]
        match action.what:
            case "kill" if process.alive:
                await cluster.kill(number, keep_state=arguments[1])
            case "restart" if not process.alive:
                await cluster.restart(number)
            case "crash" if process.alive:
                cluster.crash_at(number, count=arguments[1])
            case "stop" if process.standing:
                process.stop()
            case "zombie" if process.standing:
                await self._let_stand(number, *arguments[1:])
            case "pause" if process.standing:
                await cluster.pause(number)
            case "resume" if process.paused:
                await cluster.resume(number)
            case "set_clock" if process.alive:
                await cluster.set_clock(number, arguments[1])
