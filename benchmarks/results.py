"""Raw lines of runs, one JSON object each, and what they add up to: medians, ratios, whether targets are reached."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one contender. `problem` is None if its result was right; then the figures count."""

    workload: str
    contender: str
    run: int
    records: int
    rate: float = 0.0
    late_rate: float = 0.0
    cpu_us: float = 0.0
    rss_mb: float = 0.0
    start_s: float = 0.0
    seconds: float = 0.0
    load: float = 0.0
    """The machine's load average before it started."""
    problem: str | None = None
    session: int = field(default=0, compare=False)
    """The run of the benchmark that it is of: its number among those that are read."""

    def line(self) -> str:
        figures = {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(self).items()}
        del figures["session"]
        return json.dumps({"kind": "run", **figures})


@dataclass(frozen=True, slots=True)
class Row:
    """The median of a contender's right runs."""

    contender: str
    runs: int
    wrong: int
    rate: float
    late_rate: float
    cpu_us: float
    rss_mb: float
    start_s: float


def read(paths: Iterable[Path]) -> tuple[list[dict[str, Any]], list[Result], list[str]]:
    """The descriptions of machines, the results, and the lines as they stand."""
    lines = [line for path in paths for line in path.read_text().splitlines() if line.strip()]
    records = [json.loads(line) for line in lines]
    machines = [record for record in records if record["kind"] == "machine"]
    sessions = accumulate(record["kind"] == "machine" for record in records)
    results = [
        Result(**{name: value for name, value in record.items() if name != "kind"}, session=session)
        for record, session in zip(records, sessions, strict=True)
        if record["kind"] == "run"
    ]
    return machines, results, lines


def fields(results: Iterable[Result], workload: str) -> list[list[Result]]:
    """Of a workload, by who ran against whom: sessions with the same contenders are one field, others stand alone."""
    sessions: dict[int, list[Result]] = {}
    for result in results:
        if result.workload == workload:
            sessions.setdefault(result.session, []).append(result)
    found: dict[frozenset[str], list[Result]] = {}
    for session in sessions.values():
        found.setdefault(frozenset(result.contender for result in session), []).extend(session)
    return list(found.values())


def rows(results: Sequence[Result]) -> list[Row]:
    """By contender, in the order in which they first ran."""
    return [row(name, [result for result in results if result.contender == name]) for name in unique(results)]


def unique(results: Iterable[Result]) -> list[str]:
    return list(dict.fromkeys(result.contender for result in results))


def row(contender: str, results: Sequence[Result]) -> Row:
    right = [result for result in results if result.problem is None]

    def middle(name: str) -> float:
        return median(getattr(result, name) for result in right) if right else 0.0

    return Row(
        contender, len(right), len(results) - len(right), middle("rate"), middle("late_rate"), middle("cpu_us"),
        middle("rss_mb"), middle("start_s"),
    )


def ratio(row: Row, baseline: Row | None, *, warm: bool = False) -> float | None:
    """How many times as fast (`warm`: as the baseline in its second half); None where one of them has no right run."""
    if baseline is None:
        return None
    reference = baseline.late_rate if warm else baseline.rate
    return row.rate / reference if row.rate and reference else None
