"""`python -m tests.chaos --app orders --guarantee exactly_once --cycles 100 --seed 7`: one campaign, told as it goes.

Ends with 1 if anything was violated; then what workers and brokers said is kept, and where is told.
"""

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.arena import Plan, arena
from tests.chaos.campaign import Verdict
from tests.chaos.subjects import SUBJECTS


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of what befalls brokers the load hears too
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--app", choices=sorted(SUBJECTS), default="orders")
    parser.add_argument("--guarantee", choices=("at_least_once", "exactly_once"), default="exactly_once")
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--standbys", type=int, default=0, help="copies of each table")
    parser.add_argument("--logs", type=Path, help="keep all logs here (default: only if something is violated)")
    options = parser.parse_args()
    plan = Plan(options.guarantee, options.cycles, options.seed, options.standbys)
    folder = options.logs or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    verdict = asyncio.run(hold(options.app, plan, folder))
    counts = ", ".join(f"{kind} {count}" for kind, count in verdict.counts.items())
    tell(f"{options.cycles} cycles ({counts}) in {verdict.seconds:.0f} s: {len(verdict.violations)} violations")
    if verdict.violations:
        tell(f"logs: {folder}")
        return 1
    if options.logs is None:
        shutil.rmtree(folder)
    return 0


async def hold(app: str, plan: Plan, folder: Path) -> Verdict:
    with (folder / "events.log").open("w") as events:

        def say(line: str) -> None:
            tell(line)
            events.write(line + "\n")
            events.flush()

        say(str(plan))
        (folder / "workers").mkdir()
        async with arena(folder / "kafka") as place:
            return await place.hold(plan, SUBJECTS[app](plan.seed), folder / "workers", say)


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
