"""Churn: what a worker holds in memory while windows come and go, of keys that are never seen again. `size`: records.

Keys are counted in tumbling windows, every update goes out. A hundred windows follow one another, each with keys of its
own, each key twice in its window; so what is alive is always the same hundredth of all, whatever has passed.

Memory is looked at beside the progress, and told as the highest of each twentieth of the records. Caches of bounded
size fill in the beginning, so the last quarter is compared with the second one. What lies on disk at the end is told
as well.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.arena import contestant, environment
from benchmarks.checks import Wrong
from benchmarks.cluster import Chunk, Cluster
from benchmarks.contenders import Contender
from benchmarks.findings import Column, Goal
from benchmarks.measuring import Offsets, speed, watch
from benchmarks.orders import START
from benchmarks.settings import PARTITIONS
from benchmarks.trials import Attempt, Trial
from streamz_actors.types import partition_of

OURS: Final = "ours-dsl"
WINDOWS: Final = 100
WINDOW: Final = 10_000
"""Ms; START is a multiple of it."""
TIMES: Final = 2
"""Records of each key."""
PARTS: Final = 20
"""Stretches of the records whose highest memory is told."""
MOST: Final = 1.1
"""Times that the last quarter's memory may be the second quarter's."""
DIGITS: Final = 8
"""Of a key."""
BOUND: Final = 8
"""Bytes of a window's end, and of its start, behind a key."""

Memory = Sequence[tuple[int, int]]
"""Records that were done, and bytes that were held then; rising records."""


def keys_of_window(size: int) -> int:
    return max(1, size // (WINDOWS * TIMES))


def content(size: int) -> Iterator[Chunk]:
    """Window after window; the keys of one in order, and then once more."""
    count = keys_of_window(size)
    for window in range(WINDOWS):
        keys = [b"%0*d" % (DIGITS, key) for key in range(window * count, (window + 1) * count)]
        places: list[list[int]] = [[] for _ in range(PARTITIONS)]
        for row, key in enumerate(keys):
            places[partition_of(key, PARTITIONS)].append(row)
        for turn in range(TIMES):
            begin = START + window * WINDOW + turn * WINDOW // TIMES
            for partition, rows in enumerate(places):
                if rows:
                    times = [begin + row * WINDOW // (TIMES * count) for row in rows]
                    yield Chunk(partition, [keys[row] for row in rows], [b"1"] * len(rows), times)


async def bout(attempt: Attempt) -> Mapping[str, float]:
    cluster, group, count = attempt.cluster, attempt.group, keys_of_window(attempt.size)
    source, output, everything = f"{group}-in", f"{group}-out", count * TIMES * WINDOWS
    memory: list[tuple[int, int]] = []
    try:
        await cluster.pour(source, everything, lambda: content(attempt.size))
        await cluster.create(output)
        told = environment(cluster, group, source, output)
        async with contestant(attempt.command, told, group) as app:

            async def look() -> tuple[Offsets | None, Offsets | None]:
                written = await cluster.ends(output)
                memory.append((sum(written), app.rss()))
                return None, written

            samples = await watch(app, look, "written", everything)
            rss, disk = app.peak_rss(), below(app.log.parent)
        await check(cluster, output, count)
    finally:
        await cluster.clear(group)
    found = speed(samples, "written", everything, everything)
    return {
        "rate": found.rate,
        "cpu_us": found.cpu,
        "records": everything,
        **held(memory, everything),
        "rss_mb": rss / 2**20,
        "disk_mb": disk / 2**20,
    }


def held(memory: Memory, everything: int) -> dict[str, float]:
    """MB: the highest of each part of the records, and what is compared."""
    parts: list[float] = []
    for part in range(PARTS):
        low, high = everything * part / PARTS, everything * (part + 1) / PARTS
        within = [size for done, size in memory if low < done <= high]
        # A part that was over between two looks: what was held at the first look behind it.
        seen = within or [next(size for done, size in memory if done > high)]
        parts.append(max(seen) / 2**20)
    quarter = PARTS // 4
    early, late = max(parts[quarter : 2 * quarter]), max(parts[-quarter:])
    numbered = {part_name(number): value for number, value in enumerate(parts, 1)}
    return {"early_mb": early, "late_mb": late, "growth": late / early, **numbered}


def part_name(number: int) -> str:
    return f"part_{number:02}_mb"


def points(figures: Mapping[str, float]) -> list[tuple[float, float]]:
    """Million records and MB, for the plot."""
    million = figures["records"] / PARTS / 1e6
    return [(number * million, figures[part_name(number)]) for number in range(1, PARTS + 1)]


def below(folder: Path) -> int:
    """Bytes of all files. The application goes on: what is gone meanwhile does not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


async def check(cluster: Cluster, topic: str, count: int) -> None:
    """Each key is counted up to TIMES, in its window and in order."""
    found = array("B", [0]) * (count * WINDOWS)
    async for batch in cluster.read(topic):
        for raw, value in zip(batch.keys, batch.values, strict=True):
            if raw is None or value is None or len(raw) != DIGITS + 2 * BOUND:
                raise Wrong(f"{raw!r}: {value!r}")
            key, start = int(raw[:DIGITS]), int.from_bytes(raw[-BOUND:], "big")
            found[key] += 1
            if int(value) != found[key] or start != START + key // count * WINDOW:
                raise Wrong(f"{key} has {value!r} in the window from {start}, as its update number {found[key]}")
    missing = sum(TIMES - updates for updates in found)
    if missing:
        raise Wrong(f"{missing} updates are missing")


TRIAL: Final = Trial(
    "churn",
    "memory while 20,000,000 records pass through windows of ever new keys",
    20_000_000,
    (Contender(OURS, "ours", {"churn": ("benchmarks.ours.churn_dsl", "worker")}),),
    bout,
    (
        Column("rate", "records/s"),
        Column("cpu_us", "CPU µs/record", 2),
        Column("early_mb", "RSS MB, second quarter"),
        Column("late_mb", "RSS MB, last quarter"),
        Column("growth", "last to second quarter", 2),
        Column("rss_mb", "peak RSS MB"),
        Column("disk_mb", "on disk MB"),
    ),
    (Goal(OURS, "growth", plus=MOST, at_most=True),),
)
