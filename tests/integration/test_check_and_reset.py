"""`app check` and `app reset` on a real Kafka: a release that goes on, one that would not, and a new beginning."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streamz_actors.transport.abc import Producer, Transport
from tests.integration.kafka_contents import table
from tests.integration.processes import ROOT, SETTINGS, worker
from tests.integration.test_workers import order, until_total
from tests.integration.test_workers import producer as producer

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

RENAMED = """
from apps.orders.app import Order
from streamz_actors import App

app = App("orders")
sums = app.table("sums", key_type=str, value_type=float, default=float)


@app.agent(app.topic("orders", key_type=str, value_type=Order, partitions=8), tables=[sums])
async def add(stream):
    async for key, order in stream.items():
        sums[key] += order.amount
"""


def app(
    folder: Path, kafka_url: str, *arguments: str, module: str = "apps.orders"
) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end."""
    environment = SETTINGS | {"STREAMZ_BROKER": kafka_url, "STREAMZ_DATA_DIR": str(folder / "state")}
    return subprocess.run(
        [sys.executable, "-m", "streamz_actors", "-A", module, *arguments],
        cwd=folder, env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )


async def run_until(
    kafka: Transport, kafka_url: str, folder: Path, name: str, producer: Producer, total: float
) -> None:
    """A worker that gets an order and ends when the account has its total."""
    with worker("apps.orders", kafka_url, folder, name) as child:
        await order(producer, "alice", 5.0)
        await until_total(kafka, "alice", total)
        if name == "first":
            refused = await asyncio.to_thread(app, folder, kafka_url, "reset", "--yes")
            assert (refused.returncode, "its group has members" in refused.stderr) == (1, True), refused.stderr
        child.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait) == 0


async def test_what_check_names_and_reset_removes_is_what_there_is(
    kafka: Transport, kafka_url: str, producer: Producer, tmp_path: Path
) -> None:
    await run_until(kafka, kafka_url, tmp_path, "first", producer, 5.0)

    same = await asyncio.to_thread(app, tmp_path, kafka_url, "check")
    assert same.returncode == 0, same.stderr
    assert "incompatible" not in same.stdout
    (tmp_path / "renamed.py").write_text(RENAMED, "utf-8")
    renamed = await asyncio.to_thread(app, tmp_path, kafka_url, "check", module="renamed")
    assert "table totals\tthis release has no such table: its state stays in orders-totals-changelog; if 'sums'" in (
        renamed.stdout
    ), renamed.stderr

    dry = await asyncio.to_thread(app, tmp_path, kafka_url, "reset", "--dry-run")
    assert "delete topic orders-totals-changelog" in dry.stdout, dry.stderr
    assert (await table(kafka, "orders-totals-changelog"))["alice"] == 5.0
    done = await asyncio.to_thread(app, tmp_path, kafka_url, "reset", "--yes")
    assert (done.returncode, done.stdout) == (0, dry.stdout), done.stderr
    left = {info.name for info in await kafka.admin.list_topics()}
    ours = ("-changelog", "-repartition", "-topology")
    assert not {name for name in left if name.startswith("orders-") and name.endswith(ours)}

    await run_until(kafka, kafka_url, tmp_path, "second", producer, 10.0)
    assert (await table(kafka, "orders-totals-changelog"))["alice"] == 10.0, "both orders, from the beginning"
