"""Events of 2008 on a Kafka that deletes by its clock, each second: their windows survive the loss of local files."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator

import pytest

from streamz_actors import App, Session, Tumbling
from streamz_actors.running import Running
from streamz_actors.transport.abc import TopicSpec, Transport
from streamz_actors.transport.kafka.transport import KafkaTransport
from streamz_actors.types import TopicPartition
from streamz_actors.worker import purge
from tests.kafka_server import KafkaServer

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

THEN = 1_200_000_000_000
"""In January 2008, in ms."""
MINUTE = 60_000
OPTIONS = ("log.cleaner.backoff.ms=1000",)
"""What is compacted and deleted is deleted by the cleaner."""


@pytest.fixture(scope="module")
def forgetful() -> Iterator[str]:
    """The URL of a Kafka of its own."""
    server = KafkaServer(*(f"--set={option}" for option in OPTIONS))
    yield server.url
    server.stop()


def counting(name: str, url: str, guarantee: str) -> App:
    app = App(
        name, broker=url, store="memory://", web_enabled=False, commit_interval=0.05, processing_guarantee=guarantee
    )
    events = app.topic(
        f"{name}-events",
        key_type=str,
        value_type=int,
        partitions=1,
        config={"retention.ms": "-1"},
        timestamp=lambda minute: THEN + minute * MINUTE,
    )
    grouped = app.stream(events).group_by_key()
    grouped.windowed_by(Tumbling(60, grace=600)).count("windows")
    grouped.windowed_by(Session(120, grace=600)).count("visits")
    return app


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 60
    while not await true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def begins(kafka: Transport, name: str) -> list[int]:
    """Where both changelogs begin."""
    places = [TopicPartition(f"{name}-{table}-changelog", 0) for table in ("windows", "visits")]
    found = await kafka.admin.beginning_offsets(places)
    return [found[place] for place in places]


async def retained(kafka: Transport) -> None:
    """The broker has gone through all topics: it has deleted what is old of one that it may."""
    place = TopicPartition(f"canary-{uuid.uuid4().hex[:8]}", 0)
    await kafka.admin.create([TopicSpec(place.topic, 1, None, {"cleanup.policy": "compact,delete"})])
    producer = kafka.producer("canary")
    await producer.start()
    await producer.send(place.topic, 0, [b"k"], [b"v"], [THEN])
    await producer.stop()

    async def gone() -> bool:
        return (await kafka.admin.beginning_offsets([place]))[place] > 0

    await until(gone)


async def counted(running: Running) -> list[tuple[str, int, int]]:
    found = [
        (table, row.start, row.value)
        for table in ("windows", "visits")
        for row in await running.windows(table, "k", None, None)
    ]
    return sorted(found)


async def feed(app: App, minutes: range) -> None:
    (topic,) = [topic for topic in app.spec().topology.topics if topic.name.endswith("-events")]
    for minute in minutes:
        await topic.send(key="k", value=minute)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_they_come_back_and_changelogs_are_shortened_by_their_own_time(
    forgetful: str, guarantee: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "EVERY", 1)
    name = f"history-{uuid.uuid4().hex[:8]}"
    async with KafkaTransport(forgetful) as kafka:
        app = counting(name, forgetful, guarantee)
        async with app.running() as running:
            await feed(app, range(8))

            async def all_there() -> bool:
                return sum(value for _, _, value in await counted(running)) == 16

            await until(all_there)
            few = await counted(running)
        await retained(kafka)
        assert await begins(kafka, name) == [0, 0]

        app = counting(name, forgetful, guarantee)
        async with app.running() as running:
            assert await counted(running) == few

            minutes = itertools.count(8)

            async def shortened() -> bool:
                minute = next(minutes)
                await feed(app, range(minute, minute + 1))
                return all(begin > 0 for begin in await begins(kafka, name))

            await until(shortened)
            last = ("windows", THEN + (next(minutes) - 1) * MINUTE, 1)

            async def last_there() -> bool:
                return last in await counted(running)

            await until(last_there)
            many = await counted(running)
        await retained(kafka)

        async with counting(name, forgetful, guarantee).running() as running:
            assert await counted(running) == many
