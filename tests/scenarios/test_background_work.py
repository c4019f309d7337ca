"""Timers, crontabs and tasks beside the loop, on the clock of the test."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streamz_actors import App
from streamz_actors.errors import ConfigError, TopologyError
from streamz_actors.testing import TestDriver
from streamz_actors.worker.background import next_run
from tests.scenarios.support import until


async def test_timers_fire_by_the_clock_and_in_its_order() -> None:
    app = App("timers")
    fired: list[tuple[str, float]] = []
    driver = TestDriver(app)

    @app.timer(interval=2.0)
    def slow() -> None:
        fired.append(("slow", driver.clock.monotonic()))

    @app.timer(interval=1.5)
    async def fast() -> None:
        fired.append(("fast", driver.clock.monotonic()))

    async with driver:
        await driver.advance(1.0)
        assert fired == []
        await driver.advance(3.5)
    assert fired == [("fast", 1.5), ("slow", 2.0), ("fast", 3.0), ("slow", 4.0), ("fast", 4.5)]


async def test_a_timer_that_fails_stops_the_worker() -> None:
    app = App("timerfails")

    @app.timer(interval=1.0)
    async def tick() -> None:
        raise RuntimeError("tock")

    driver = TestDriver(app)
    await driver.start()
    with pytest.raises(RuntimeError, match="tock"):
        await driver.advance(1)


async def test_a_task_runs_once_and_is_cancelled_at_the_end() -> None:
    app = App("task")
    told: list[str] = []

    @app.task
    async def work() -> None:
        told.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            told.append("ended")

    @app.task()
    async def short() -> None:
        told.append("short")

    async with TestDriver(app) as driver:
        await driver.advance(100)
        assert sorted(told) == ["begun", "short"]
    assert told[-1] == "ended"


async def test_leader_work_waits_until_this_worker_leads() -> None:
    app = App("leader")
    app.stream(app.topic("in", key_type=str, value_type=int, partitions=1)).foreach(lambda key, value: None)
    told: list[str] = []

    @app.task(on_leader=True)
    async def work() -> None:
        told.append("task")

    @app.timer(interval=1.0, on_leader=True)
    async def tick() -> None:
        told.append("timer")

    async with TestDriver(app) as driver:
        await driver.advance(1)
        assert sorted(told) == ["task", "timer"]


async def test_a_crontab_fires_in_its_time_zone() -> None:
    app = App("cron", timezone="Europe/Paris")
    fired: list[str] = []
    driver = TestDriver(app)

    def note(name: str) -> Any:
        async def run() -> None:
            fired.append(f"{name} {datetime.fromtimestamp(driver.clock.now() / 1000, UTC):%H:%M}")

        return run

    app.crontab("0 3 * * *")(note("paris"))
    app.crontab("30 5 * * *", timezone="UTC")(note("utc"))
    async with driver:
        await driver.advance(26 * 3600)
    assert fired == ["paris 02:00", "utc 05:30", "paris 02:00"]


def test_daylight_saving_neither_drops_nor_doubles_a_daily_job() -> None:
    paris = ZoneInfo("Europe/Paris")
    before_spring = datetime(2024, 3, 30, 12, tzinfo=paris)
    spring = next_run("30 2 * * *", paris, before_spring)
    assert (spring.date().isoformat(), next_run("30 2 * * *", paris, spring).day) == ("2024-03-31", 1)
    autumn = next_run("30 2 * * *", paris, datetime(2024, 10, 26, 12, tzinfo=paris))
    assert (autumn.day, next_run("30 2 * * *", paris, autumn).day) == (27, 28)


def test_declarations_that_mean_nothing_are_refused() -> None:
    app = App("refused")
    with pytest.raises(ConfigError, match="above 0"):
        app.timer(interval=0)
    with pytest.raises(ConfigError, match="crontab"):
        app.crontab("61 * * * *")
    with pytest.raises(ConfigError, match="IANA"):
        app.crontab("0 3 * * *", timezone="Europe/Nowhere")
    app.frozen()
    with pytest.raises(TopologyError, match="declare first"):
        app.timer(interval=1)(lambda: None)


async def test_startup_and_shutdown_functions_surround_the_work() -> None:
    app = App("hooks")
    told: list[str] = []

    @app.on_startup
    async def up() -> None:
        told.append("up")

    @app.on_shutdown
    def down() -> None:
        told.append("down")

    @app.on_shutdown
    async def failing() -> None:
        raise RuntimeError("at the end")

    @app.on_shutdown
    def last() -> None:
        told.append("last")

    driver = TestDriver(app)
    await driver.start()
    assert told == ["up"]
    with pytest.raises(RuntimeError, match="at the end"):
        await driver.stop()
    assert told == ["up", "down", "last"]


async def test_a_startup_function_that_fails_ends_the_worker() -> None:
    app = App("startfails")

    @app.on_startup
    def up() -> None:
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        await TestDriver(app).start()


async def test_tasks_may_send_as_they_like() -> None:
    app = App("sending")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    sent: list[int] = []

    @app.task
    async def feed() -> None:
        for number in range(3):
            delivered = await topic.send(key="a", value=number)
            sent.append(delivered.offset)

    async with TestDriver(app):
        await until(lambda: len(sent) == 3)
    assert sent == [0, 1, 2]
