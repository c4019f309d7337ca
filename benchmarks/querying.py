"""W7: point queries over HTTP against a table of 100,000 rows, on 32 keep-alive connections. `size`: requests.

"ours-local" asks one worker that has the whole table. "ours-forwarded" starts two and asks one of them for what only
the other has. Faust's page looks into its table.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from benchmarks.accounts import Account
from benchmarks.arena import contestant, environment
from benchmarks.checks import Wrong
from benchmarks.contenders import Contender
from benchmarks.findings import Column, Goal
from benchmarks.http import ask, free_port
from benchmarks.instruments import read
from benchmarks.processes import Contestant
from benchmarks.rows import here, prepare
from benchmarks.settings import KEYS, PARTITIONS
from benchmarks.trials import Attempt, Trial
from streamz_actors.types import partition_of

CONNECTIONS: Final = 32
SECONDS: Final = 8.0
"""After which a slow server is asked no more."""
LIMIT: Final = 60.0
START: Final = 60.0
"""Seconds until the table must answer."""
UPDATES: Final = 100
"""Rows that are written again at first: Faust knows where a key is only after it has written to the changelog."""
EVERYWHERE: Final = tuple(range(PARTITIONS))
SHARED: Final = frozenset({"ours-local", "ours-forwarded"})
"""Contenders that use one application, so that its changelog is filled once for all runs."""


async def bout(attempt: Attempt) -> Mapping[str, float]:
    name = attempt.contender.name
    application = f"{attempt.stamp}-w7-{'ours' if name in SHARED else name}"
    source = await prepare(attempt.cluster, application, KEYS, UPDATES)
    told = environment(attempt.cluster, application, source, "")
    async with AsyncExitStack() as stack:
        apps, ports = [], []
        for number in range(2 if name == "ours-forwarded" else 1):
            ports.append(free_port())
            web = {"STREAMZ_WEB_ENABLED": "true", "STREAMZ_WEB_PORT": str(ports[-1])}
            started = contestant(attempt.command, told | web, f"{attempt.group}-{number}")
            apps.append(await stack.enter_async_context(started))
        path = "/v1/tables/rows/" if name in SHARED else "/rows/"
        partitions = await elsewhere(ports, apps) if len(apps) > 1 else EVERYWHERE
        await until_right(ports[-1], path, apps)
        asked = {
            "host": f"127.0.0.1:{ports[-1]}", "path": path, "keys": KEYS, "partitions": partitions,
            "connections": CONNECTIONS, "requests": attempt.size, "seconds": SECONDS,
        }  # fmt: skip
        reading = await read("benchmarks.load", asked, apps, LIMIT)
        rss = sum(app.peak_rss() for app in apps)
    figures = reading.figures
    return {**figures, "cpu_us": 1e6 * reading.cpu / figures["answers"], "rss_mb": rss / 2**20}


async def elsewhere(ports: list[int], apps: list[Contestant]) -> list[int]:
    """Waits until two workers share the table: the partitions that the second does not have, and the first has."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        first, second = await here(ports[0]), await here(ports[1])
        if sorted(first + second) == list(EVERYWHERE) and first and second:
            return first
        for app in apps:
            app.check()
        await asyncio.sleep(0.2)
    raise Wrong(f"two workers do not share the table: they have the partitions {first} and {second}")


async def until_right(port: int, path: str, apps: list[Contestant]) -> None:
    """Waits until a row of each partition is answered as it should be."""
    rows = {partition_of(account.key, PARTITIONS): account for account in map(Account, range(100))}
    deadline = time.monotonic() + START
    while rows and time.monotonic() < deadline:
        partition, account = next(iter(rows.items()))
        status, answer = await ask(port, path + account.key.decode())
        if status == 200 and answer["value"].items() >= json.loads(account.value).items():
            rows.pop(partition)
            continue
        for app in apps:
            app.check()
        await asyncio.sleep(0.1)
    if rows:
        raise Wrong(f"{account.key.decode()} is answered with {status} {answer}")


def _ours(kind: str) -> Contender:
    return Contender(f"ours-{kind}", "ours", {"W7": ("benchmarks.ours.rows_agent", "worker")})


TRIAL: Final = Trial(
    "W7",
    f"point queries over HTTP, {CONNECTIONS} connections, a table of {KEYS:,} rows",
    50_000,
    (
        _ours("local"),
        _ours("forwarded"),
        Contender("faust", "faust", {"W7": ("rows.py", "worker", "-l", "warn")}, share=0.2),
    ),
    bout,
    (
        Column("rate", "answers/s"),
        Column("p50_ms", "p50 ms", 2),
        Column("p99_ms", "p99 ms", 2),
        Column("cpu_us", "CPU µs/answer"),
        Column("rss_mb", "peak RSS MB"),
    ),
    (
        Goal("ours-local", "rate", plus=10_000),
        Goal("ours-forwarded", "rate", plus=5_000),
        Goal("ours-local", "rate", "faust", times=3),
    ),
    optional=frozenset({"faust"}),
)
