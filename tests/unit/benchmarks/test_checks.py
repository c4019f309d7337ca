"""How what the contenders write is read, and that a wrong result is found. The cluster is a list of batches."""

from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

import msgspec
import pytest

from benchmarks import checks, windows
from benchmarks.accounts import accounts
from benchmarks.checks import Wrong, frontier, number, text, update_of
from benchmarks.cluster import Cluster
from benchmarks.orders import Dataset
from benchmarks.settings import PARTITIONS
from benchmarks.windows import Update
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import partition_of

DATASET = Dataset(200)
Row = tuple[int, bytes | None, bytes | None]
"""Partition, key and value."""


class Written:
    """A cluster that holds these rows, whatever the topic."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = list(rows)

    async def read(self, topic: str) -> AsyncIterator[RawBatch]:
        for at, (partition, key, value) in enumerate(self._rows):
            yield RawBatch(topic, partition, [key], [value], [0], [at], None, at + 1)


def cluster(rows: Iterable[Row]) -> Cluster:
    return cast(Cluster, Written(rows))


def enriched() -> list[Row]:
    tiers = [account.tier for account in accounts()]
    rows: list[Row] = []
    for order in DATASET.orders():
        value = {"id": order.number, "amount": order.cents / 100, "tier": tiers[order.account]}
        rows.append((partition_of(order.key, PARTITIONS), order.key, msgspec.json.encode(value)))
    return rows


def test_the_frontier_waits_for_the_first_gap_to_close() -> None:
    assert frontier([10, 11, 12, 13], [11, 10, 13, 12]) == [0, 0, 2, 2, 4]


def test_keys_are_read_however_they_are_written() -> None:
    assert text(b"a") == text(b'"a"') == text(b'a|"count"') == "a"


@pytest.mark.parametrize("count", [0, 7, 255, 2**33])
def test_counts_are_read_however_they_are_written(count: int) -> None:
    assert number(msgspec.json.encode(count)) == number(count.to_bytes(8, "big")) == count


async def test_every_order_with_the_tier_of_its_account_is_right_in_any_order() -> None:
    await checks.joined(cluster(reversed(enriched())), "out", DATASET, [])


def without_one(rows: list[Row]) -> list[Row]:
    return rows[1:]


def one_twice(rows: list[Row]) -> list[Row]:
    return [*rows, rows[0]]


def wrong_tier(rows: list[Row]) -> list[Row]:
    partition, key, value = rows[0]
    changed: dict[str, Any] = msgspec.json.decode(value or b"")
    return [(partition, key, msgspec.json.encode(changed | {"tier": "none"})), *rows[1:]]


def elsewhere(rows: list[Row]) -> list[Row]:
    partition, key, value = rows[0]
    return [((partition + 1) % PARTITIONS, key, value), *rows[1:]]


def without_a_value(rows: list[Row]) -> list[Row]:
    partition, key, _ = rows[0]
    return [(partition, key, None), *rows[1:]]


@pytest.mark.parametrize("spoil", [without_one, one_twice, wrong_tier, elsewhere, without_a_value])
async def test_a_wrong_enrichment_is_found(spoil: Any) -> None:
    with pytest.raises(Wrong):
        await checks.joined(cluster(spoil(enriched())), "out", DATASET, [])


async def test_the_last_count_of_each_key_is_the_result() -> None:
    counts: dict[bytes, int] = {}
    rows: list[Row] = []
    for order in DATASET.orders():
        counts[order.key] = counts.get(order.key, 0) + 1
        rows.append((0, order.key + b'|"count"', counts[order.key].to_bytes(8, "big")))
    await checks.counted(cluster(rows), "changelog", DATASET, [])
    with pytest.raises(Wrong, match="have another count"):
        await checks.counted(cluster(rows[:-1]), "changelog", DATASET, [])


def windowed(update: Update, form: str) -> Row:
    """An update as one of the contenders writes it."""
    key, start, end, total = update
    bounds = {"ours": end.to_bytes(8, "big") + start.to_bytes(8, "big"), "start": start.to_bytes(8, "big"), "quix": b""}
    if form == "quix":
        value = msgspec.json.encode({"value": total, "start": start, "end": end})
    else:
        value = msgspec.json.encode(total) if form == "ours" else (total or 0).to_bytes(8, "big")
    return partition_of(key, PARTITIONS), key + bounds[form], None if total is None else value


@pytest.mark.parametrize("form", ["ours", "start", "quix"])
async def test_updates_of_windows_are_read_however_they_are_written(form: str) -> None:
    rows = [windowed(update, form) for update in windows.updates("W3", DATASET)]
    await checks.summed("W3", windows.TUMBLING, cluster(rows), "out", DATASET, [])
    for wrong in (rows[1:], [*rows, rows[0]], elsewhere(rows)):
        with pytest.raises(Wrong):
            await checks.summed("W3", windows.TUMBLING, cluster(wrong), "out", DATASET, [])


async def test_a_session_that_is_not_taken_back_is_found() -> None:
    dataset = Dataset(2_000)
    rows = [windowed(update, "ours") for update in windows.updates("W3s", dataset)]
    await checks.summed("W3s", windows.GAP, cluster(rows), "out", dataset, [])
    with pytest.raises(Wrong):
        await checks.summed("W3s", windows.GAP, cluster(row for row in rows if row[2]), "out", dataset, [])


def test_a_key_of_no_window_is_found() -> None:
    with pytest.raises(Wrong, match="no windowed key"):
        update_of(b"account-000001more", b"1", 10)
