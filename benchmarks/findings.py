"""Results that are named figures: what trials find, medians over runs, and goals that figures are held against."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

KIND = "trial"


@dataclass(frozen=True, slots=True)
class Finding:
    """One run of one contender in one trial. `problem` is None if its result was right; then the figures count."""

    workload: str
    contender: str
    run: int
    size: int
    figures: Mapping[str, float] = field(default_factory=dict)
    load: float = 0.0
    """The machine's load average before it started."""
    problem: str | None = None

    def line(self) -> str:
        return json.dumps(
            {
                "kind": KIND,
                "workload": self.workload,
                "contender": self.contender,
                "run": self.run,
                "size": self.size,
                **{name: round(value, 3) for name, value in self.figures.items()},
                "load": round(self.load, 2),
                "problem": self.problem,
            }
        )


def findings(lines: Sequence[str]) -> list[Finding]:
    """Those among raw lines."""
    known = {"workload", "contender", "run", "size", "load", "problem"}
    found = []
    for record in map(json.loads, lines):
        if record.pop("kind") == KIND:
            figures = {name: record.pop(name) for name in list(record) if name not in known}
            found.append(Finding(**record, figures=figures))
    return found


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of a contender's right runs; no figures without any."""

    contender: str
    runs: int
    wrong: int
    figures: Mapping[str, float]


def summaries(found: Sequence[Finding], workload: str) -> dict[str, Summary]:
    """By contender, in the order in which they first ran."""
    mine = [finding for finding in found if finding.workload == workload]
    names = dict.fromkeys(finding.contender for finding in mine)
    return {name: summary(name, [finding for finding in mine if finding.contender == name]) for name in names}


def summary(contender: str, found: Sequence[Finding]) -> Summary:
    right = [finding.figures for finding in found if finding.problem is None]
    figures = {name: median(figures[name] for figures in right) for name in (right[0] if right else ())}
    return Summary(contender, len(right), len(found) - len(right), figures)


@dataclass(frozen=True, slots=True)
class Column:
    """A figure as the report shows it: under which head, with how many digits after the point."""

    figure: str
    head: str
    digits: int = 0

    def show(self, figures: Mapping[str, float]) -> str:
        return f"{figures[self.figure]:,.{self.digits}f}" if self.figure in figures else ""


@dataclass(frozen=True, slots=True)
class Goal:
    """`contender`'s `figure` is to be at least (with `at_most`: at most) `times` that of `baseline`, plus `plus`."""

    contender: str
    figure: str
    baseline: str | None = None
    times: float = 1.0
    plus: float = 0.0
    at_most: bool = False

    def bound(self, found: Mapping[str, Summary]) -> float | None:
        """None where the baseline has no right run."""
        if self.baseline is None:
            return self.plus
        if self.baseline not in found or self.figure not in found[self.baseline].figures:
            return None
        return self.times * found[self.baseline].figures[self.figure] + self.plus

    def verdict(self, found: Mapping[str, Summary], column: Column) -> str | None:
        """A line of the report; None where there is nothing to compare."""
        bound, mine = self.bound(found), found.get(self.contender)
        if bound is None or mine is None or self.figure not in mine.figures:
            return None
        value = mine.figures[self.figure]
        reached = value <= bound if self.at_most else value >= bound
        shown = column.show({self.figure: bound})
        wanted = f"{'at most' if self.at_most else 'at least'} {shown}{self._reason()}"
        said = f"{column.show(mine.figures)} {column.head}, wanted {wanted}"
        return f"- {self.contender}: {said}: {'reached' if reached else '**missed**'}"

    def _reason(self) -> str:
        if self.baseline is None:
            return ""
        times = f"{self.times:g} times " if self.times != 1 else ""
        plus = f" + {self.plus:g}" if self.plus else ""
        return f" ({times}{self.baseline}{plus})"
