"""Growth: what a record of W2 as an agent costs with more partitions, more tables, more keys. `size`: measured records.

Keys are drawn uniformly. Every key is counted once before those records that are measured, so that the state has its
whole size. With n tables an application has n, and each record touches the one of its key.

Counts of one key between two commits become one changelog record: the fewer keys there are, the more of that, whatever
the size of the state costs. So the changelog records are told as well.
"""

import random
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from benchmarks.arena import contestant, environment
from benchmarks.checks import Wrong
from benchmarks.cluster import Cluster
from benchmarks.contenders import Contender
from benchmarks.findings import Column, Goal
from benchmarks.measuring import Offsets, speed, watch
from benchmarks.orders import START, Order
from benchmarks.rows import scattered
from benchmarks.trials import Attempt, Trial

Axis = Literal["partitions", "tables", "keys"]

VALUE: Final = Order(0, 0, 1).value
"""Of every record: nobody reads it."""
CHUNK: Final = 50_000
KEEP: Final = 5_000_000
"""Topics with more records are deleted after use."""
MOST: Final = 1.5
"""Times that the cost may grow from the first point to the last."""
RECORDS: Final = 1_000_000
QUICK_RECORDS: Final = 200_000
QUICK_KEYS: Final = 1_000_000


class Record(NamedTuple):
    number: int
    account: int

    @property
    def key(self) -> bytes:
        return b"account-%08d" % self.account

    @property
    def value(self) -> bytes:
        return VALUE

    @property
    def timestamp(self) -> int:
        return START + self.number


@dataclass(frozen=True, slots=True)
class Point:
    """One measured size of the application and its state."""

    partitions: int = 4
    tables: int = 1
    keys: int = 100_000

    def topic(self, records: int) -> str:
        return f"growth-{self.partitions}-{self.keys}-{records}"

    def content(self, records: int) -> Iterator[Record]:
        """Every key once, then so many drawn ones."""
        for number, account in enumerate(scattered(self.keys)):
            yield Record(number, account)
        for number, account in enumerate(self.drawn(records), self.keys):
            yield Record(number, account)

    def drawn(self, records: int) -> Iterator[int]:
        draw, keys = random.Random(self.keys), range(self.keys)
        for begin in range(0, records, CHUNK):
            yield from draw.choices(keys, k=min(CHUNK, records - begin))

    def truth(self, records: int) -> "array[int]":
        """The count of each key, by its number."""
        counts = array("I", [1]) * self.keys
        for account in self.drawn(records):
            counts[account] += 1
        return counts


POINTS: Final[Mapping[Axis, Mapping[int, Point]]] = {
    "partitions": {count: Point(partitions=count) for count in (4, 16, 64)},
    "tables": {count: Point(tables=count) for count in (1, 5, 20)},
    "keys": {count: Point(keys=count) for count in (10_000, 100_000, 1_000_000, 10_000_000)},
}

MORE: Final[Mapping[Axis, tuple[str, ...]]] = {"partitions": (), "tables": (), "keys": ("keys-100000",)}
"""Points beside the first that the last one is compared with: where hardly any counts of a key fall together."""


def called(axis: Axis, count: int) -> str:
    return f"{axis}-{count}"


def point_of(contender: str) -> Point:
    axis, _, count = contender.partition("-")
    return next(points[int(count)] for name, points in POINTS.items() if name == axis)


async def bout(attempt: Attempt) -> Mapping[str, float]:
    point, cluster, group = point_of(attempt.contender.name), attempt.cluster, attempt.group
    everything, source = point.keys + attempt.size, point.topic(attempt.size)
    changelogs = [f"{group}-counts-{number}-changelog" for number in range(point.tables)]
    await cluster.fill(source, everything, lambda: point.content(attempt.size), partitions=point.partitions)
    for changelog in changelogs:
        await cluster.create(changelog, compacted=True, partitions=point.partitions)
    told = environment(cluster, group, source, "")
    told |= {"BENCH_PARTITIONS": str(point.partitions), "BENCH_TABLES": str(point.tables)}

    async def look() -> tuple[Offsets | None, Offsets | None]:
        return await cluster.committed(group, source), None

    try:
        async with contestant(attempt.command, told, group) as app:
            samples = await watch(app, look, "committed", everything)
            rss = app.peak_rss()
        await check(cluster, changelogs, point.truth(attempt.size))
        written = sum([sum(await cluster.ends(changelog)) for changelog in changelogs])
    finally:
        await cluster.delete([*changelogs, *([source] if everything > KEEP else [])])
    full = [sample for sample in samples if sample.done("committed") >= point.keys]
    found = speed(full, "committed", attempt.size, attempt.size)
    return {
        "cpu_us": found.cpu,
        "rate": found.rate,
        "written": (written - point.keys) / attempt.size,
        "rss_mb": rss / 2**20,
    }


async def check(cluster: Cluster, changelogs: list[str], truth: "array[int]") -> None:
    """The last count of each key, in the changelog of its table."""
    found = array("I", [0]) * len(truth)
    for number, changelog in enumerate(changelogs):
        async for batch in cluster.read(changelog):
            for key, value in zip(batch.keys, batch.values, strict=True):
                if key is None or value is None or int(key[-2:]) % len(changelogs) != number:
                    raise Wrong(f"{key!r} in {changelog}: {value!r}")
                found[int(key[len(b"account-") :])] = int(value)
    if found != truth:
        odd = [account for account, count in enumerate(truth) if found[account] != count]
        raise Wrong(f"{len(odd)} of {len(truth)} keys have another count, account {odd[0]} has {found[odd[0]]}")


def _trial(axis: Axis) -> Trial:
    name, counts = f"growth-{axis}", list(POINTS[axis])
    program = {name: ("benchmarks.ours.growth_agent", "worker")}
    first, last = called(axis, counts[0]), called(axis, counts[-1])
    return Trial(
        name,
        f"the cost of a record of W2, by {axis}",
        RECORDS,
        tuple(Contender(called(axis, count), "ours", program) for count in counts),
        bout,
        (
            Column("cpu_us", "CPU µs/record", 2),
            Column("rate", "records/s"),
            Column("written", "changelog records/record", 2),
            Column("rss_mb", "peak RSS MB"),
        ),
        tuple(Goal(last, "cpu_us", basis, times=MOST, at_most=True) for basis in (first, *MORE[axis])),
    )


TRIALS: Final = tuple(_trial(axis) for axis in POINTS)


def quick() -> list[Trial]:
    """With fewer records, and without the largest state."""
    return [
        replace(
            trial,
            size=QUICK_RECORDS,
            contenders=tuple(one for one in trial.contenders if point_of(one.name).keys <= QUICK_KEYS),
        )
        for trial in TRIALS
    ]
