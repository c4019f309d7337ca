"""RESULTS.md from raw lines: the machine, a table per workload, the settings, the lines themselves."""

from collections.abc import Sequence
from typing import Any

from benchmarks import proofs, trial_report
from benchmarks.contenders import BASELINES, EXACT
from benchmarks.findings import findings
from benchmarks.results import Result, Row, fields, ratio, rows
from benchmarks.settings import TABLE
from benchmarks.tables import table
from benchmarks.workloads import WORKLOADS, Workload

NAMES = {one.name for one in (*EXACT, *BASELINES)}
WARM = {baseline.name for baseline in BASELINES if baseline.warms_up}
EXACTLY = "-eos"
"""How the names of ours end under exactly-once."""
EXACT_SHARE = 0.8
"""Of the throughput under at-least-once, that is to be reached."""
HEAD = """\
# Results

Made by `python -m benchmarks report`; not edited by hand. How it is measured, and what the figures mean:
`docs/explanation/performance.md`.
"""


def markdown(machines: Sequence[dict[str, Any]], results: Sequence[Result], lines: Sequence[str]) -> str:
    ran = {result.workload for result in results}
    sections = {
        name: "\n\n".join(section(workload, rows(field)) for field in fields(results, name))
        for name, workload in WORKLOADS.items()
        if name in ran
    }
    sections |= trial_report.sections(findings(lines))
    parts = [HEAD, *(sections[name] for name in sorted(sections))]
    parts.append(proofs.section())
    parts.append("## Machine and versions\n\n" + "\n\n".join(map(machine, machines)))
    parts.append("## Settings, the same for all\n\n" + table(("setting", "value"), TABLE))
    parts.append("## Raw lines\n\n```json\n" + "\n".join(lines) + "\n```")
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def section(workload: Workload, found: Sequence[Row]) -> str:
    baselines = {row.contender: row for row in found if row.contender in NAMES}
    against = (f"to {called(name)}" for name in baselines)
    head = ("", "records/s", "second half", *against, "CPU µs/record", "peak RSS MB", "start s", "runs")
    body = []
    for row in found:
        ratios = (times(ratio(row, baseline, warm=name in WARM)) for name, baseline in baselines.items())
        runs = f"{row.runs}" + (f" ({row.wrong} wrong)" if row.wrong else "")
        speeds = f"{row.rate:,.0f}", f"{row.late_rate:,.0f}"
        costs = f"{row.cpu_us:.2f}", f"{row.rss_mb:.0f}", f"{row.start_s:.1f}"
        body.append((row.contender, *speeds, *ratios, *costs, runs))
    return f"## {workload.name}: {workload.what}\n\n{table(head, body)}\n\n{verdicts(workload, found, baselines)}"


def verdicts(workload: Workload, found: Sequence[Row], baselines: dict[str, Row]) -> str:
    """A line for each target of each of ours."""
    lines = []
    for row in found:
        if not row.contender.startswith("ours"):
            continue
        usual = next((other for other in found if row.contender == f"{other.contender}{EXACTLY}"), None)
        if (share := ratio(row, usual)) is not None and usual is not None:
            said = f"{share:.2f} times {usual.contender}, wanted {EXACT_SHARE:g}"
            lines.append(f"- {row.contender}: {said}: {verdict(share >= EXACT_SHARE)}")
        for name, least in workload.target.ratios.items():
            reached = ratio(row, baselines.get(name), warm=name in WARM)
            if reached is not None:
                said = f"{reached:.2f} times {called(name)}, wanted {least:g}"
                lines.append(f"- {row.contender}: {said}: {verdict(reached >= least)}")
        if workload.target.rate is not None:
            least = workload.target.rate
            said = f"{row.rate:,.0f} records/s, wanted {least:,.0f}"
            lines.append(f"- {row.contender}: {said}: {verdict(row.rate >= least)}")
    return "\n".join(lines)


def called(baseline: str) -> str:
    """What it is compared with: of a contender that warms up, its second half."""
    return f"{baseline} warm" if baseline in WARM else baseline


def verdict(reached: bool) -> str:
    return "reached" if reached else "**missed**"


def times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def machine(facts: dict[str, Any]) -> str:
    versions = "; ".join(
        f"{name}: " + ", ".join(f"{package} {version}" for package, version in packages.items())
        for name, packages in facts["versions"].items()
    )
    return table(
        ("", ""),
        [
            ("when", facts["at"]),
            ("command", f"`{facts['command']}`"),
            ("commit", facts["commit"]),
            ("machine", f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, {facts['system']}"),
            ("Python", facts["python"]),
            ("Kafka", facts["kafka"]),
            ("versions", versions),
        ],
    )
