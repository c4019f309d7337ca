"""The workloads: what goes in, what shows the progress, what a right result is, and what is to be reached."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from benchmarks import accounts, checks, shipments, windows
from benchmarks.cluster import Cluster, Record
from benchmarks.measuring import Sample
from benchmarks.orders import Dataset, Distribution, truth
from benchmarks.settings import KEYS

Check = Callable[[Cluster, str, Dataset, Sequence[Sample]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Target:
    """`ratios`: at least so many times as fast as that contender. `rate`: at least so many records a second."""

    ratios: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """A topic that the orders are joined with. `variable` tells its name, behind BENCH_."""

    variable: str
    topic: str
    records: int
    content: Callable[[], Iterable[Record]]
    compacted: bool = False


def everything(dataset: Dataset) -> int:
    """A record of progress for each order."""
    return dataset.records


@dataclass(frozen=True, slots=True)
class Workload:
    """`progress`: where it shows, in what is "written" to the output or in what is "committed" of the input."""

    name: str
    what: str
    records: int
    """Orders."""
    distribution: Distribution
    progress: str
    check: Check
    target: Target
    compacted: bool = False
    """The output is a changelog."""
    safe_offsets: bool = False
    """The check looks at what is committed beside what is written, so both are watched."""
    beside: Callable[[Dataset], Beside] | None = None
    inputs: int = 1
    """Records of input for each order: 2 where those of another stream are as many."""
    expected: Callable[[Dataset], int] = everything
    """What the progress must reach."""
    output: str = "{group}-out"

    def dataset(self, records: int) -> Dataset:
        return Dataset(records, self.distribution)


def table(_: Dataset) -> Beside:
    return Beside("TABLE", accounts.TOPIC, KEYS, accounts.accounts, compacted=True)


def stream(dataset: Dataset) -> Beside:
    return Beside(
        "SHIPMENTS", shipments.topic(dataset), dataset.records, partial(shipments.shipments, dataset)
    )


def windowed(
    name: str, what: str, size: int, records: int, distribution: Distribution, ratios: Mapping[str, float]
) -> Workload:
    """Sums by account and window: every update must come out."""
    return Workload(
        name,
        what,
        records,
        distribution,
        "written",
        partial(checks.summed, name, size),
        Target(ratios),
        expected=lambda dataset: windows.summed(name, dataset).count,
    )


WORKLOADS: Final = {
    workload.name: workload
    for workload in (
        Workload(
            "W1",
            "decode, keep half, produce",
            2_000_000,
            "zipf",
            "written",
            checks.filtered,
            Target({"hand": 1.1, "kstreams": 1.2, "quix": 5, "faust": 60}),
            expected=lambda dataset: truth(dataset).large.count,
        ),
        Workload(
            "W2",
            "count by key, with a changelog",
            2_000_000,
            "zipf",
            "committed",
            checks.counted,
            Target({"hand": 0.7, "kstreams": 1.1, "quix": 6, "faust": 60}),
            compacted=True,
            output="{group}-counts-changelog",
        ),
        windowed(
            "W3",
            "tumbling windows of 60 s: the sum by key, every update",
            windows.TUMBLING,
            2_000_000,
            "zipf",
            {"hand": 0.5, "kstreams": 1.0, "quix": 12},
        ),
        windowed(
            "W3h",
            "hopping windows of 60 s every 10 s: the sum by key, six updates a record",
            windows.HOPPING,
            500_000,
            "zipf",
            {"quix": 8},
        ),
        Workload(
            "W3j",
            "an inner join of two streams within 10 s, each order with its shipment (records: of both)",
            1_000_000,
            "uniform",
            "written",
            checks.shipped,
            Target({"kstreams": 1.0}),
            beside=stream,
            inputs=2,
            expected=lambda dataset: shipments.shipped(dataset).count,
        ),
        windowed(
            "W3s",
            "sessions with a gap of 10 s: the sum by key, every update and every session replaced",
            windows.GAP,
            500_000,
            "zipf",
            {"kstreams": 1.0},
        ),
        windowed(
            "W3w",
            "sliding windows of 200 s with three records each: the sum by key, every update",
            windows.SLIDING,
            500_000,
            "uniform",
            {"kstreams": 1.0},
        ),
        Workload(
            "W4",
            "decode, look up in a table of 100,000 rows, produce",
            2_000_000,
            "zipf",
            "written",
            checks.joined,
            Target({"hand": 0.9, "kstreams": 1.0, "quix": 10}),
            beside=table,
        ),
        Workload(
            "W8",
            "a handler that waits 10 ms for I/O, 256 at a time per partition",
            200_000,
            "uniform",
            "written",
            checks.ordered,
            Target(rate=20_000),
            safe_offsets=True,
        ),
        Workload(
            "W9",
            "map_async with 10 ms of I/O, 256 at a time per partition, in order per key",
            200_000,
            "uniform",
            "written",
            checks.ordered,
            Target(rate=20_000),
            safe_offsets=True,
        ),
    )
}
