"""Exactly-once on a real Kafka: workers are killed, stopped and stand still under load; nothing is doubled or lost."""

import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamz_actors.transport.abc import TopicSpec, Transport
from tests.integration.crew import TABLES, Crew
from tests.integration.kafka_contents import contents, table
from tests.integration.load import KEYS, Load, steady_load
from tests.integration.steps_app import PARTITIONS
from tests.kafka_server import FOREVER

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

EXACT = {"STREAMZ_PROCESSING_GUARANTEE": "exactly_once", "STREAMZ_COMMIT_INTERVAL": "0.1"}


@pytest.fixture(autouse=True)
async def nothing_stepped(kafka: Transport) -> None:
    """Each test begins with empty topics and no tables."""
    names = [topic.name for topic in await kafka.admin.list_topics()]
    await kafka.admin.delete([name for name in names if name in ("steps", "passed") or name.startswith("stepping-")])
    await kafka.admin.create([TopicSpec("steps", PARTITIONS, None, FOREVER)])


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def test_killed_workers_double_and_lose_nothing(
    kafka: Transport, kafka_url: str, tmp_path: Path, processes: ExitStack
) -> None:
    crew = Crew(kafka, kafka_url, tmp_path, processes, "2.5", **EXACT)
    crew.start()
    async with steady_load(kafka) as load:
        await crew.know_every_key()
        for _ in range(2):
            victim = crew.start()
            await crew.share_the_work()
            await crew.work_on()
            crew.kill(victim)
            await crew.share_the_work()
            await crew.work_on()
    await is_exact(kafka, crew, load)


async def test_workers_that_come_and_go_in_order_double_and_lose_nothing(
    kafka: Transport, kafka_url: str, tmp_path: Path, processes: ExitStack
) -> None:
    crew = Crew(kafka, kafka_url, tmp_path, processes, "30", **EXACT)
    first = crew.start()
    async with steady_load(kafka) as load:
        await crew.know_every_key()
        crew.start()
        await crew.share_the_work()
        await crew.work_on()
        await crew.end(first)
        await crew.share_the_work()
        await crew.work_on()
    await is_exact(kafka, crew, load)


async def test_a_worker_that_stood_still_commits_nothing_that_others_have_had(
    kafka: Transport, kafka_url: str, tmp_path: Path, processes: ExitStack
) -> None:
    crew = Crew(kafka, kafka_url, tmp_path, processes, "2.5", **EXACT)
    crew.start()
    async with steady_load(kafka) as load:
        await crew.know_every_key()
        zombie = crew.start()
        await crew.share_the_work()
        await crew.work_on()
        child = crew.at_work.pop(zombie)
        child.popen.send_signal(signal.SIGSTOP)
        await crew.share_the_work()
        await crew.work_on()
        child.popen.send_signal(signal.SIGCONT)
        crew.at_work[zombie] = child
        await crew.share_the_work()
        await crew.work_on()
    await is_exact(kafka, crew, load)


async def is_exact(kafka: Transport, crew: Crew, load: Load) -> None:
    """Every step once: passed on in order, and counted, also behind the topic in between."""
    await crew.do_all()
    for url in list(crew.at_work):
        await crew.end(url)
    passed: dict[str, list[int]] = defaultdict(list)
    for key, number in await contents(kafka, "passed"):
        assert key is not None
        passed[key.decode()].append(number)
    assert passed.keys() == set(KEYS)
    assert {key: numbers for key, numbers in passed.items() if numbers != list(range(load.rounds))} == {}
    for name in TABLES:
        assert await table(kafka, f"stepping-{name}-changelog") == dict.fromkeys(KEYS, load.rounds)
