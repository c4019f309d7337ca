"""Work that only one worker of the group does, and who does it when that one goes."""

import asyncio

from streamz_actors import App
from streamz_actors.running import Running
from streamz_actors.types import TopicPartition
from tests.scenarios.group import expire, kill
from tests.scenarios.support import Site, ended, turns, until


def app(worker: str, told: list[str]) -> App:
    app = App("led")
    app.stream(app.topic("in", key_type=str, value_type=int, partitions=2)).foreach(lambda key, value: None)

    @app.timer(interval=1.0, on_leader=True)
    def tick() -> None:
        told.append(f"{worker} timer")

    @app.crontab("* * * * *", on_leader=True)
    def cron() -> None:
        told.append(f"{worker} crontab")

    @app.task(on_leader=True)
    async def job() -> None:
        told.append(f"{worker} job begins")
        try:
            await asyncio.Event().wait()
        finally:
            told.append(f"{worker} job ends")

    @app.timer(interval=1.0)
    def everywhere() -> None:
        told.append(f"{worker} own timer")

    return app


async def pair(site: Site, told: list[str]) -> "list[tuple[Running, asyncio.Task[None]]]":
    return [await site.begin(app(name, told), name=name) for name in ("first", "second")]


async def minute(site: Site) -> None:
    await expire(site, 61.0)


async def test_one_worker_leads_and_the_other_takes_over_when_it_leaves() -> None:
    site, told = Site(), list[str]()
    (first, first_life), (second, second_life) = await pair(site, told)
    await minute(site)
    assert set(told) == {"first job begins", "first timer", "first crontab", "first own timer", "second own timer"}
    told.clear()
    await ended(first, first_life, site.clock)
    assert "first job ends" in told
    await until(lambda: second.worker.members.leads)
    await minute(site)
    seconds = {line for line in told if line.startswith("second")}
    assert seconds == {"second job begins", "second timer", "second crontab", "second own timer"}
    assert told.count("second job begins") == 1
    await ended(second, second_life, site.clock)


async def test_the_leader_that_dies_is_followed_when_the_group_gives_it_up() -> None:
    site, told = Site(), list[str]()
    (first, first_life), (second, second_life) = await pair(site, told)
    await kill(first, first_life)
    told.clear()
    for partition in (0, 1):  # so that the other one polls: it looks after the dead one then
        site.broker.append(TopicPartition("in", partition), [None], [b"1"], [0], None)
    await expire(site, 5.0)
    assert set(told) == {"second own timer"}
    await expire(site)
    assert {"second job begins", "second timer"} <= set(told)
    await ended(second, second_life, site.clock)


async def test_a_static_leader_that_comes_back_leads_on_though_nobody_rebalances() -> None:
    site, told = Site(), list[str]()
    first, first_life = await site.begin(app("first", told), name="static", group_instance_id="static")
    second, second_life = await site.begin(app("second", told), name="second")
    generation = second.worker.members.generation
    await ended(first, first_life, site.clock)
    again, again_life = await site.begin(app("again", told), name="static", group_instance_id="static")
    assert again.worker.members.generation == generation
    assert again.worker.members.leads
    assert not second.worker.members.leads
    await ended(again, again_life, site.clock)
    await ended(second, second_life, site.clock)


async def test_a_static_worker_that_comes_back_with_another_address_makes_it_known() -> None:
    site = Site()
    first, first_life = await site.begin(app("first", []), name="static", group_instance_id="static")
    second, second_life = await site.begin(app("second", []), name="second")
    await ended(first, first_life, site.clock)
    again = site.worker(app("again", []), name="static", group_instance_id="static")
    again.worker.address = "http://new"
    again_life = asyncio.create_task(again.run())
    await until(lambda: again.worker.ready.is_set())
    await turns(200)
    for running in (again, second):
        ownership = running.worker.members.ownership
        assert ownership is not None
        assert "http://new" in [host.address for host in ownership.hosts]
    await ended(again, again_life, site.clock)
    await ended(second, second_life, site.clock)
