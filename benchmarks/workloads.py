"""The workloads: what goes in, what shows the progress, what a right result is, and what is to be reached."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks import checks
from benchmarks.cluster import Cluster
from benchmarks.measuring import Sample
from benchmarks.orders import Dataset, Distribution, truth

Check = Callable[[Cluster, str, Dataset, Sequence[Sample]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Target:
    """`ratios`: at least so many times as fast as that contender. `rate`: at least so many records a second."""

    ratios: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """`progress`: where it shows, in what is "written" to the output or in what is "committed" of the input."""

    name: str
    what: str
    records: int
    distribution: Distribution
    progress: str
    check: Check
    target: Target
    compacted: bool = False
    """The output is a changelog."""
    safe_offsets: bool = False
    """The check looks at what is committed beside what is written, so both are watched."""
    joins: bool = False
    """The orders are joined with the table of accounts."""
    output: str = "{group}-out"

    def dataset(self, records: int) -> Dataset:
        return Dataset(records, self.distribution)

    def expected(self, dataset: Dataset) -> int:
        """What the progress must reach."""
        return truth(dataset).large.count if self.name == "W1" else dataset.records


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
        Workload(
            "W4",
            "decode, look up in a table of 100,000 rows, produce",
            2_000_000,
            "zipf",
            "written",
            checks.joined,
            Target({"hand": 0.9, "kstreams": 1.0, "quix": 10}),
            joins=True,
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
    )
}
