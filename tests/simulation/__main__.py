"""Runs simulated seeds from the command line; what it prints of a violation reproduces it."""

# ruff: noqa: T201

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from time import monotonic

from streamz_actors.testing import Faults
from tests.simulation import schedules
from tests.simulation.cases import CASES
from tests.simulation.reports import described, report
from tests.simulation.runs import Outcome, simulate
from tests.simulation.schedules import GUARANTEES, Schedule
from tests.simulation.shrinking import shrunk

EVERY = 15.0
"""Seconds between two lines of progress."""


def main() -> int:
    options = _options()
    first, last = _range(options.seeds)
    seeds = range(first, last + 1)
    if len(seeds) == 1:
        return _one(_schedule(first, options), options)
    began = told = monotonic()
    bad: list[Outcome] = []
    for done, outcome in enumerate(_outcomes(seeds, options), 1):
        if outcome.violation is not None:
            bad.append(outcome)
            print(report(outcome), flush=True)
        if monotonic() - told > EVERY:
            told = monotonic()
            print(f"{done} of {len(seeds)} seeds, {len(bad)} violations, {told - began:.0f} s", flush=True)
    kinds = ", ".join(f"{kind} ({count})" for kind, count in Counter(one.invariant for one in bad).items())
    print(f"{len(seeds)} seeds, {len(bad)} violations{': ' if bad else ''}{kinds}, {monotonic() - began:.0f} s")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", "--seed", default="0-499", help="one (7) or several (0-499), the last included")
    parser.add_argument("--guarantee", choices=GUARANTEES, default="", help="in place of that of the seed")
    parser.add_argument("--keep", help="of one seed's schedule, only the actions with these numbers: 0,3,5")
    parser.add_argument("--faults", help="in place of the seed's network: delay=0.01,split=0.3")
    parser.add_argument("--trace", action="store_true", help="with one seed: print what happened")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for a shorter schedule")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return _checked(parser)


def _checked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    options = parser.parse_args()
    try:
        first, last = _range(options.seeds)
        _faults(options.faults)
    except ValueError:
        parser.error("seeds are written 7 or 0-499, faults delay=0.01,split=0.3")
    if first != last and (options.keep or options.trace or options.faults):
        parser.error("--keep, --faults and --trace are for one seed")
    return options


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _faults(text: str | None) -> Faults:
    pairs = [part.partition("=") for part in text.split(",")] if text else []
    return Faults(**{name: float(value) for name, _, value in pairs})


def _schedule(seed: int, options: argparse.Namespace) -> Schedule:
    schedule = schedules.make(seed, len(CASES), options.guarantee)
    if options.faults:
        schedule = replace(schedule, faults=_faults(options.faults))
    if options.keep is not None:
        kept = [int(number) for number in options.keep.split(",") if number]
        schedule = replace(schedule, actions=tuple(schedule.actions[number] for number in kept))
    return schedule


def _outcomes(seeds: range, options: argparse.Namespace) -> Iterator[Outcome]:
    work = partial(_outcome, guarantee=options.guarantee, shrinks=not options.no_shrink)
    if options.jobs == 1:
        yield from map(work, seeds)
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        yield from pool.map(work, seeds, chunksize=10)


def _outcome(seed: int, *, guarantee: str, shrinks: bool) -> Outcome:
    """Without its trace, with the shortest schedule that gives the same."""
    outcome = simulate(schedules.make(seed, len(CASES), guarantee))
    if outcome.violation is not None and shrinks:
        outcome = shrunk(outcome)
    outcome.trace = []
    return outcome


def _one(schedule: Schedule, options: argparse.Namespace) -> int:
    print(described(schedule))
    outcome = simulate(schedule)
    if options.trace:
        print(*outcome.trace, sep="\n")
    if outcome.violation is None:
        print("holds")
        return 0
    shorter = outcome if options.no_shrink or options.keep is not None else shrunk(outcome)
    print(report(shorter))
    return 1


if __name__ == "__main__":
    sys.exit(main())
