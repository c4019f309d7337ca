"""Where a contender runs: what it is told through its environment, its empty folder, its process, its log kept."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks import accounts, settings
from benchmarks.cluster import Cluster
from benchmarks.environments import HERE
from benchmarks.processes import Contestant

ROOT = HERE.parent


def environment(cluster: Cluster, group: str, source: str, output: str) -> dict[str, str]:
    """What every contender is told; its folder comes with its process."""
    return {
        "BENCH_BROKER": cluster.bootstrap,
        "BENCH_INPUT": source,
        "BENCH_OUTPUT": output,
        "BENCH_TABLE": accounts.TOPIC,
        "BENCH_GROUP": group,
        "BENCH_PARTITIONS": str(settings.PARTITIONS),
        "BENCH_COMMIT_INTERVAL": str(settings.COMMIT_INTERVAL),
        "BENCH_BATCH_BYTES": str(settings.BATCH_BYTES),
        "BENCH_LIMIT": str(settings.MEDIAN_CENTS / 100),
        "BENCH_WAIT": str(settings.WAIT),
        "BENCH_CONCURRENCY": str(settings.CONCURRENCY),
    }


@asynccontextmanager
async def contestant(command: Sequence[str], told: Mapping[str, str], name: str) -> AsyncIterator[Contestant]:
    """Starts it in an empty folder; ends it with the block, and keeps what it printed as `name`.log below .work."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "log"
        started = Contestant(command, {**told, "BENCH_DIR": str(Path(folder) / "data")}, ROOT, log)
        try:
            yield started
        finally:
            await asyncio.to_thread(started.stop)
            keep_log(log, name)


def keep_log(log: Path, name: str) -> None:
    """What a contender printed stays, for whoever asks why."""
    kept = HERE / ".work" / "logs"
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(log, kept / f"{name}.log")
