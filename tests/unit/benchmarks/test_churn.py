"""Churn: what goes in, what must come out, what is told of the memory, and its curve. No Kafka."""

from collections.abc import AsyncIterator
from typing import cast
from xml.etree import ElementTree

import pytest

from benchmarks import churn, trial_report
from benchmarks.checks import Wrong
from benchmarks.churn import DIGITS, TIMES, WINDOW, WINDOWS, check, content, held, keys_of_window, points
from benchmarks.cluster import Cluster
from benchmarks.findings import Finding
from benchmarks.orders import START
from benchmarks.plots import curve
from benchmarks.settings import PARTITIONS
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import partition_of

SIZE = 2_000
COUNT = keys_of_window(SIZE)


class Written:
    """A cluster that holds these keys and values, whatever the topic."""

    def __init__(self, rows: list[tuple[bytes, bytes]]) -> None:
        self._rows = rows

    async def read(self, topic: str) -> AsyncIterator[RawBatch]:
        for at, (key, value) in enumerate(self._rows):
            yield RawBatch(topic, 0, [key], [value], [0], [at], None, at + 1)


def cluster(rows: list[tuple[bytes, bytes]]) -> Cluster:
    return cast(Cluster, Written(rows))


def test_each_key_comes_in_one_window_only_and_partitions_are_in_order() -> None:
    windows: dict[bytes, list[int]] = {}
    before = [START] * PARTITIONS
    for partition, keys, values, times in content(SIZE):
        assert len(keys) == len(values) == len(times)
        for key, time in zip(keys, times, strict=True):
            assert key is not None
            assert partition_of(key, PARTITIONS) == partition
            windows.setdefault(key, []).append((time - START) // WINDOW)
            assert time >= before[partition]
            before[partition] = time
    assert len(windows) == COUNT * WINDOWS
    assert all(found == [int(key) // COUNT] * TIMES for key, found in windows.items())


def updates() -> list[tuple[bytes, bytes]]:
    """As they must come out."""
    rows = []
    for key in range(COUNT * WINDOWS):
        start = START + key // COUNT * WINDOW
        raw = b"%0*d" % (DIGITS, key) + (start + WINDOW).to_bytes(8, "big") + start.to_bytes(8, "big")
        rows += [(raw, b"%d" % count) for count in range(1, TIMES + 1)]
    return rows


async def test_every_count_of_every_key_must_come_out() -> None:
    rows = updates()
    await check(cluster(rows), "out", COUNT)
    elsewhere = (rows[0][0][:-1] + b"x", rows[0][1])
    for wrong in (rows[:-1], [*rows, rows[-1]], rows[1:], [elsewhere, *rows[1:]], [(b"short", b"1")]):
        with pytest.raises(Wrong):
            await check(cluster(wrong), "out", COUNT)


def test_the_highest_memory_of_each_part_is_told() -> None:
    memory = [(done, (100 + done) << 20) for done in range(101)]
    found = held(memory, 100)
    assert (found["part_01_mb"], found["part_20_mb"]) == (105, 200)
    assert (found["early_mb"], found["late_mb"], found["growth"]) == (150, 200, 200 / 150)


def test_a_part_that_nobody_saw_has_what_came_next() -> None:
    found = held([(0, 1 << 20), (50, 7 << 20), (100, 9 << 20)], 100)
    assert [found[churn.part_name(number)] for number in (1, 10, 11, 20)] == [7, 7, 9, 9]


def figures() -> dict[str, float]:
    return {"records": 20e6, **held([(done, 100 << 20) for done in range(101)], 100)}


def test_the_curve_goes_over_all_records() -> None:
    over = points(figures())
    assert (over[0], over[-1], len(over)) == ((1.0, 100.0), (20.0, 100.0), 20)
    root = ElementTree.fromstring(curve("<title>", "million records", "MB", over, 110, "note"))
    space = "{http://www.w3.org/2000/svg}"
    line = root.find(f"{space}polyline")
    assert line is not None
    places = [tuple(map(float, place.split(","))) for place in line.attrib["points"].split()]
    assert len({y for _, y in places}) == 1
    assert {"0", "5", "10", "15", "20"} <= {mark.text for mark in root.iter(f"{space}text")}


def test_the_report_has_the_verdict_and_the_plot() -> None:
    found = [Finding("churn", churn.OURS, 1, 10, figures())]
    assert "- ours-dsl: 1.00 last to second quarter, wanted at most 1.10: reached" in (
        trial_report.sections(found)["churn"]
    )
    assert trial_report.churning(found, "note") is not None
    assert trial_report.churning([], "note") is None
