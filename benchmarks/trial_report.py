"""What trials found, for RESULTS.md: a table and verdicts for each, a plot for each kind of growth and for churn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import churn, growth
from benchmarks.environments import HERE
from benchmarks.findings import Finding, Summary, summaries
from benchmarks.plots import curve, plot
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
    """Writes a plot for churn and for each kind of growth that was measured at two points at least; their files."""
    note = "; ".join(f"{machine['at'][:10]}, commit {machine['commit']}" for machine in machines[-1:])
    plots = {f"growth-{axis}.svg": growing(axis, found, note) for axis in growth.POINTS}
    plots["churn-memory.svg"] = churning(found, note)
    written = {folder / name: content for name, content in plots.items() if content is not None}
    for path, content in written.items():
        path.write_text(content, "utf-8")
    return list(written)


def growing(axis: growth.Axis, found: Sequence[Finding], note: str) -> str | None:
    rows = summaries(found, f"growth-{axis}")
    costs = {
        count: rows[name].figures["cpu_us"]
        for count in growth.POINTS[axis]
        if (name := growth.called(axis, count)) in rows and rows[name].figures
    }
    if len(costs) < 2:
        return None
    points = list(costs.items())
    title = f"CPU time of a record by {axis}; dashed: {growth.MOST:g} times the first"
    return plot(title, axis, "CPU µs per record", points, growth.MOST * points[0][1], note)


def churning(found: Sequence[Finding], note: str) -> str | None:
    rows = summaries(found, churn.TRIAL.name)
    figures = rows[churn.OURS].figures if churn.OURS in rows else {}
    if not figures:
        return None
    title = f"Memory while windows come and go; dashed: {churn.MOST:g} times the second quarter"
    limit = churn.MOST * figures["early_mb"]
    return curve(title, "million records", "RSS MB", churn.points(figures), limit, note)
