"""What runs beside the loop: timers, crontabs, jobs. Leader-only ones act only while this worker leads."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from streamz_actors.clock import Clock
from streamz_actors.concurrency import Background
from streamz_actors.errors import ConfigError
from streamz_actors.worker.leadership import Leadership
from streamz_actors.worker.spec import Call, Crontab, Job, Spec, Timer

logger = logging.getLogger("streamz_actors.worker")


async def call(function: Call) -> None:
    """Calls a user function, sync or async."""
    result = function()
    if inspect.isawaitable(result):
        await result


async def call_at_end(functions: Iterable[Call], failed: Callable[[Exception], None]) -> None:
    """Calls each; one that raises does not keep the others from running."""
    for function in functions:
        try:
            await call(function)
        except Exception as error:
            failed(error)


def next_run(expression: str, zone: ZoneInfo, now: datetime) -> datetime:
    """The first moment after `now` that the expression names, in its zone (daylight saving as cron does it)."""
    return next(CronSim(expression, now.astimezone(zone)))


def check_crontab(expression: str, timezone: str) -> None:
    """Raises ConfigError for an expression or a zone that is none."""
    try:
        CronSim(expression, datetime.now(ZoneInfo("UTC")))
    except CronSimError as error:
        raise ConfigError(f"crontab {expression!r}: {error}") from error
    try:
        ZoneInfo(timezone)
    except (ValueError, LookupError, OSError) as error:
        raise ConfigError(f"crontab {expression!r}: {timezone!r} is no IANA time zone, such as Europe/Paris") from error


class Schedules:
    """Starts everything a spec declares; `leadership` says whether this worker leads now."""

    def __init__(self, spec: Spec, clock: Clock, background: Background, leadership: Leadership) -> None:
        self._spec, self._clock, self._background, self._leadership = spec, clock, background, leadership

    def start(self) -> None:
        for timer in self._spec.timers:
            self._background.start(self._timer(timer), f"timer {timer.name}")
        for crontab in self._spec.crontabs:
            self._background.start(self._crontab(crontab), f"crontab {crontab.name}")
        for job in self._spec.jobs:
            self._background.start(self._job(job), f"task {job.name}")

    def _active(self, on_leader: bool) -> bool:
        return not on_leader or bool(self._leadership)

    async def _timer(self, timer: Timer) -> None:
        while True:
            await self._clock.sleep(timer.interval)
            if self._active(timer.on_leader):
                await call(timer.function)

    async def _crontab(self, crontab: Crontab) -> None:
        zone = ZoneInfo(crontab.timezone)
        due = self._moment()
        while True:
            due = next_run(crontab.expression, zone, max(due, self._moment()))
            await self._sleep_until(due)
            if self._active(crontab.on_leader):
                await call(crontab.function)

    async def _sleep_until(self, due: datetime) -> None:
        """At most a minute at a time: the wall clock may be set meanwhile."""
        while (left := (due - self._moment()) / timedelta(seconds=1)) > 0:
            await self._clock.sleep(min(left, 60.0))

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now() / 1000, ZoneInfo("UTC"))

    async def _job(self, job: Job) -> None:
        """One of the leader is cancelled when another worker leads, and begins anew there; once ended, it has ended."""
        if not job.on_leader:
            await call(job.function)
            return
        ended = False
        while not ended:
            await self._leadership.gained()
            ended = await self._while_leading(job)

    async def _while_leading(self, job: Job) -> bool:
        """Whether it came to its end."""
        work = asyncio.ensure_future(call(job.function))
        lost = asyncio.ensure_future(self._leadership.lost())
        try:
            await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return True
            logger.info("task %s is cancelled here: another worker leads now", job.name)
            return False
        finally:
            work.cancel()
            lost.cancel()
            await asyncio.gather(work, lost, return_exceptions=True)
