"""For how long the event loop is held while a table is restored beside a task that has much to do.

    python -m benchmarks.gaps kafka://127.0.0.1:9092 [--records 1000000]

One worker: one task passes orders on without state, as fast as it can; another's table is restored into RocksDB from a
changelog of as many records. A coroutine of the same loop asks for a turn every millisecond, and notes how much later
it got it. Printed as JSON: milliseconds while the restore ran, and afterwards, with the rates of both.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from streamz_actors import App
from streamz_actors.clock import SystemClock
from streamz_actors.config import override
from streamz_actors.running import Running
from streamz_actors.stores.select import make_backend
from streamz_actors.transport.abc import Producer, TopicSpec, Transport
from streamz_actors.transport.select import make_transport

TICK: Final = 0.001
BATCH: Final = 5_000
BUSY: Final = 4
"""Orders for each record to be restored, so that they last."""
AFTER: Final = 3.0
"""Seconds measured without a restore, while orders last."""


def application(name: str) -> App:
    app = App(name, store="rocksdb://")
    orders = app.topic("gaps-orders-" + name, key_type=str, value_type=dict, partitions=1)
    passed = app.topic("gaps-passed-" + name, key_type=str, value_type=dict, partitions=1)
    app.stream(orders).filter(lambda key, value: value["n"] % 10 == 0).to(passed)
    updates = app.topic("gaps-updates-" + name, key_type=str, value_type=int, partitions=1)
    app.stream(updates).group_by_key().count("rows")
    return app


async def fill(producer: Producer, topic: str, count: int, value: Any) -> None:
    """One partition, each key once."""
    waiting: set[asyncio.Future[Any]] = set()
    for first in range(0, count, BATCH):
        numbers = range(first, min(count, first + BATCH))
        keys = [b"key-%09d" % number for number in numbers]
        waiting.add(producer.send(topic, 0, keys, [value(number) for number in numbers], [0] * len(numbers)))
        if len(waiting) > 20:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*waiting)


class Probe:
    """How late the loop's turns come, in seconds."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def ask(self) -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(TICK)
            self.late.append(max(0.0, time.perf_counter() - asked - TICK))

    def take(self) -> dict[str, float]:
        late, self.late = self.late, []
        cuts = statistics.quantiles(late, n=1000) if len(late) > 1 else [0.0] * 999
        return {
            "median_ms": round(1000 * statistics.median(late), 2),
            "p99_ms": round(1000 * cuts[989], 2),
            "max_ms": round(1000 * max(late), 2),
            "turns": len(late),
        }


async def prepare(transport: Transport, app: App, records: int) -> None:
    await transport.start()
    compacted = {"cleanup.policy": "compact"}
    names = [topic.name for topic in app.topics]
    changelog = f"{app.id}-rows-changelog"
    await transport.admin.create([TopicSpec(name, 1) for name in names if name != changelog])
    await transport.admin.create([TopicSpec(changelog, 1, None, compacted)])
    producer = transport.producer("gaps")
    await producer.start()
    await fill(producer, changelog, records, lambda number: b"%d" % number)
    await fill(producer, f"gaps-orders-{app.id}", BUSY * records, lambda number: b'{"n":%d,"t":"%060d"}' % (number, 0))
    await producer.stop()
    await transport.stop()


async def measure(url: str, records: int) -> dict[str, Any]:
    app = application(f"g{uuid.uuid4().hex[:8]}")
    clock = SystemClock()
    await prepare(make_transport(url, clock=clock), app, records)
    with tempfile.TemporaryDirectory() as data_dir:
        settings = override(app.settings, {"web_enabled": False, "broker": url})
        backend = make_backend("rocksdb://", Path(data_dir), app.id)
        running = Running(app.spec(settings), make_transport(url, clock=clock), backend, clock, app.link, name="gaps")
        life = asyncio.create_task(running.run())
        try:
            return await watch(running, records)
        finally:
            running.stop()
            await life


async def watch(running: Running, records: int) -> dict[str, Any]:
    worker, probe = running.worker, Probe()
    while worker.assigned.restorer.progress is None:  # noqa: ASYNC110  # nobody tells when it begins
        await asyncio.sleep(TICK)
    asking = asyncio.create_task(probe.ask())
    began, before = time.perf_counter(), done(running)
    await worker.ready.wait()
    seconds, during = time.perf_counter() - began, done(running)
    restoring = probe.take()
    await asyncio.sleep(AFTER)
    after = probe.take()
    asking.cancel()
    return {
        "restored_per_s": round(records / seconds),
        "orders_per_s_beside": round((during - before) / seconds),
        "orders_per_s_after": round((done(running) - during) / AFTER),
        "restoring": restoring,
        "afterwards": after,
    }


def done(running: Running) -> int:
    """Orders that were passed on or dropped."""
    return sum(sum(task.records.values()) for task in running.worker.tasks.values() if not task.own)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gaps", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("broker")
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    print(json.dumps(uvloop.run(measure(options.broker, options.records)), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
