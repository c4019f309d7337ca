"""What trials found, for RESULTS.md: a table and verdicts for each, and a plot for each kind of growth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import growth
from benchmarks.environments import HERE
from benchmarks.findings import Finding, Summary, summaries
from benchmarks.plots import plot
from benchmarks.registry import ALL
from benchmarks.tables import table
from benchmarks.trials import Trial

PLOTS: Final = HERE.parent / "docs" / "explanation"


def sections(found: Sequence[Finding]) -> dict[str, str]:
    """By the trial's name, for those that ran."""
    ran = {finding.workload for finding in found}
    return {name: section(trial, summaries(found, name)) for name, trial in ALL.items() if name in ran}


def section(trial: Trial, found: Mapping[str, Summary]) -> str:
    head = ("", *(column.head for column in trial.columns), "runs")
    body = [row(trial, summary) for summary in found.values()]
    verdicts = (goal.verdict(found, trial.column(goal.figure)) for goal in trial.goals)
    lines = "\n".join(verdict for verdict in verdicts if verdict is not None)
    return f"## {trial.name}: {trial.what}\n\n{table(head, body)}\n\n{lines}"


def row(trial: Trial, summary: Summary) -> tuple[str, ...]:
    runs = f"{summary.runs}" + (f" ({summary.wrong} wrong)" if summary.wrong else "")
    return summary.contender, *(column.show(summary.figures) for column in trial.columns), runs


def draw(machines: Sequence[dict[str, Any]], found: Sequence[Finding], folder: Path = PLOTS) -> list[Path]:
    """Writes a plot for each kind of growth that was measured at two points at least; returns their files."""
    note = "; ".join(f"{machine['at'][:10]}, commit {machine['commit']}" for machine in machines[-1:])
    written = []
    for axis in growth.POINTS:
        rows = summaries(found, f"growth-{axis}")
        costs = {
            count: rows[name].figures["cpu_us"]
            for count in growth.POINTS[axis]
            if (name := growth.called(axis, count)) in rows and rows[name].figures
        }
        if len(costs) < 2:
            continue
        points = list(costs.items())
        limit = growth.MOST * points[0][1]
        path = folder / f"growth-{axis}.svg"
        title = f"CPU time of a record by {axis}; dashed: {growth.MOST:g} times the first"
        path.write_text(plot(title, axis, "CPU µs per record", points, limit, note), "utf-8")
        written.append(path)
    return written
