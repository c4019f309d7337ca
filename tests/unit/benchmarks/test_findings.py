"""Figures of trials: lines and back, medians of right runs, goals and how the report tells of them."""

import json

from benchmarks.findings import Column, Finding, Goal, findings, summaries

RATE = Column("rate", "records/s")
P99 = Column("p99_ms", "p99 ms", 2)


def found(contender: str, *rates: float, problem: str | None = None) -> list[Finding]:
    return [
        Finding("W", contender, run, 10, {"rate": rate, "p99_ms": rate / 100}, problem=problem)
        for run, rate in enumerate(rates, 1)
    ]


def test_a_finding_is_a_line_and_a_line_is_a_finding() -> None:
    finding = Finding("W5", "hand", 2, 1_000, {"p50_ms": 1.25}, load=0.5, problem="slow")
    line = finding.line()
    assert json.loads(line) == {
        "kind": "trial", "workload": "W5", "contender": "hand", "run": 2, "size": 1_000, "p50_ms": 1.25, "load": 0.5,
        "problem": "slow",
    }  # fmt: skip
    assert findings([json.dumps({"kind": "machine"}), line, json.dumps({"kind": "run"})]) == [finding]


def test_medians_are_of_right_runs_only() -> None:
    rows = summaries([*found("ours", 1, 3, 2), *found("ours", 99, problem="wrong"), *found("bare", 4)], "W")
    assert list(rows) == ["ours", "bare"]
    assert (rows["ours"].figures["rate"], rows["ours"].runs, rows["ours"].wrong) == (2, 3, 1)
    assert summaries(found("ours", 1), "another") == {}


def test_without_a_right_run_there_is_no_figure_and_no_verdict() -> None:
    rows = summaries([*found("ours", 5, problem="wrong"), *found("bare", 4)], "W")
    assert RATE.show(rows["ours"].figures) == ""
    assert Goal("ours", "rate", plus=1).verdict(rows, RATE) is None
    assert Goal("bare", "rate", "ours").verdict(rows, RATE) is None
    assert Goal("bare", "rate", "nobody").verdict(rows, RATE) is None


def test_a_rate_is_wanted_as_a_number_or_as_a_share_of_the_baselines() -> None:
    rows = summaries([*found("ours", 900), *found("bare", 1_000)], "W")
    assert Goal("ours", "rate", plus=1_000).verdict(rows, RATE) == (
        "- ours: 900 records/s, wanted at least 1,000: **missed**"
    )
    assert Goal("ours", "rate", "bare", times=0.8).verdict(rows, RATE) == (
        "- ours: 900 records/s, wanted at least 800 (0.8 times bare): reached"
    )


def test_a_latency_may_be_the_baselines_and_a_little_more() -> None:
    rows = summaries([*found("ours", 900), *found("hand", 800)], "W")
    goal = Goal("ours", "p99_ms", "hand", plus=2, at_most=True)
    assert goal.verdict(rows, P99) == "- ours: 9.00 p99 ms, wanted at most 10.00 (hand + 2): reached"
    strict = Goal("ours", "p99_ms", "hand", plus=0.5, at_most=True)
    assert strict.verdict(rows, P99) == "- ours: 9.00 p99 ms, wanted at most 8.50 (hand + 0.5): **missed**"
