"""The command line of the benchmarks.

    python -m benchmarks run [W1 W2 ...] [--runs 3] [--records N] [--against hand,faust]
    python -m benchmarks report FILE ...
"""

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path

from benchmarks import machine, results
from benchmarks.contenders import BASELINES
from benchmarks.environments import HERE
from benchmarks.report import markdown
from benchmarks.results import Result
from benchmarks.runner import run
from benchmarks.workloads import WORKLOADS


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.command == "report":
        (HERE / "RESULTS.md").write_text(markdown(*results.read(options.files)))
        return 0
    return measure(options, arguments)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures us against others.")
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="run workloads on one real Kafka, write raw lines, print the tables")
    known = ", ".join(f"{name}: {workload.what}" for name, workload in WORKLOADS.items())
    runner.add_argument("workloads", nargs="*", metavar="W", help=f"{known} (default: all)")
    runner.add_argument("--runs", type=int, default=3, help="of each contender (default: 3)")
    runner.add_argument("--records", type=int, help="orders to work off (default: each workload's own number)")
    names = ",".join(baseline.name for baseline in BASELINES)
    runner.add_argument("--against", default=names, help=f"baselines, separated by commas (default: {names})")
    runner.add_argument("--broker", metavar="URL", help="a Kafka that runs already (default: one is started)")
    runner.add_argument("--raw", type=Path, help="file for the raw lines (default: a new one below benchmarks/.work)")
    report = commands.add_parser("report", help="write RESULTS.md from files of raw lines")
    report.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "run":
        check(parser, options)
    return options


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Replaces names by what they stand for; ends with a message for those that stand for nothing."""
    options.against = frozenset(filter(None, options.against.split(",")))
    unknown = {*options.workloads} - {*WORKLOADS} | options.against - {baseline.name for baseline in BASELINES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if options.runs < 1 or (options.records is not None and options.records < 1):
        parser.error("--runs and --records must be at least 1")
    options.workloads = [WORKLOADS[name] for name in options.workloads or WORKLOADS]


def measure(options: argparse.Namespace, arguments: list[str]) -> int:
    """1 if any result was wrong. SIGTERM ends it as Ctrl-C does: with its broker and the contender of the moment."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raw = options.raw or HERE / ".work" / f"{int(time.time())}.jsonl"
    raw.parent.mkdir(parents=True, exist_ok=True)
    found: list[Result] = []
    with raw.open("a") as lines:
        print(machine.machine_line(arguments), file=lines, flush=True)

        def report(result: Result) -> None:
            found.append(result)
            print(result.line(), file=lines, flush=True)
            print(result.line(), flush=True)

        asyncio.run(
            run(
                options.workloads,
                runs=options.runs,
                records=options.records,
                against=options.against,
                url=options.broker,
                report=report,
            )
        )
    print(markdown(*results.read([raw])).partition("## Machine")[0])
    print(f"raw lines: {raw}")
    return int(any(result.problem for result in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
