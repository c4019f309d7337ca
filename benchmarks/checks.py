"""Whether a result is right. Each check reads what the contender wrote and raises Wrong if it is not the truth."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from benchmarks import shipments, windows
from benchmarks.accounts import enriched
from benchmarks.cluster import Cluster
from benchmarks.measuring import Sample
from benchmarks.orders import Dataset, Digest, truth
from benchmarks.settings import PARTITIONS
from benchmarks.windows import Update
from streamz_actors.types import partition_of

ACCOUNT = len("account-000000")


class Wrong(Exception):
    """A contender's result is not the truth."""


async def filtered(
    cluster: Cluster, topic: str, dataset: Dataset, samples: Sequence[Sample], *, repeats: bool = False
) -> None:
    """W1: the orders above the median, each once (with `repeats`: at least once), each in the partition of its key."""
    await digested(cluster, topic, truth(dataset).large, repeats=repeats)


async def joined(cluster: Cluster, topic: str, dataset: Dataset, samples: Sequence[Sample]) -> None:
    """W4: every order once, with the tier of its account, in the partition of its key."""
    await digested(cluster, topic, enriched(dataset), "tier")


async def shipped(cluster: Cluster, topic: str, dataset: Dataset, samples: Sequence[Sample]) -> None:
    """W3j: every order with every shipment that is near enough, in the partition of its key."""
    await digested(cluster, topic, shipments.shipped(dataset), "shipment", "carrier")


async def digested(cluster: Cluster, topic: str, expected: Digest, *more: str, repeats: bool = False) -> None:
    """`more`: further fields that the digest covers."""
    found = Digest()
    seen: set[int] = set()
    async for batch in cluster.read(topic):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key is None or value is None:
                raise Wrong("a record without a key or a value")
            order = msgspec.json.decode(value)
            name = text(key)
            if partition_of(name.encode(), PARTITIONS) != batch.partition:
                raise Wrong(f"{name} is in partition {batch.partition}")
            if repeats:
                if order["id"] in seen:
                    continue
                seen.add(order["id"])
            found.add(name, order["id"], order["amount"], *(order[field] for field in more))
    if found != expected:
        raise Wrong(f"{found} instead of {expected}")


async def counted(cluster: Cluster, topic: str, dataset: Dataset, samples: Sequence[Sample]) -> None:
    """W2: the last count of each key in the changelog."""
    found: dict[str, Any] = {}
    async for batch in cluster.read(topic):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key is None or value is None:
                raise Wrong("a record without a key or a value")
            found[text(key)] = number(value)
    expected = truth(dataset).counts
    if found != expected:
        odd = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
        shown = ", ".join(f"{name}: {found.get(name)} instead of {expected.get(name)}" for name in sorted(odd)[:3])
        raise Wrong(f"{len(odd)} of {len(expected)} keys have another count: {shown}")


async def summed(
    workload: str, size: int, cluster: Cluster, topic: str, dataset: Dataset, samples: Sequence[Sample]
) -> None:
    """W3 and its kin: every update of every window, each once, in the partition of its account."""
    found = Digest()
    async for batch in cluster.read(topic):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key is None:
                raise Wrong("a record without a key")
            update = update_of(key, value, size)
            if partition_of(update.key, PARTITIONS) != batch.partition:
                raise Wrong(f"{update.key.decode()} is in partition {batch.partition}")
            found.add(*update)
    expected = windows.summed(workload, dataset)
    if found != expected:
        raise Wrong(f"{found} instead of {expected}")


async def ordered(
    cluster: Cluster, topic: str, dataset: Dataset, samples: Sequence[Sample], *, repeats: bool = False
) -> None:
    """W8: each record answered once, in order per key; offsets never committed past an unanswered record.

    With `repeats`, records may be answered again when their partition has moved; the first answers are in order.
    """
    written: list[list[int]] = [[] for _ in range(PARTITIONS)]
    async for batch in cluster.read(topic):
        written[batch.partition].extend(msgspec.json.decode(value or b"null") for value in batch.values)
    inputs, accounts = partitioned(dataset)
    for partition, numbers in enumerate(written):
        firsts = list(dict.fromkeys(numbers)) if repeats else numbers
        if len(firsts) != len(inputs[partition]) or set(firsts) != set(inputs[partition]):
            raise Wrong(f"partition {partition}: {len(numbers)} answers to {len(inputs[partition])} records")
        last: dict[int, int] = {}
        for number in firsts:
            if last.get(accounts[number], -1) > number:
                raise Wrong(f"account {accounts[number]}: {number} comes after {last[accounts[number]]}")
            last[accounts[number]] = number
        fronts = frontier(inputs[partition], numbers)
        for sample in samples:
            if sample.committed is None or sample.written is None:
                raise Wrong("it was not watched")
            if sample.committed[partition] > fronts[sample.written[partition]]:
                raise Wrong(f"partition {partition}: offset {sample.committed[partition]} was committed too early")


def partitioned(dataset: Dataset) -> tuple[dict[int, list[int]], dict[int, int]]:
    """The order numbers of each partition, in offset order, and the account of each order."""
    inputs: dict[int, list[int]] = defaultdict(list)
    accounts: dict[int, int] = {}
    for order in dataset.orders():
        inputs[partition_of(order.key, PARTITIONS)].append(order.number)
        accounts[order.number] = order.account
    return inputs, accounts


def frontier(inputs: Sequence[int], answered: Sequence[int]) -> list[int]:
    """For each count of answers: how many of the inputs, from the first on without a gap, they cover."""
    done: set[int] = set()
    fronts, front = [0], 0
    for number in answered:
        done.add(number)
        while front < len(inputs) and inputs[front] in done:
            front += 1
        fronts.append(front)
    return fronts


def text(key: bytes) -> str:
    """A key as text; some contenders write keys as JSON, some the name of a value behind them."""
    return str(msgspec.json.decode(key)) if key.startswith(b'"') else key.partition(b"|")[0].decode()


def number(value: bytes) -> Any:
    """A count; some contenders write JSON, some eight bytes as Java does."""
    return int.from_bytes(value, "big") if value.startswith(b"\0") else msgspec.json.decode(value)


def update_of(key: bytes, value: bytes | None, size: int) -> Update:
    """An update of a window, however its bounds are written.

    Behind the account stand end and start (ours; sessions of Kafka Streams), the start alone (its other windows, all
    of one size), or nothing (Quix, which has both bounds in the value).
    """
    account, bounds = key[:ACCOUNT], key[ACCOUNT:]
    if not bounds:
        read = msgspec.json.decode(value or b"{}")
        return Update(account, read["start"], read["end"], read["value"])
    if len(bounds) not in (8, 16):
        raise Wrong(f"{key!r} is no windowed key")
    start = int.from_bytes(bounds[-8:], "big")
    end = int.from_bytes(bounds[:8], "big") if len(bounds) == 16 else start + size
    return Update(account, start, end, None if value is None else number(value))
