"""An output topic that is deleted on a real Kafka while a worker runs, and made anew: in time, too late, or never."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Skip
from streamz_actors.dataflow.policies import Final
from streamz_actors.errors import HandlerError
from streamz_actors.running import Running
from streamz_actors.transport.abc import TopicSpec, Transport
from tests.integration.kafka_contents import contents

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

GUARANTEES = pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
FORMS = pytest.mark.parametrize("form", ["agent", "stream"])
WAIT = 4.0
"""Seconds that records wait for their topic: half of the delivery time-out."""


def application(name: str, kafka_url: str, form: str, guarantee: str, policy: Final | None = None) -> App:
    """Copies a topic to another; beside it, the same agent or stream counts."""
    app = App(
        name, broker=kafka_url, store="memory://", web_enabled=False, processing_guarantee=guarantee,
        commit_interval=0.2, stuck_after=2.0, producer_config={"delivery_timeout_ms": int(WAIT * 2_000)},
    )
    source = app.topic(f"{name}-in", key_type=str, value_type=int, partitions=1)
    out = app.topic(f"{name}-out", key_type=str, value_type=int, partitions=1)
    if form == "stream":
        stream = app.stream(source)
        stream.group_by_key().count("counts")
        (stream if policy is None else stream.on_error(policy)).to(out)
        return app
    counts = app.table("counts", key_type=str, value_type=int, default=int)

    @app.agent(source, sinks=[out], on_error=policy)
    async def copy(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, value in stream.items():
            counts[key] += 1
            yield value

    return app


class Site:
    def __init__(self, kafka: Transport, kafka_url: str, form: str, guarantee: str, policy: Final | None) -> None:
        name = f"deleted-{uuid.uuid4().hex[:8]}"
        self.kafka, self.out = kafka, f"{name}-out"
        self.app = application(name, kafka_url, form, guarantee, policy)

    async def send(self, *values: int) -> None:
        for value in values:
            await self.app.topics[0].send(key="k", value=value)

    async def committed(self, running: Running, count: int) -> None:
        await until(lambda: sum(running.worker.committed.values()) == count, running)

    async def delete(self) -> None:
        await self.kafka.admin.delete([self.out])

    async def make(self) -> None:
        await self.kafka.admin.create([TopicSpec(self.out, 1, None, {})])

    async def written(self) -> list[int]:
        return [value for _, value in await contents(self.kafka, self.out)]


async def until(true: Callable[[], object], running: Running) -> None:
    async with asyncio.timeout(60):
        while not true():
            assert running.worker.failure is None, running.worker.failure
            await asyncio.sleep(0.05)


def said(running: Running) -> list[str]:
    return [each.text for each in running.worker.watchdog.stuck]


@GUARANTEES
@FORMS
async def test_what_waits_is_written_when_it_is_made_anew(
    kafka: Transport, kafka_url: str, form: str, guarantee: str
) -> None:
    site = Site(kafka, kafka_url, form, guarantee, None)
    async with site.app.running() as running:
        await site.send(1, 2)
        await site.committed(running, 2)
        await site.delete()
        await site.send(3, 4)
        await until(lambda: said(running), running)
        assert "commits are held up" in said(running)[0]
        assert f"topic '{site.out}', partition 0" in said(running)[0]
        await site.make()
        await site.send(5)
        await site.committed(running, 5)
        await until(lambda: not said(running), running)
    assert await site.written() == [3, 4, 5]


@GUARANTEES
@FORMS
@pytest.mark.parametrize("policy", ["skip", "dead letter"])
async def test_a_policy_is_carried_out_and_nothing_is_held_up_any_more(
    kafka: Transport, kafka_url: str, form: str, guarantee: str, policy: str
) -> None:
    site = Site(kafka, kafka_url, form, guarantee, Skip() if policy == "skip" else DeadLetter())
    async with site.app.running() as running:
        await site.send(1, 2)
        await site.committed(running, 2)
        await site.delete()
        await site.send(3, 4)
        await site.committed(running, 4)
        loop = asyncio.get_running_loop()
        before = loop.time()
        await site.send(5)
        await site.committed(running, 5)
        assert loop.time() - before < WAIT, "what is known to be gone is not waited for again"
        assert [failure.offset for failure in running.worker.failures] == [2, 3, 4]
        await site.make()
        await site.send(6, 7)
        await site.committed(running, 7)
        assert running.worker.states("counts")[0].get("k") == 7
    assert await site.written() == [6, 7]
    letters = [value for _, value in await contents(kafka, f"{site.app.id}-dead-letters")]
    assert letters == ([] if policy == "skip" else [3, 4, 5])


@GUARANTEES
@FORMS
async def test_without_one_the_worker_ends_and_names_both_places(
    kafka: Transport, kafka_url: str, form: str, guarantee: str
) -> None:
    site = Site(kafka, kafka_url, form, guarantee, None)
    running = site.app.worker()
    life = asyncio.create_task(running.run())
    await running.ready()
    await site.send(1, 2)
    await site.committed(running, 2)
    await site.delete()
    await site.send(3)
    place = f"failed at topic '{site.app.id}-in', partition 0, offset 2"
    why = f"ProduceError: topic '{site.out}', partition 0: there is no such topic any more"
    with pytest.raises(HandlerError, match=f"{place}: {why}"):
        await asyncio.wait_for(life, 60)
    async with site.app.running() as running:  # its start makes the topic
        await site.committed(running, 3)
        assert running.worker.states("counts")[0].get("k") == 3
    assert await site.written() == [3]
