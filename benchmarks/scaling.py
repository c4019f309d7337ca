"""W1x2 and W8x2: the same work with one process and with two, `app worker --processes 2`. `size`: orders.

Both are measured over the second half of the outputs, when both processes have their partitions. CPU time and memory
are those of all processes, the supervisor included. A partition that moves at the beginning may bring some of its
records twice: that is at-least-once, and how many it were is told.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from benchmarks import checks
from benchmarks.contenders import Contender
from benchmarks.findings import Column, Goal
from benchmarks.measuring import Sample, speed
from benchmarks.runner import Bout
from benchmarks.trials import Attempt, Trial
from benchmarks.workloads import WORKLOADS, Check, Workload, everything

ONE: Final = "ours-1"
TWO: Final = "ours-2"


async def bout(workload: Workload, attempt: Attempt) -> Mapping[str, float]:
    """`workload` is watched until everything is committed: what is written may be more than is wanted."""
    dataset = workload.dataset(attempt.size)
    running = Bout(attempt.cluster, workload, attempt.contender, attempt.number, dataset, attempt.stamp)
    watched = await running.watched()
    wanted = WORKLOADS[workload.name.removesuffix("x2")].expected(dataset)
    written = watched.samples[-1].done("written")
    found = speed(second_half(watched.samples), "written", wanted, attempt.size)
    return {
        "rate": found.rate,
        "cpu_us": found.cpu,
        "seconds": found.seconds,
        "repeated": written - wanted,
        "rss_mb": watched.rss / 2**20,
    }


def second_half(samples: list[Sample]) -> list[Sample]:
    """Of what is written."""
    everything = samples[-1].done("written")
    return [sample for sample in samples if sample.done("written") >= everything / 2]


def _trial(basis: str, size: int, module: str, check: Check, goals: tuple[Goal, ...]) -> Trial:
    name = f"{basis}x2"
    workload = replace(
        WORKLOADS[basis], name=name, progress="committed", safe_offsets=True, check=check, expected=everything
    )
    command = (f"benchmarks.ours.{module}", "worker")
    return Trial(
        name,
        f"{basis} with one process and with two",
        size,
        (
            Contender(ONE, "ours", {name: command}),
            Contender(TWO, "ours", {name: (*command, "--processes", "2")}),
        ),
        partial(bout, workload),
        (
            Column("rate", "records/s"),
            Column("cpu_us", "CPU µs/record", 2),
            Column("seconds", "seconds", 1),
            Column("repeated", "answered twice"),
            Column("rss_mb", "peak RSS MB"),
        ),
        goals,
    )


TRIALS: Final = (
    _trial("W1", 4_000_000, "filter_agent", partial(checks.filtered, repeats=True), ()),
    _trial(
        "W8",
        600_000,
        "wait_agent",
        partial(checks.ordered, repeats=True),
        (Goal(TWO, "rate", ONE, times=1.7), Goal(TWO, "cpu_us", ONE, times=1.1, at_most=True)),
    ),
)
