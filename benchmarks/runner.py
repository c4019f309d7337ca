"""Runs contenders in turn (A B A B) on one Kafka, each from nothing, and writes a raw line for each run."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.arena import contestant, environment
from benchmarks.checks import Wrong
from benchmarks.cluster import Cluster, running
from benchmarks.contenders import Contender, competing
from benchmarks.measuring import Offsets, Sample, speed, steps, watch
from benchmarks.orders import Dataset
from benchmarks.results import Result
from benchmarks.workloads import Workload
from streamz_actors.errors import StreamzError

Report = Callable[[Result], None]


async def run(
    workloads: list[Workload],
    *,
    runs: int,
    records: int | None,
    against: frozenset[str],
    url: str | None,
    report: Report,
) -> None:
    """Every contender of every workload, `runs` times; `report` gets each result as soon as it is there."""
    for workload in workloads:
        prepare(workload, against)
    async with running(url) as cluster:
        stamp = stamped()
        for workload in workloads:
            await compete(cluster, workload, runs=runs, records=records, against=against, stamp=stamp, report=report)


def stamped() -> str:
    """What the names of groups and topics begin with: of this run of the benchmark and no other."""
    return f"bench-{int(time.time()):x}"


def prepare(workload: Workload, against: frozenset[str]) -> None:
    """Makes the environments of all who compete, before anything is measured."""
    for contender in competing(workload.name, against):
        contender.command(workload.name)


async def compete(
    cluster: Cluster,
    workload: Workload,
    *,
    runs: int,
    records: int | None,
    against: frozenset[str],
    stamp: str,
    report: Report,
) -> None:
    for number in range(1, runs + 1):
        for contender in competing(workload.name, against):
            size = contender.records(records or workload.records)
            print(f"{workload.name} {contender.name}, run {number} ...", file=sys.stderr, flush=True)
            report(await Bout(cluster, workload, contender, number, workload.dataset(size), stamp).result())


@dataclass(frozen=True, slots=True)
class Watched:
    """A run that was right: its samples, when it was started (monotonic seconds), its peak memory in bytes."""

    samples: list[Sample]
    began: float
    rss: int


class Bout:
    """One run of one contender: its topics, its folder, its process."""

    def __init__(
        self, cluster: Cluster, workload: Workload, contender: Contender, number: int, dataset: Dataset, prefix: str
    ) -> None:
        self._cluster, self._workload, self._contender, self._number = cluster, workload, contender, number
        self._dataset = dataset
        self._inputs = dataset.records * workload.inputs
        self._beside = None if workload.beside is None else workload.beside(dataset)
        self._group = f"{prefix}-{workload.name}-{contender.name}-{number}".lower()
        self._output = contender.output(workload.name, workload.output).format(group=self._group, input=dataset.topic)

    async def result(self) -> Result:
        """A contender that fails, or whose result is wrong, gives a result with the problem."""
        name, contender, records = self._workload.name, self._contender.name, self._inputs
        try:
            return await self._measured()
        except (RuntimeError, Wrong, StreamzError) as error:
            return Result(name, contender, self._number, records, problem=str(error))

    async def _measured(self) -> Result:
        workload, records = self._workload, self._inputs
        load = os.getloadavg()[0]
        watched = await self.watched()
        samples = watched.samples
        found = speed(samples, workload.progress, workload.expected(self._dataset), records)
        return Result(
            workload.name,
            self._contender.name,
            self._number,
            records,
            found.rate,
            found.late_rate,
            found.cpu,
            watched.rss / 2**20,
            steps(samples, workload.progress)[0].time - watched.began,
            found.seconds,
            load,
        )

    async def watched(self) -> Watched:
        """The run itself. Raises Wrong if what came of it is not the truth."""
        await self._cluster.load(self._dataset)
        if (beside := self._beside) is not None:
            await self._cluster.fill(beside.topic, beside.records, beside.content, compacted=beside.compacted)
        await self._cluster.create(self._output, compacted=self._workload.compacted)
        try:
            return await self._watched()
        finally:
            await self._cluster.clear(self._group)

    async def _watched(self) -> Watched:
        workload = self._workload
        expected = workload.expected(self._dataset)
        told = environment(self._cluster, self._group, self._dataset.topic, self._output)
        if self._beside is not None:
            told[f"BENCH_{self._beside.variable}"] = self._beside.topic
        began = time.monotonic()
        async with contestant(self._contender.command(workload.name), told, self._group) as started:
            samples = await watch(started, self._look, workload.progress, expected)
            rss = started.peak_rss()
        await workload.check(self._cluster, self._output, self._dataset, samples)
        return Watched(samples, began, rss)

    async def _look(self) -> tuple[Offsets | None, Offsets | None]:
        workload = self._workload
        both = workload.safe_offsets
        committed = written = None
        if both or workload.progress == "committed":
            committed = await self._cluster.committed(self._group, self._dataset.topic)
        if both or workload.progress == "written":
            written = await self._cluster.ends(self._output)
        return committed, written
