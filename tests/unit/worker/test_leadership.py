"""Leadership that is gained, lost and gained again, and what the leader's own jobs make of it."""

import asyncio

from streamz_actors import App
from streamz_actors.clock import ManualClock
from streamz_actors.concurrency import Background
from streamz_actors.worker.background import Schedules
from streamz_actors.worker.leadership import Leadership
from tests.scenarios.support import turns


class Jobs:
    """A job of the leader that ends when the test lets it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.errors: list[BaseException] = []
        self.leadership = Leadership()
        self.gate = asyncio.Event()
        self.background = Background(self.errors.append)
        app = App("jobs")

        @app.task(on_leader=True)
        async def job() -> None:
            self.told.append("begins")
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.told.append("cancelled")
                raise
            self.told.append("ends")

        @app.timer(interval=1.0, on_leader=True)
        def tick() -> None:
            self.told.append("tick")

        self.clock = ManualClock()
        Schedules(app.spec(), self.clock, self.background, self.leadership).start()

    async def lead(self, leads: bool) -> list[str]:
        """What happens when it is told so."""
        self.told.clear()
        self.leadership.tell(leads)
        await turns(10)
        return list(self.told)


async def test_a_job_runs_while_its_worker_leads_and_begins_anew_when_it_leads_again() -> None:
    jobs = Jobs()
    await turns(10)
    assert jobs.told == []
    assert await jobs.lead(True) == ["begins"]
    assert await jobs.lead(True) == []
    assert await jobs.lead(False) == ["cancelled"]
    assert await jobs.lead(True) == ["begins"]
    jobs.gate.set()
    await turns(10)
    assert jobs.told == ["begins", "ends"]
    await jobs.lead(False)
    assert await jobs.lead(True) == [], "it has ended"
    await jobs.background.stop()
    assert jobs.errors == []


async def test_a_timer_of_the_leader_fires_only_while_its_worker_leads() -> None:
    jobs = Jobs()
    for leads, expected in ((False, 0), (True, 1), (False, 0)):
        await jobs.lead(leads)
        jobs.clock.advance_to_next(jobs.clock.monotonic() + 1)
        await turns(10)
        assert jobs.told.count("tick") == expected
    await jobs.background.stop()


async def test_a_job_that_fails_is_told() -> None:
    told: list[BaseException] = []
    leadership, background, app = Leadership(), Background(told.append), App("failing")

    @app.task(on_leader=True)
    async def job() -> None:
        raise RuntimeError("no")

    Schedules(app.spec(), ManualClock(), background, leadership).start()
    leadership.tell(True)
    await turns(10)
    assert [str(error) for error in told] == ["no"]
