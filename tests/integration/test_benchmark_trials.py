"""The smoke run of the trials, from latency to churn: results of a few records are right. No speed is asserted."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import churn, contenders, growth, latency, querying, restoring, rows
from benchmarks.cluster import running
from benchmarks.findings import Finding
from benchmarks.trials import Trial, compete

pytestmark = pytest.mark.kafka

TRIALS = (
    (latency.TRIAL, 200, frozenset({"ours-dsl", "hand"})),
    (restoring.TRIAL, 5_000, frozenset({"ours", "bare"})),
    (querying.TRIAL, 500, frozenset({"ours-local"})),
    (growth.TRIALS[1], 5_000, frozenset({"tables-5"})),
    (churn.TRIAL, 4_000, frozenset({churn.OURS})),
)


@pytest.fixture(autouse=True)
def this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hand-written loop runs in this environment, which has all its packages: nothing is fetched."""
    monkeypatch.setattr(contenders, "python_of", lambda folder: Path(sys.executable))
    monkeypatch.setattr(latency, "STEADY", 0.0)
    monkeypatch.setattr(querying, "KEYS", 2_000)
    monkeypatch.setattr(rows, "SAMPLES", 1)


@pytest.mark.parametrize(("trial", "size", "names"), TRIALS, ids=[trial.name for trial, _, _ in TRIALS])
async def test_results_are_right(trial: Trial, size: int, names: frozenset[str], kafka_url: str) -> None:
    chosen = tuple(contender for contender in trial.contenders if contender.name in names)
    found: list[Finding] = []
    async with running(kafka_url) as cluster:
        await compete(
            cluster, replace(trial, contenders=chosen), runs=1, size=size, against=names, stamp="smoke",
            report=found.append,
        )  # fmt: skip
    assert [(finding.contender, finding.problem) for finding in found] == [(one.name, None) for one in chosen]
    assert all(finding.figures for finding in found)
