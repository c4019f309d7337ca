"""A measurement from outside: samples of what is done, and what they say about speed and cost."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.processes import Contestant

INTERVAL = 0.05
PATIENCE = 60.0
"""Seconds without progress after which a contender is given up."""
SETTLE = 1.5
"""Seconds that it goes on after it seemed done: what it writes too often must show."""

Offsets = tuple[int, ...]
"""By partition."""


@dataclass(frozen=True, slots=True)
class Sample:
    """At `time` (monotonic seconds) so much was done, by partition; `committed` was read before `written`."""

    time: float
    committed: Offsets | None
    written: Offsets | None
    cpu: float

    def done(self, progress: str) -> int:
        return sum((self.written if progress == "written" else self.committed) or ())


@dataclass(frozen=True, slots=True)
class Speed:
    """`rate`: input records a second. `late_rate`: the same over the second half. `cpu`: microseconds per record."""

    rate: float
    late_rate: float
    cpu: float
    seconds: float


Look = Callable[[], Awaitable[tuple[Offsets | None, Offsets | None]]]
"""Reads what is committed and what is written."""


async def watch(contestant: Contestant, look: Look, progress: str, expected: int) -> list[Sample]:
    """Samples from the start until `expected` is reached, and a little on. Raises RuntimeError if it never is."""
    samples: list[Sample] = []
    best, moved = 0, time.monotonic()
    while best < expected:
        await asyncio.sleep(INTERVAL)
        samples.append(await sample(contestant, look))
        done = samples[-1].done(progress)
        if done > best:
            best, moved = done, time.monotonic()
            contestant.peak_rss()
        elif time.monotonic() - moved > PATIENCE:
            raise RuntimeError(f"no progress for {PATIENCE:.0f} s at {best} of {expected}:\n{contestant.tail()}")
        contestant.check()
    await asyncio.sleep(SETTLE)
    contestant.peak_rss()
    return samples


async def sample(contestant: Contestant, look: Look) -> Sample:
    """The moment is the middle of the look: its answers are from somewhere in it."""
    before = time.monotonic()
    committed, written = await look()
    return Sample((before + time.monotonic()) / 2, committed, written, contestant.cpu())


def speed(samples: list[Sample], progress: str, expected: int, records: int) -> Speed:
    """From the first sample with something done to the last: `records` of input are `expected` of progress.

    What is committed moves in steps, and the last step waits for its time when all is done already: there the last
    step before the end counts as the end, if at least half of all is done by then.
    """
    moving = steps(samples, progress)
    if not moving:
        raise RuntimeError("nothing was done")
    first, last = moving[0], moving[-1]
    if progress == "committed" and len(moving) > 2 and moving[-2].done(progress) - first.done(progress) > expected / 2:
        last = moving[-2]
    half = (first.done(progress) + last.done(progress)) / 2
    middle = max((step for step in moving if step.done(progress) <= half), key=lambda step: step.time)
    scale = records / expected

    def rate(start: Sample, end: Sample) -> float:
        seconds = end.time - start.time
        return scale * (end.done(progress) - start.done(progress)) / seconds if seconds > 0 else 0.0

    done = scale * (last.done(progress) - first.done(progress))
    cpu = 1e6 * (last.cpu - first.cpu) / done if done else 0.0
    return Speed(rate(first, last), rate(middle, last), cpu, last.time - first.time)


def steps(samples: list[Sample], progress: str) -> list[Sample]:
    """The samples at which something more was done than before."""
    found: list[Sample] = []
    for sample in samples:
        if sample.done(progress) > (found[-1].done(progress) if found else 0):
            found.append(sample)
    return found
