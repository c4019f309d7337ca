"""W5: how long a record takes through an application at a load that keeps nobody busy, topic to topic.

The programs are those of W1, with a limit that lets every order through.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from benchmarks.arena import contestant, environment
from benchmarks.checks import Wrong
from benchmarks.contenders import EXACTLY_ONCE, Contender, ours
from benchmarks.findings import Column, Goal
from benchmarks.instruments import read
from benchmarks.settings import COMMIT_INTERVAL, EXACT_INTERVAL
from benchmarks.trials import Attempt, Trial

RATE: Final = 1_000
"""Orders a second."""
WARM: Final = 5_000
"""Orders before those that are measured; never more than those."""
STEADY: Final = 0.95
"""The share of the rate that the instrument must have kept up."""
LIMIT: Final = 120.0
"""Seconds for start, warm-up and end, beside the time that is measured."""


async def bout(attempt: Attempt) -> Mapping[str, float]:
    group = attempt.group
    source, output = f"{group}-in", f"{group}-out"
    cluster = attempt.cluster
    for topic in (source, output):
        await cluster.create(topic)
    told = environment(cluster, group, source, output) | {"BENCH_LIMIT": "0"}
    warm = min(WARM, attempt.size)
    asked = {
        "broker": cluster.url, "input": source, "output": output, "warm": warm, "records": attempt.size, "rate": RATE
    }  # fmt: skip
    try:
        async with contestant(attempt.command, told, group) as app:
            reading = await read("benchmarks.probe", asked, [app], LIMIT + attempt.size / RATE)
            if reading.figures["sent_per_s"] < STEADY * RATE:
                raise RuntimeError(f"only {reading.figures['sent_per_s']:.0f} orders a second could be sent")
            await committed(attempt, source, 1 + warm + attempt.size)
            rss = app.peak_rss()
    finally:
        await cluster.clear(group)
    return {**reading.figures, "cpu_us": 1e6 * reading.cpu / attempt.size, "rss_mb": rss / 2**20}


async def committed(attempt: Attempt, source: str, everything: int) -> None:
    """Raises Wrong unless all that was answered is committed within some intervals, and no more."""
    for _ in range(5):
        await asyncio.sleep(COMMIT_INTERVAL)
        found = sum(await attempt.cluster.committed(attempt.group, source))
        if found == everything:
            return
    raise Wrong(f"{found} of {everything} records are committed")


def _goals(ours: str) -> tuple[Goal, ...]:
    return (
        Goal(ours, "p99_ms", "hand", plus=2, at_most=True),
        Goal(ours, "p50_ms", plus=3, at_most=True),
    )


TRIAL: Final = Trial(
    "W5",
    f"latency, {RATE:,} records a second from topic to topic",
    25_000,
    (
        ours("agent", W5="filter_agent"),
        ours("dsl", W5="filter_dsl"),
        ours("agent-eos", *EXACTLY_ONCE, W5="filter_agent"),
        ours("dsl-eos", *EXACTLY_ONCE, W5="filter_dsl"),
        Contender("hand", "hand", {"W5": ("filter.py",)}),
    ),
    bout,
    (
        Column("p50_ms", "p50 ms", 2),
        Column("p99_ms", "p99 ms", 2),
        Column("max_ms", "max ms", 1),
        Column("sent_per_s", "sent a second"),
        Column("cpu_us", "CPU µs/record"),
        Column("rss_mb", "peak RSS MB"),
    ),
    (
        *_goals("ours-agent"),
        *_goals("ours-dsl"),
        Goal("ours-agent-eos", "p99_ms", plus=1000 * EXACT_INTERVAL + 50, at_most=True),
        Goal("ours-dsl-eos", "p99_ms", plus=1000 * EXACT_INTERVAL + 50, at_most=True),
    ),
    optional=frozenset({"hand", "ours-agent-eos", "ours-dsl-eos"}),
)
