"""What samples say about speed; results, medians and the report; the command line. No Kafka, no timing."""

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command_line
from benchmarks.measuring import Sample, speed, steps
from benchmarks.processes import Contestant, descendants
from benchmarks.registry import TRIALS
from benchmarks.report import markdown, section
from benchmarks.results import Result, fields, ratio, read, row, rows
from benchmarks.workloads import WORKLOADS


def written(*counts: tuple[float, int], cpu: float = 0.5) -> list[Sample]:
    return [Sample(time, None, (count // 2, count - count // 2), cpu * time) for time, count in counts]


def committed(*counts: tuple[float, int]) -> list[Sample]:
    return [Sample(time, (count,), None, time) for time, count in counts]


def test_speed_counts_from_the_first_sample_with_something_done() -> None:
    found = speed(written((1, 0), (2, 100), (3, 600), (4, 1_100)), "written", 1_100, 2_200)
    assert (found.rate, found.late_rate, found.seconds) == (1_000, 1_000, 2)
    assert found.cpu == pytest.approx(500)


def test_the_second_half_has_a_rate_of_its_own() -> None:
    found = speed(written((1, 100), (3, 200), (4, 500), (5, 1_100)), "written", 1_100, 1_100)
    assert (found.rate, found.late_rate) == (250, 600)


def test_the_last_commit_waits_for_its_time_and_does_not_count() -> None:
    steady = committed((1, 100), (2, 600), (3, 1_100), (3.5, 1_100), (4, 1_200))
    assert speed(steady, "committed", 1_200, 1_200).rate == 500


def test_two_commits_count_from_one_to_the_other() -> None:
    assert speed(committed((1, 100), (2, 1_100)), "committed", 1_100, 1_100).rate == 1_000


def test_nothing_done_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="nothing was done"):
        speed(written((1, 0)), "written", 10, 10)


def test_steps_are_the_samples_with_more_done() -> None:
    samples = written((1, 0), (2, 5), (3, 5), (4, 9))
    assert [sample.time for sample in steps(samples, "written")] == [2, 4]


def test_the_median_is_taken_of_right_runs_only() -> None:
    runs = [Result("W1", "hand", n, 10, rate=float(n)) for n in (1, 2, 9)]
    runs.append(Result("W1", "hand", 4, 10, problem="wrong"))
    found = row("hand", runs)
    assert (found.rate, found.runs, found.wrong) == (2.0, 3, 1)
    assert ratio(found, None) is None
    assert ratio(found, row("late", [Result("W1", "late", 1, 10, rate=1.0, late_rate=4.0)]), warm=True) == 0.5
    assert ratio(found, row("faust", [])) is None


def test_a_report_is_made_of_the_raw_lines(tmp_path: Path) -> None:
    machine = {
        "kind": "machine", "at": "now", "command": "c", "commit": "abc", "cpu": "x", "cores": 2, "memory_gb": 4,
        "system": "s", "python": "3.11", "kafka": "4", "versions": {"ours": {"aiokafka": "0.14"}},
    }  # fmt: skip
    found = [
        Result("W1", "ours-dsl", 1, 10, rate=700.0),
        Result("W1", "hand", 1, 10, rate=1_000.0),
        Result("W1", "kstreams", 1, 10, rate=400.0, late_rate=500.0),
        Result("W8", "ours-agent", 1, 10, rate=14_000.0),
    ]
    raw = tmp_path / "raw.jsonl"
    raw.write_text("\n".join([json.dumps(machine), *(result.line() for result in found)]))
    machines, results, lines = read([raw])
    assert (machines, results, len(lines)) == ([machine], found, 5)
    (first,) = fields(results, "W1")
    assert [entry.contender for entry in rows(first)] == ["ours-dsl", "hand", "kstreams"]
    page = markdown(machines, results, lines)
    assert "- ours-dsl: 0.70 times hand, wanted 1.1: **missed**" in page
    assert "- ours-dsl: 1.40 times kstreams warm, wanted 1.2: reached" in page
    assert "- ours-agent: 14,000 records/s, wanted 20,000: **missed**" in page
    assert all(line in page for line in lines)


def test_only_sessions_with_the_same_contenders_are_pooled(tmp_path: Path) -> None:
    machine = json.dumps({"kind": "machine"})
    sessions = [
        [Result("W1", "ours-dsl", 1, 10, rate=700.0), Result("W1", "hand", 1, 10, rate=1_000.0)],
        [Result("W1", "ours-dsl", 1, 10, rate=500.0), Result("W1", "ours-dsl-eos", 1, 10, rate=450.0)],
        [Result("W1", "hand", 1, 10, rate=1_200.0), Result("W1", "ours-dsl", 1, 10, rate=900.0)],
    ]
    raw = tmp_path / "raw.jsonl"
    raw.write_text("\n".join(line for session in sessions for line in (machine, *(each.line() for each in session))))
    _, results, _ = read([raw])
    with_hand, exact = fields(results, "W1")
    assert [(entry.contender, entry.rate) for entry in rows(with_hand)] == [("ours-dsl", 800.0), ("hand", 1_100.0)]
    said = section(WORKLOADS["W1"], rows(exact))
    assert "- ours-dsl-eos: 0.90 times ours-dsl, wanted 0.8: reached" in said
    assert "hand" not in said


def test_the_command_line_knows_workloads_and_baselines(capsys: pytest.CaptureFixture[str]) -> None:
    options = command_line.parse(["run", "W2", "--against", "hand", "--runs", "2"])
    assert (options.workloads, options.against, options.runs) == ([WORKLOADS["W2"]], frozenset({"hand"}), 2)
    everything = {one.name for one in command_line.parse(["run"]).workloads}
    assert everything == {*WORKLOADS, *TRIALS}
    for wrong in (["run", "W99"], ["run", "--against", "nobody"], ["run", "--runs", "0"]):
        with pytest.raises(SystemExit):
            command_line.parse(wrong)
    assert "nobody" in capsys.readouterr().err
    churning = command_line.parse(["churn", "--records", "2000"])
    assert ([one.name for one in churning.workloads], churning.records, churning.runs) == (["churn"], 2_000, 1)


def test_a_contestant_is_measured_and_ended(tmp_path: Path) -> None:
    contestant = Contestant(["sh", "-c", "sleep 60 & wait"], {}, tmp_path, tmp_path / "log")
    try:
        contestant.check()
        assert contestant.cpu() >= 0
        assert contestant.peak_rss() > 0
        assert contestant.rss() > 0
        assert contestant.pid in descendants(contestant.pid)
    finally:
        contestant.stop()
    with pytest.raises(RuntimeError, match="ended with code"):
        contestant.check()
