"""The command line of the benchmarks.

    python -m benchmarks run [W1 W2 ...] [--runs 3] [--records N] [--against hand,faust]
    python -m benchmarks growth [--quick]
    python -m benchmarks churn [--records N]
    python -m benchmarks report FILE ...
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import churn, growth, machine, results, runner, trial_report, trials
from benchmarks.cluster import running
from benchmarks.contenders import BASELINES, EXACT
from benchmarks.environments import HERE
from benchmarks.findings import Finding, findings
from benchmarks.registry import TRIALS
from benchmarks.report import markdown
from benchmarks.results import Result
from benchmarks.trials import Trial
from benchmarks.workloads import WORKLOADS, Workload

KNOWN: dict[str, Workload | Trial] = {**WORKLOADS, **TRIALS}


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.command == "report":
        return report(options.files)
    return measure(options, arguments)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures us against others.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run workloads on one real Kafka, write raw lines, print the tables")
    known = ", ".join(f"{name}: {KNOWN[name].what}" for name in sorted(KNOWN))
    run.add_argument("workloads", nargs="*", metavar="W", help=f"{known} (default: all)")
    run.add_argument("--runs", type=int, default=3, help="of each contender (default: 3)")
    run.add_argument("--records", type=int, help="orders, keys or requests (default: each workload's own number)")
    names = ",".join(one.name for one in (*EXACT, *BASELINES))
    run.add_argument("--against", default=names, help=f"baselines, separated by commas (default: {names})")
    grow = commands.add_parser("growth", help="what a record costs with more partitions, tables and keys")
    grow.add_argument("--quick", action="store_true", help="fewer records, and not the largest state")
    grow.add_argument("--runs", type=int, default=1, help="of each size (default: 1)")
    turn = commands.add_parser("churn", help="memory while windows of ever new keys come and go")
    turn.add_argument("--records", type=int, help=f"default: {churn.TRIAL.size:,}")
    turn.add_argument("--runs", type=int, default=1, help="default: 1")
    for command in (run, grow, turn):
        command.add_argument("--broker", metavar="URL", help="a Kafka that runs already (default: one is started)")
        command.add_argument("--raw", type=Path, help="file for the raw lines (default: a new one below .work)")
    write = commands.add_parser("report", help="write RESULTS.md and the plots from files of raw lines")
    write.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    if options.command != "report":
        check(parser, options)
    return options


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Replaces names by what they stand for; ends with a message for those that stand for nothing."""
    if options.command == "growth":
        options.workloads = growth.quick() if options.quick else list(growth.TRIALS)
        options.against, options.records = frozenset(), None
    elif options.command == "churn":
        options.workloads, options.against = [churn.TRIAL], frozenset()
    else:
        options.against = frozenset(filter(None, options.against.split(",")))
        unknown = {*options.workloads} - {*KNOWN} | options.against - {one.name for one in (*EXACT, *BASELINES)}
        if unknown:
            parser.error(f"unknown: {', '.join(sorted(unknown))}")
        options.workloads = [KNOWN[name] for name in options.workloads or sorted(KNOWN)]
    if options.runs < 1 or (options.records is not None and options.records < 1):
        parser.error("--runs and --records must be at least 1")


def measure(options: argparse.Namespace, arguments: list[str]) -> int:
    """1 if any result was wrong. SIGTERM ends it as Ctrl-C does: with its broker and the contender of the moment."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raw = options.raw or HERE / ".work" / f"{int(time.time())}.jsonl"
    raw.parent.mkdir(parents=True, exist_ok=True)
    with raw.open("a") as lines:
        print(machine.machine_line(arguments), file=lines, flush=True)
        found: list[Result | Finding] = []

        def note(result: Result | Finding) -> None:
            found.append(result)
            print(result.line(), file=lines, flush=True)
            print(result.line(), flush=True)

        asyncio.run(compete(options, note))
    print(markdown(*results.read([raw])).partition("## Machine")[0])
    print(f"raw lines: {raw}")
    return int(any(result.problem for result in found))


async def compete(options: argparse.Namespace, note: Callable[[Result | Finding], None]) -> None:
    """All that was chosen, in its order, on one Kafka."""
    chosen: list[Workload | Trial] = options.workloads
    against, runs, records = options.against, options.runs, options.records
    for one in chosen:
        if isinstance(one, Trial):
            one.prepare(against)
        else:
            runner.prepare(one, against)
    async with running(options.broker) as cluster:
        stamp = runner.stamped()
        for one in chosen:
            if isinstance(one, Trial):
                await trials.compete(cluster, one, runs=runs, size=records, against=against, stamp=stamp, report=note)
            else:
                await runner.compete(
                    cluster, one, runs=runs, records=records, against=against, stamp=stamp, report=note
                )


def report(files: list[Path]) -> int:
    machines, found, lines = results.read(files)
    (HERE / "RESULTS.md").write_text(markdown(machines, found, lines))
    for path in trial_report.draw(machines, findings(lines)):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
