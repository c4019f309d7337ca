"""`app worker --processes 2` on a real Kafka: shared work, one port for all, a kill, an orderly end."""

import asyncio
import json
import os
import re
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamz_actors.transport.abc import Producer, Transport
from tests.integration.processes import SETTINGS, Child, process
from tests.integration.test_workers import order, until_total
from tests.integration.test_workers import producer as producer

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

ACCOUNTS = [f"account-{number}" for number in range(24)]
TOKEN = "sesame"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


async def get(url: str) -> str:
    def read() -> str:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with DIRECT.open(request, timeout=30) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)


async def get_json(url: str) -> Any:
    return json.loads(await get(url))


async def order_of_each(kafka: Transport, producer: Producer, total: float) -> None:
    """One order more for every account, and every total as high as it then must be."""
    for account in ACCOUNTS:
        await order(producer, account, 1.0)
    for account in ACCOUNTS:
        await until_total(kafka, account, total)


def pids(child: Child) -> list[tuple[int, int]]:
    """Number and process id of all that have been started, in that order."""
    return [(int(number), int(pid)) for number, pid in re.findall(r"process (\d+) is pid (\d+)", child.said())]


async def until_ready(child: Child, times: int) -> None:
    async with asyncio.timeout(60):
        while child.said().count("ready: 2 processes") < times:
            assert child.popen.poll() is None, child.said()
            await asyncio.sleep(0.05)


async def test_the_others_have_the_tasks_of_one_that_was_killed_long_before_its_session_ends(
    kafka: Transport, kafka_url: str, producer: Producer, tmp_path: Path
) -> None:
    environment = SETTINGS | {
        "STREAMZ_BROKER": kafka_url, "STREAMZ_DATA_DIR": str(tmp_path / "state"), "STREAMZ_SESSION_TIMEOUT": "300"
    }
    command = ("streamz_actors", "-A", "apps.orders", "worker", "--processes", "2")
    with process(tmp_path / "out.log", *command, **environment) as child:
        await until_ready(child, 1)
        await order_of_each(kafka, producer, 1.0)
        (_, pid), _ = pids(child)
        before = len(child.said())
        os.kill(pid, signal.SIGKILL)
        await order_of_each(kafka, producer, 2.0)
        await until_ready(child, 2)
        said = child.said()[before:]
        child.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait) == 0
    assert "process 1: leaving group 'orders' for it: done" in said
    # All of them, before the one that is started again has joined.
    assert re.search(r"\[2\] .*assigned 16 partitions of 2 topics\n", said), said


async def test_one_with_a_name_of_its_own_is_back_before_anybody_misses_it(
    kafka: Transport, kafka_url: str, producer: Producer, tmp_path: Path
) -> None:
    environment = SETTINGS | {
        "STREAMZ_BROKER": kafka_url,
        "STREAMZ_DATA_DIR": str(tmp_path / "state"),
        "STREAMZ_SESSION_TIMEOUT": "60",
        "STREAMZ_GROUP_INSTANCE_ID": "orders",
    }
    command = ("streamz_actors", "-A", "apps.orders", "worker", "--processes", "2")
    with process(tmp_path / "out.log", *command, **environment) as child:
        await until_ready(child, 1)
        await order_of_each(kafka, producer, 1.0)
        (_, pid), _ = pids(child)
        before = len(child.said())
        os.kill(pid, signal.SIGKILL)
        await until_ready(child, 2)
        await order_of_each(kafka, producer, 2.0)
        child.popen.send_signal(signal.SIGHUP)
        await asyncio.to_thread(child.until_it_says, "rolled: 2 processes")
        await order_of_each(kafka, producer, 3.0)
        said = child.said()[before:]
        child.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait) == 0
    for number in (1, 2):  # the names are held for the next minute: whoever comes after would wait for these two
        await kafka.admin.remove_member("orders", "", f"orders-{number}")
    # Each is given its own tasks when it comes back: one after the kill, one and one in the rolling. Nobody else is.
    assert re.findall(r"\[(\d)\] .*assigned 8 partitions of 2 topics", said) == ["1", "1", "2"], said
    assert "leaving group" not in said


async def test_processes_share_the_work_come_back_when_killed_and_leave_in_order(
    kafka: Transport, kafka_url: str, producer: Producer, tmp_path: Path
) -> None:
    environment = SETTINGS | {
        "STREAMZ_BROKER": kafka_url,
        "STREAMZ_DATA_DIR": str(tmp_path / "state"),
        "STREAMZ_WEB_ENABLED": "true",
        "STREAMZ_WEB_PORT": "0",
        "STREAMZ_WEB_TOKEN": TOKEN,
    }
    command = ("streamz_actors", "-A", "apps.orders", "worker", "--processes", "2")
    with process(tmp_path / "out.log", *command, **environment) as child:
        await until_ready(child, 1)
        (url,) = re.findall(r"web: (http://[^;\s]+)", child.said())
        await order_of_each(kafka, producer, 1.0)
        ready = await get_json(f"{url}/readyz")
        assert [process["tasks"]["running"] for process in ready["processes"].values()] == [8, 8]
        (_, pid), _ = pids(child)
        os.kill(pid, signal.SIGKILL)
        await order_of_each(kafka, producer, 2.0)
        await until_ready(child, 2)
        assert "process 1 was ended by SIGKILL" in child.said()
        await order_of_each(kafka, producer, 3.0)
        for account in ACCOUNTS:
            assert (await get_json(f"{url}/v1/tables/totals/{account}"))["value"] >= 3.0
        cluster = await get_json(f"{url}/v1/cluster")
        assert len(cluster["workers"]) == 2
        agents = await get_json(f"{url}/v1/agents")
        assert (agents["missing"], [agent["name"] for agent in agents["agents"]]) == ([], ["watch"])
        families = text_string_to_metric_families(await get(f"{url}/metrics"))
        (tasks_of,) = [family.samples for family in families if family.name == "streamz_tasks"]
        tasks = {sample.labels["process"]: sample.value for sample in tasks_of}
        assert (set(tasks), sum(tasks.values())) == ({"1", "2"}, 16)
        child.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait) == 0
    assert child.said().count("stopped: everything in hand is committed") == 2
    assert "stopped: all processes have committed and left" in child.said()
    assert len(pids(child)) == 3
    for _, pid in pids(child):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
