"""A supervisor replaces its processes under a steady load: nothing is lost, repeated or reordered.

What the keys had to wait meanwhile is logged (`pytest --log-cli-level=info`), not asserted: it depends on the machine.
"""

import asyncio
import logging
import re
import signal
from collections import defaultdict
from pathlib import Path

import pytest

from streamz_actors.transport.abc import TopicSpec, Transport
from tests.integration.crew import APP, TABLES
from tests.integration.gaps import gaps_of
from tests.integration.kafka_contents import behind, contents, count, table
from tests.integration.load import KEYS, steady_load
from tests.integration.processes import SETTINGS, Child, process
from tests.integration.steps_app import PARTITIONS
from tests.kafka_server import FOREVER

logger = logging.getLogger("tests.rolling")

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
async def nothing_stepped(kafka: Transport) -> None:
    """Each test begins with empty topics and no tables."""
    names = [topic.name for topic in await kafka.admin.list_topics()]
    await kafka.admin.delete([name for name in names if name in ("steps", "passed") or name.startswith("stepping-")])
    await kafka.admin.create([TopicSpec(name, PARTITIONS, None, FOREVER) for name in ("steps", "passed")])


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("instance", ["", "stepping"], ids=["members that leave", "members that keep their places"])
async def test_a_rolling_restart_of_three_loses_repeats_and_reorders_nothing(
    kafka: Transport, kafka_url: str, tmp_path: Path, instance: str, guarantee: str
) -> None:
    environment = SETTINGS | {
        "STREAMZ_BROKER": kafka_url,
        "STREAMZ_DATA_DIR": str(tmp_path / "state"),
        "STREAMZ_SESSION_TIMEOUT": "30",
        "STREAMZ_GROUP_INSTANCE_ID": instance,
        "STREAMZ_PROCESSING_GUARANTEE": guarantee,
    }
    exact = guarantee == "exactly_once"
    if exact:
        environment["STREAMZ_COMMIT_INTERVAL"] = "0.1"
    command = ("streamz_actors", "-A", APP, "worker", "--processes", "3")
    with process(tmp_path / "out.log", *command, **environment) as child:
        await asyncio.to_thread(child.until_it_says, "ready: 3 processes")
        async with steady_load(kafka) as load, gaps_of(kafka, "passed", committed=exact) as gaps:
            await work_on(kafka, child)
            quiet = str(gaps)
            gaps.begin()
            child.popen.send_signal(signal.SIGHUP)
            await asyncio.to_thread(child.until_it_says, "rolled: 3 processes have been replaced", 120)
            await work_on(kafka, child)
            logger.info("%s; before: %s; rolled: %s", guarantee, quiet, gaps)
        await until_all_is_done(kafka, child)
        child.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait) == 0
    assert len(re.findall(r"process \d is pid", child.said())) == 6
    passed: dict[str, list[int]] = defaultdict(list)
    for key, number in await contents(kafka, "passed"):
        assert key is not None
        passed[key.decode()].append(number)
    assert {key: numbers for key, numbers in passed.items() if numbers != list(range(load.rounds))} == {}
    assert passed.keys() == set(KEYS)
    for name in TABLES:
        assert await table(kafka, f"stepping-{name}-changelog") == dict.fromkeys(KEYS, load.rounds)


async def work_on(kafka: Transport, child: Child) -> None:
    """Until some thousands of steps more have passed, and they keep up with the load."""
    wanted = await count(kafka, "passed") + 5_000
    while await count(kafka, "passed") < wanted or await behind(kafka, "stepping", ["steps"]) > 4_000:
        assert child.popen.poll() is None, child.said()
        await asyncio.sleep(0.2)


async def until_all_is_done(kafka: Transport, child: Child) -> None:
    while await behind(kafka, "stepping", ["steps"]):
        assert child.popen.poll() is None, child.said()
        await asyncio.sleep(0.1)
