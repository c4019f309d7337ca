"""The test driver itself: time, real waiting, failures, restarts, and what can be seen."""

import asyncio
from pathlib import Path

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.errors import TableUnknown, UsageError
from streamz_actors.testing import TestDriver
from tests.scenarios.support import committed, until, values


async def test_a_handler_that_waits_for_the_outside_is_waited_for_also_at_the_stop() -> None:
    app = App("outside")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    done: list[int] = []

    async def outside() -> int:
        return await asyncio.get_running_loop().run_in_executor(None, sum, range(200_000))

    @app.agent(topic)
    async def handle(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            await outside()
            done.append(value)

    driver = TestDriver(app)
    await driver.start()
    await driver.send("in", key="a", value=1)
    assert done == [1]
    topic.send_soon(key="a", value=2)
    await until(lambda: driver.running.worker.tasks["in-0"].unfinished)
    await driver.stop()
    assert done == [1, 2]
    assert committed(driver, app, "in") == 2


async def test_a_stop_with_nothing_in_hand_moves_no_clock() -> None:
    app = App("still")
    app.stream(app.topic("in", key_type=str, value_type=int, partitions=1)).foreach(print)
    driver = TestDriver(app)
    await driver.start()
    await driver.stop()
    assert driver.clock.monotonic() == 0
    await driver.stop()


@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
async def test_a_restart_goes_on_with_topics_tables_and_offsets(store: str, tmp_path: Path) -> None:
    app = App("restart")
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    app.stream(topic).group_by_key().count("counts").to_stream().to(out)
    driver = TestDriver(app, store=store, data_dir=tmp_path)
    for round_ in (1, 2, 3):
        await driver.start()
        await driver.send("in", key="a", value=0)
        assert dict(driver.table("counts")) == {"a": round_}
        assert values(driver, "out") == [round_]
        await driver.stop()


async def test_what_can_be_seen_of_a_table() -> None:
    app = App("views")
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    names = app.topic("names", key_type=str, value_type=str, partitions=1, compacting=True)
    app.global_table(names)
    app.stream(topic).group_by_key().count("counts")
    async with TestDriver(app) as driver:
        await driver.send(topic, key="a", value=0, timestamp=7)
        await driver.send("names", key="x", value="y")
        table = driver.table("counts")
        assert (table["a"], table.timestamp("a"), len(table), list(table)) == (1, 7, 1, ["a"])
        assert driver.table("names")["x"] == "y"
        for look in (table.__getitem__, table.timestamp):
            with pytest.raises(KeyError):
                look("absent")
        with pytest.raises(TableUnknown, match="'none'"):
            driver.table("none")


def test_a_driver_that_was_not_started_says_so() -> None:
    with pytest.raises(UsageError, match="not started"):
        _ = TestDriver(App("unstarted")).running
