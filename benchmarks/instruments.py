"""Instruments are programs of their own that measure a contender from outside: started here, their figures read.

An instrument is a module with a `main` that takes one JSON object as its only argument. It prints a line "measuring"
when its warm-up is over, a line "measured" at the end, and then its figures as one JSON object. What goes wrong is an
exit code and a message on standard error.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any

from benchmarks.arena import ROOT
from benchmarks.processes import Contestant

MEASURING, MEASURED = "measuring", "measured"
TAIL = 600
"""Characters of an instrument's complaint that are passed on."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The instrument's figures, and the CPU seconds that the contestants used while it measured."""

    figures: Mapping[str, float]
    cpu: float


async def read(module: str, asked: Mapping[str, Any], contestants: Sequence[Contestant], limit: float) -> Reading:
    """Runs it for at most `limit` seconds. Raises RuntimeError with what it, or a contestant, said when it failed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, json.dumps(asked), cwd=ROOT, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(limit):
            if await said(process.stdout) != MEASURING:
                raise RuntimeError(await complaint(process, contestants))
            before = cpu(contestants)
            if await said(process.stdout) != MEASURED:
                raise RuntimeError(await complaint(process, contestants))
            used = cpu(contestants) - before
            figures = json.loads(await said(process.stdout))
            return Reading(figures, used)
    except TimeoutError:
        tails = "\n".join(contestant.tail() for contestant in contestants)
        raise RuntimeError(f"{module} did not end within {limit:.0f} s:\n{tails}") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def said(stream: asyncio.StreamReader) -> str:
    return (await stream.readline()).decode().strip()


def cpu(contestants: Sequence[Contestant]) -> float:
    return sum(contestant.cpu() for contestant in contestants)


async def complaint(process: asyncio.subprocess.Process, contestants: Sequence[Contestant]) -> str:
    """A contestant that has ended is the reason, whatever the instrument says."""
    for contestant in contestants:
        contestant.check()
    assert process.stderr is not None
    return (await process.stderr.read()).decode(errors="replace").strip()[-TAIL:]


def percentile(rising: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    return rising[max(0, ceil(share * len(rising)) - 1)]


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds."""
    rising = sorted(seconds)
    return {
        "p50_ms": 1e3 * percentile(rising, 0.5),
        "p99_ms": 1e3 * percentile(rising, 0.99),
        "max_ms": 1e3 * rising[-1],
    }
