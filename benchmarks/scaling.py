"""W1x2 and W8x2: the same work with one process and with two, `app worker --processes 2`. `size`: orders.

Both are measured over the second half of the orders, when both processes have their partitions. CPU time and memory are
those of all processes, the supervisor included.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from benchmarks.contenders import Contender
from benchmarks.findings import Column, Goal
from benchmarks.measuring import speed
from benchmarks.runner import Bout
from benchmarks.trials import Attempt, Trial
from benchmarks.workloads import WORKLOADS, Workload

ONE: Final = "ours-1"
TWO: Final = "ours-2"


async def bout(workload: Workload, attempt: Attempt) -> Mapping[str, float]:
    dataset = workload.dataset(attempt.size)
    stamp = f"{attempt.stamp}-{attempt.workload}"
    running = Bout(attempt.cluster, workload, attempt.contender, attempt.number, dataset, stamp)
    watched = await running.watched()
    expected = workload.expected(dataset)
    late = [sample for sample in watched.samples if sample.done(workload.progress) >= expected / 2]
    found = speed(late, workload.progress, expected, attempt.size)
    return {"rate": found.rate, "cpu_us": found.cpu, "seconds": found.seconds, "rss_mb": watched.rss / 2**20}


def _trial(name: str, size: int, module: str, goals: tuple[Goal, ...]) -> Trial:
    workload = WORKLOADS[name]
    command = (f"benchmarks.ours.{module}", "worker")
    programs = {ONE: command, TWO: (*command, "--processes", "2")}
    # By both names: the trial's for its own runner, the workload's for the bout that does the work.
    contenders = tuple(
        Contender(contender, "ours", {name: program, f"{name}x2": program}) for contender, program in programs.items()
    )
    return Trial(
        f"{name}x2",
        f"{name} with one process and with two",
        size,
        contenders,
        partial(bout, workload),
        (
            Column("rate", "records/s"),
            Column("cpu_us", "CPU µs/record", 2),
            Column("seconds", "seconds", 1),
            Column("rss_mb", "peak RSS MB"),
        ),
        goals,
    )


TRIALS: Final = (
    _trial("W1", 4_000_000, "filter_agent", ()),
    _trial(
        "W8",
        600_000,
        "wait_agent",
        (Goal(TWO, "rate", ONE, times=1.7), Goal(TWO, "cpu_us", ONE, times=1.1, at_most=True)),
    ),
)
