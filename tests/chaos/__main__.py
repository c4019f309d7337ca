"""`python -m tests.chaos --app orders --guarantee exactly_once --cycles 100 --seed 7`: one campaign, told as it goes.

Ends with 1 if anything was violated; then what workers and brokers said is kept, and where is told.
"""

import argparse
import asyncio
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.proofs import LINES
from tests.chaos.arena import Plan, arena
from tests.chaos.campaign import Verdict
from tests.chaos.subjects import SUBJECTS
from tests.integration.processes import ROOT


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of what befalls brokers the load hears too
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--app", choices=sorted(SUBJECTS), default="orders")
    parser.add_argument("--guarantee", choices=("at_least_once", "exactly_once"), default="exactly_once")
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--standbys", type=int, default=0, help="copies of each table")
    parser.add_argument("--logs", type=Path, help="keep all logs here (default: only if something is violated)")
    parser.add_argument("--proof", action="store_true", help="add a line to benchmarks/proofs.jsonl")
    options = parser.parse_args()
    plan = Plan(options.guarantee, options.cycles, options.seed, options.standbys)
    folder = options.logs or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    verdict = asyncio.run(hold(options.app, plan, folder))
    counts = ", ".join(f"{kind} {count}" for kind, count in verdict.counts.items())
    if options.proof:
        with LINES.open("a") as proofs:
            proofs.write(json.dumps(proof(options.app, plan, verdict)) + "\n")
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


def proof(app: str, plan: Plan, verdict: Verdict) -> dict[str, object]:
    """A campaign as RESULTS tells it."""
    counts = ", ".join(f"{count} {kind}" for kind, count in verdict.counts.items())
    guarantee = plan.guarantee.replace("_", " ")
    copies = f", {plan.standbys} standby" if plan.standbys else ""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return {
        "what": f"cycles of chaos on three Kafka nodes, {app}, {guarantee}{copies}, seed {plan.seed} ({counts})",
        "tried": plan.cycles,
        "violations": len(verdict.violations),
        "commit": commit.stdout.strip(),
        "day": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seconds": round(verdict.seconds),
    }


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
