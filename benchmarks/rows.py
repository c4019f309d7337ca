"""The table of W6 and W7: accounts whose changelog is filled beforehand, and whether a worker has them right."""

import asyncio
import json
import random
from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks.accounts import Account
from benchmarks.checks import Wrong
from benchmarks.cluster import Cluster
from benchmarks.http import ask
from benchmarks.settings import PARTITIONS

ASKED: Final = 1_000
"""Keys of one question, of which there are SAMPLES."""
SAMPLES: Final = 10
PATIENCE: Final = 30.0
"""Seconds that a started worker gets until its table answers."""
NOBODY: Final = "account-nobody"
STRIDE: Final = 2**31 - 1
"""A prime above every count, so that its multiples meet each number below a count once."""


def scattered(count: int) -> Iterator[int]:
    """The numbers below `count`, each once, in an order that no sorted file likes."""
    return (number * STRIDE % count for number in range(count))


def rows(count: int) -> Iterator[Account]:
    """The table's content, in the order of its changelog: at most a million accounts, each once."""
    return map(Account, scattered(count))


def changelog(app: str) -> str:
    return f"{app}-rows-changelog"


async def prepare(cluster: Cluster, app: str, count: int, updates: int = 0) -> str:
    """An application's source topic, whose name is returned, and its full changelog; once for each.

    `updates`: rows in the source, to be written once more as they are.
    """
    source = f"{app}-in"
    await cluster.fill(source, updates, partial(rows, updates))
    await cluster.fill(changelog(app), count, partial(rows, count), compacted=True)
    return source


async def here(port: int) -> list[int]:
    """The table's partitions that a worker has; none while it does not answer."""
    status, answer = await ask(port, "/v1/tables")
    return sorted(answer["tables"][0]["here"]) if status == 200 else []


async def check_table(port: int, count: int) -> None:
    """Asks a worker that has all of it for the number of rows, for some of them and for one that is not there."""
    for _ in range(int(PATIENCE / 0.1)):
        if len(await here(port)) == PARTITIONS:
            break
        await asyncio.sleep(0.1)
    else:
        raise Wrong("the worker does not have the whole table")
    _, answer = await ask(port, "/v1/tables")
    found = answer["tables"][0]["count"]
    if abs(found - count) > count // 100:  # RocksDB estimates
        raise Wrong(f"{found} keys instead of {count}")
    draw = random.Random(count)
    for _ in range(SAMPLES):
        numbers = draw.sample(range(count), min(ASKED - 1, count))
        await check_rows(port, [Account(number) for number in numbers])


async def check_rows(port: int, accounts: list[Account]) -> None:
    keys = [account.key.decode() for account in accounts]
    status, answer = await ask(port, "/v1/tables/rows/query", {"keys": [*keys, NOBODY]})
    if status != 200:
        raise Wrong(f"the table does not answer: {status} {answer}")
    found = {entry["key"]: (entry["value"], entry["timestamp"]) for entry in answer["entries"]}
    truth = {key: (json.loads(account.value), account.timestamp) for key, account in zip(keys, accounts, strict=True)}
    if found != truth or answer["missing"] != [NOBODY]:
        odd = [key for key in keys if found.get(key) != truth[key]]
        raise Wrong(f"{len(odd)} of {len(keys)} rows are not the truth: {odd[:3]}")
