"""Runs contenders in turn (A B A B) on one Kafka, each from nothing, and writes a raw line for each run."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import accounts, settings
from benchmarks.checks import Wrong
from benchmarks.cluster import Cluster, running
from benchmarks.contenders import Contender, competing
from benchmarks.environments import HERE
from benchmarks.measuring import Offsets, speed, steps, watch
from benchmarks.orders import Dataset
from benchmarks.processes import Contestant
from benchmarks.results import Result
from benchmarks.workloads import Workload
from streamz_actors.errors import StreamzError

ROOT = HERE.parent
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
    contenders = {workload.name: competing(workload.name, against) for workload in workloads}
    for workload in workloads:
        for contender in contenders[workload.name]:
            contender.command(workload.name)  # its environment is made before anything is measured
    stamp = f"{int(time.time()):x}"
    async with running(url) as cluster:
        for workload in workloads:
            for number in range(1, runs + 1):
                for contender in contenders[workload.name]:
                    size = contender.records(records or workload.records)
                    bout = Bout(cluster, workload, contender, number, workload.dataset(size), f"bench-{stamp}")
                    report(await bout.result())


class Bout:
    """One run of one contender: its topics, its folder, its process."""

    def __init__(
        self, cluster: Cluster, workload: Workload, contender: Contender, number: int, dataset: Dataset, prefix: str
    ) -> None:
        self._cluster, self._workload, self._contender, self._number = cluster, workload, contender, number
        self._dataset = dataset
        self._group = f"{prefix}-{workload.name}-{contender.name}-{number}".lower()
        self._output = contender.output(workload.name, workload.output).format(group=self._group, input=dataset.topic)

    async def result(self) -> Result:
        """A contender that fails, or whose result is wrong, gives a result with the problem."""
        name, contender, records = self._workload.name, self._contender.name, self._dataset.records
        await self._cluster.load(self._dataset)
        if self._workload.joins:
            await self._cluster.fill(accounts.TOPIC, settings.KEYS, accounts.accounts, compacted=True)
        await self._cluster.create(self._output, compacted=self._workload.compacted)
        try:
            return await self._measured()
        except (RuntimeError, Wrong, StreamzError) as error:
            return Result(name, contender, self._number, records, problem=str(error))
        finally:
            await self._cluster.delete([self._output])

    async def _measured(self) -> Result:
        workload, records = self._workload, self._dataset.records
        expected = workload.expected(self._dataset)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            load = os.getloadavg()[0]
            began = time.monotonic()
            contestant = Contestant(
                self._contender.command(workload.name), self._environment(folder), ROOT, Path(folder) / "log"
            )
            try:
                samples = await watch(contestant, self._look, workload.progress, expected)
                rss = contestant.peak_rss()
            finally:
                await asyncio.to_thread(contestant.stop)
                keep_log(Path(folder) / "log", self._group)
        await workload.check(self._cluster, self._output, self._dataset, samples)
        found = speed(samples, workload.progress, expected, records)
        return Result(
            workload.name,
            self._contender.name,
            self._number,
            records,
            found.rate,
            found.late_rate,
            found.cpu,
            rss / 2**20,
            steps(samples, workload.progress)[0].time - began,
            found.seconds,
            load,
        )

    def _environment(self, folder: str) -> dict[str, str]:
        return {
            "BENCH_BROKER": self._cluster.bootstrap,
            "BENCH_INPUT": self._dataset.topic,
            "BENCH_OUTPUT": self._output,
            "BENCH_TABLE": accounts.TOPIC,
            "BENCH_GROUP": self._group,
            "BENCH_DIR": str(Path(folder) / "data"),
            "BENCH_PARTITIONS": str(settings.PARTITIONS),
            "BENCH_COMMIT_INTERVAL": str(settings.COMMIT_INTERVAL),
            "BENCH_BATCH_BYTES": str(settings.BATCH_BYTES),
            "BENCH_LIMIT": str(settings.MEDIAN_CENTS / 100),
            "BENCH_WAIT": str(settings.WAIT),
            "BENCH_CONCURRENCY": str(settings.CONCURRENCY),
        }

    async def _look(self) -> tuple[Offsets | None, Offsets | None]:
        workload = self._workload
        both = workload.safe_offsets
        committed = written = None
        if both or workload.progress == "committed":
            committed = await self._cluster.committed(self._group, self._dataset.topic)
        if both or workload.progress == "written":
            written = await self._cluster.ends(self._output)
        return committed, written


def keep_log(log: Path, group: str) -> None:
    """What a contender printed stays below .work, for whoever asks why."""
    kept = HERE / ".work" / "logs"
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(log, kept / f"{group}.log")
