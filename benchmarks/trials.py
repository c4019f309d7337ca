"""Trials: what is not measured by working off a full topic, each in a way of its own, with figures and goals."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from benchmarks.checks import Wrong
from benchmarks.cluster import Cluster
from benchmarks.contenders import Contender
from benchmarks.findings import Column, Finding, Goal
from streamz_actors.errors import StreamzError


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of one contender. `stamp` is common to all that run on this cluster now."""

    cluster: Cluster
    workload: str
    contender: Contender
    number: int
    size: int
    stamp: str

    @property
    def group(self) -> str:
        return f"{self.stamp}-{self.workload}-{self.contender.name}-{self.number}".lower()

    @property
    def command(self) -> list[str]:
        return self.contender.command(self.workload)


@dataclass(frozen=True, slots=True)
class Module(Contender):
    """A program in this project's own environment that is no application of ours: started as a module."""

    def command(self, workload: str) -> list[str]:
        return [sys.executable, "-m", *self.programs[workload]]


Bout = Callable[[Attempt], Awaitable[Mapping[str, float]]]
"""Gives the figures; raises Wrong for a wrong result, RuntimeError or StreamzError for none."""


@dataclass(frozen=True, slots=True)
class Trial:
    """`size`: of what, the trial says. Contenders that are `optional` only run if they are chosen as baselines."""

    name: str
    what: str
    size: int
    contenders: tuple[Contender, ...]
    bout: Bout
    columns: tuple[Column, ...]
    goals: tuple[Goal, ...]
    optional: frozenset[str] = frozenset()

    def competing(self, against: frozenset[str]) -> list[Contender]:
        left_out = self.optional - against
        return [contender for contender in self.contenders if contender.name not in left_out]

    def prepare(self, against: frozenset[str]) -> None:
        """Makes the environments of all who compete, before anything is measured."""
        for contender in self.competing(against):
            contender.command(self.name)

    def column(self, figure: str) -> Column:
        return next(column for column in self.columns if column.figure == figure)


async def attempt(trial: Trial, cluster: Cluster, contender: Contender, number: int, size: int, stamp: str) -> Finding:
    """A contender that fails, or whose result is wrong, gives a finding with the problem."""
    size = contender.records(size)
    print(f"{trial.name} {contender.name}, run {number} ...", file=sys.stderr, flush=True)
    load = os.getloadavg()[0]
    try:
        figures = await trial.bout(Attempt(cluster, trial.name, contender, number, size, stamp))
    except (RuntimeError, Wrong, StreamzError) as error:
        return Finding(trial.name, contender.name, number, size, load=load, problem=str(error))
    return Finding(trial.name, contender.name, number, size, figures, load)


async def compete(
    cluster: Cluster,
    trial: Trial,
    *,
    runs: int,
    size: int | None,
    against: frozenset[str],
    stamp: str,
    report: Callable[[Finding], None],
) -> None:
    """Every contender in turn, `runs` times."""
    for number in range(1, runs + 1):
        for contender in trial.competing(against):
            report(await attempt(trial, cluster, contender, number, size or trial.size, stamp))
