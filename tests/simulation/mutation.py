"""Plants mistakes one after the other, and says which seed finds each: `scripts/mutants`."""

# ruff: noqa: T201

import argparse
import sys
from time import monotonic

from tests.simulation import schedules
from tests.simulation.cases import CASES
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.runs import Outcome, simulate

SEEDS = 200
"""In which a mistake must be found."""


def caught(mutant: Mutant, seeds: range) -> Outcome | None:
    """The first run that shows it."""
    with mutant.planted():
        for seed in seeds:
            outcome = simulate(schedules.make(seed, len(CASES), mutant.guarantee))
            if outcome.violation is not None:
                return outcome
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many are tried for each")
    parser.add_argument("--only", default="", help="those whose names contain this")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    print(f"{'mistake':52}{'guarantee':16}{'seed':>5}  found as")
    missed = 0
    for mutant in chosen:
        began = monotonic()
        outcome = caught(mutant, range(options.seeds))
        missed += outcome is None
        seed = "-" if outcome is None else str(outcome.schedule.seed)
        found = "not found" if outcome is None else outcome.invariant
        print(f"{mutant.name:52}{mutant.guarantee:16}{seed:>5}  {found} ({monotonic() - began:.1f} s)", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
