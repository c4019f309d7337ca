"""W6: the local state is lost; a worker starts and reads its table back from the changelog.

The rate is that of the restore alone, between the times at which the process's own log says that it restores and that
it has restored. The baseline says the same words in its log. `size`: keys, of which the changelog holds each once.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zlib import crc32

from benchmarks.arena import contestant, environment
from benchmarks.checks import Wrong
from benchmarks.contenders import Contender
from benchmarks.findings import Column, Goal
from benchmarks.http import free_port
from benchmarks.processes import Contestant
from benchmarks.rows import changelog, check_table, prepare, rows
from benchmarks.trials import Attempt, Module, Trial

LIMIT: Final = 120.0
"""Seconds until it must have restored."""
LOOK: Final = 0.02


class Log:
    """What a process has said so far: JSON lines with `time` and `message`."""

    def __init__(self, app: Contestant) -> None:
        self._app = app

    def line(self, beginning: str) -> dict[str, Any] | None:
        """The first line whose message begins so."""
        for text in self._app.log.read_text(errors="replace").splitlines():
            if beginning in text and text.startswith("{") and text.endswith("}"):
                line: dict[str, Any] = json.loads(text)
                if str(line["message"]).startswith(beginning):
                    return line
        return None

    async def until(self, beginning: str, seconds: float = LIMIT) -> dict[str, Any]:
        """Waits for it. Raises RuntimeError if it does not come, or the process ends."""
        deadline = time.monotonic() + seconds
        while (line := self.line(beginning)) is None:
            self._app.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"it never said {beginning!r}:\n{self._app.tail()}")
            await asyncio.sleep(LOOK)
        return line


def moment(line: Mapping[str, Any]) -> float:
    """A line's time, in seconds since the epoch."""
    said = line["time"]
    return datetime.fromisoformat(said).timestamp() if isinstance(said, str) else float(said)


async def bout(attempt: Attempt) -> Mapping[str, float]:
    application = f"{attempt.stamp}-{attempt.workload}-{attempt.size}".lower()
    source = await prepare(attempt.cluster, application, attempt.size)
    is_ours = attempt.contender.name.startswith("ours")
    port = free_port()
    told = environment(attempt.cluster, application, source if is_ours else changelog(application), "")
    told |= {"STREAMZ_LOG_FORMAT": "json", "STREAMZ_WEB_ENABLED": "true", "STREAMZ_WEB_PORT": str(port)}
    began = time.time()
    async with contestant(attempt.command, told, attempt.group) as app:
        log = Log(app)
        start = moment(await log.until("restoring"))
        before = app.cpu()
        end = moment(await log.until("restored"))
        used, rss = app.cpu() - before, app.peak_rss()
        await (check_table(port, attempt.size) if is_ours else check_digest(log, attempt.size))
    seconds = end - start
    return {
        "rate": attempt.size / seconds,
        "seconds": seconds,
        "cpu_us": 1e6 * used / attempt.size,
        "caught_up_s": end - began,
        "rss_mb": rss / 2**20,
    }


async def check_digest(log: Log, count: int) -> None:
    """The baseline reads all it has written once more, and says what it found."""
    line = await log.until("checked")
    truth = sum(crc32(account.key + account.value) for account in rows(count))
    if (line["count"], line["total"]) != (count, truth):
        raise Wrong(f"{line['count']} rows with the digest {line['total']} instead of {count} with {truth}")


TRIAL: Final = Trial(
    "W6",
    "lose the local state of a table, restart, until caught up",
    1_000_000,
    (
        Contender("ours", "ours", {"W6": ("benchmarks.ours.rows_agent", "worker")}),
        Module("bare", "", {"W6": ("benchmarks.bare",)}),
    ),
    bout,
    (
        Column("rate", "records/s"),
        Column("seconds", "seconds", 2),
        Column("cpu_us", "CPU µs/record", 2),
        Column("caught_up_s", "caught up after s", 1),
        Column("rss_mb", "peak RSS MB"),
    ),
    (Goal("ours", "rate", "bare", times=0.8),),
)
