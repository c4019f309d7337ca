"""The simulation itself: schedules, how they are shortened, what is said of them; a run is what its seed says."""

import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

from streamz_actors.testing import Faults
from tests.simulation import checks, event_time, schedules
from tests.simulation.cases import CASES
from tests.simulation.checks import Violation
from tests.simulation.event_time import Happened, Window
from tests.simulation.reports import command, report
from tests.simulation.runs import Outcome, simulate
from tests.simulation.schedules import Action, Schedule
from tests.simulation.shrinking import shrink

HOSTILE = schedules.NETWORKS[-1]


def schedule_of(*whats: str, faults: Faults = HOSTILE) -> Schedule:
    actions = tuple(Action(number, what) for number, what in enumerate(whats))
    return Schedule(0, 0, "at_least_once", 1, 1.0, 0, faults, actions)


def test_a_seed_has_one_schedule() -> None:
    assert schedules.make(7, len(CASES)) == schedules.make(7, len(CASES))
    assert schedules.make(7, len(CASES)).actions != schedules.make(8, len(CASES)).actions
    assert schedules.make(7, len(CASES), "exactly_once").guarantee == "exactly_once"


def test_seeds_cover_all_cases_guarantees_and_actions() -> None:
    made = [schedules.make(seed, len(CASES)) for seed in range(300)]
    assert {schedule.case for schedule in made} == set(range(len(CASES)))
    assert {schedule.guarantee for schedule in made} == set(schedules.GUARANTEES)
    assert {action.what for schedule in made for action in schedule.actions} == schedules.WEIGHTS.keys()
    assert {schedule.faults for schedule in made} == set(schedules.NETWORKS)


def test_a_schedule_is_shortened_to_what_it_takes() -> None:
    whole = schedule_of(*"abcdefghijklmnop")

    def fails(schedule: Schedule) -> bool:
        return {"c", "k"} <= {action.what for action in schedule.actions} and schedule.faults.lost > 0

    short = shrink(whole, fails)
    assert [action.what for action in short.actions] == ["c", "k"]
    assert [action.number for action in short.actions] == [2, 10]
    assert short.faults == Faults(lost=HOSTILE.lost)


def test_shortening_ends_when_its_tries_are_spent() -> None:
    tried = []

    def fails(schedule: Schedule) -> bool:
        tried.append(schedule)
        return False

    whole = schedule_of(*"abcdefgh")
    assert shrink(whole, fails, tries=5) == whole
    assert len(tried) == 5


def test_the_command_names_what_is_not_the_seeds_own() -> None:
    own = schedules.make(3, len(CASES))
    assert command(own) == "scripts/simulate --seed 3"
    other = next(each for each in schedules.GUARANTEES if each != own.guarantee)
    changed = replace(own, guarantee=other, faults=Faults(delay=0.01), actions=own.actions[1:3])
    assert command(changed) == f"scripts/simulate --seed 3 --guarantee {other} --faults delay=0.01 --keep '1,2'"
    told = report(Outcome(changed, Violation("lost", "a record")))
    assert "lost: a record" in told
    assert command(changed) in told


def test_a_violation_comes_back_from_another_process() -> None:
    there = pickle.loads(pickle.dumps(Violation("lost", "a record")))
    assert (str(there), there.invariant) == ("lost: a record", "lost")


def test_a_run_is_the_same_in_another_process() -> None:
    code = (
        "from tests.simulation import runs, schedules;"
        "print(*(line for seed in (4, 7) for line in runs.simulate(schedules.make(seed, 4)).trace), sep=chr(10))"
    )
    traces = [
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        for seed in ("1", "2")
    ]
    here = [line for seed in (4, 7) for line in simulate(schedules.make(seed, 4)).trace]
    assert [trace.stdout.decode().splitlines() for trace in traces] == [here, here]


def test_what_windows_hold_is_purged_over_and_over() -> None:
    """Before everything comes back from the changelogs at the end."""
    visits = next(number for number, case in enumerate(CASES) if case.name == "visits")
    for seed in range(visits, 10 * len(CASES), len(CASES)):
        trace = simulate(schedules.make(seed, len(CASES))).trace
        last = max(at for at, line in enumerate(trace) if line.endswith("its disk is lost"))
        purges = [line for line in trace[:last] if "delete records before visits-" in line]
        assert len({line.split()[-2] for line in purges}) >= 3, "of different changelogs"


def test_a_violation_is_told_with_the_command_that_finds_it_again() -> None:
    """Of a run in which nothing is wrong there is nothing to tell; one line says so."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "0", "--keep", "0"], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.decode().splitlines()[-1] == "holds"


@pytest.mark.parametrize(("found", "exact"), [([1, 2, 3], True), ([1, 2, 1, 2, 3], False)])
def test_values_that_came_as_they_may(found: list[int], exact: bool) -> None:
    checks.in_order("t", {"k": [1, 2, 3]}, {"k": found}, exact=exact)


@pytest.mark.parametrize(
    ("found", "exact", "invariant"),
    [
        ([1, 2, 1, 2, 3], True, "doubled"),
        ([1, 3], False, "lost"),
        ([1, 3, 2], False, "order"),
        ([1, 2, 3, 4], False, "invented"),
    ],
)
def test_values_that_came_as_they_may_not(found: list[int], exact: bool, invariant: str) -> None:
    with pytest.raises(Violation) as told:
        checks.in_order("t", {"k": [1, 2, 3]}, {"k": found}, exact=exact)
    assert told.value.invariant == invariant


def test_counts_may_be_too_high_at_least_once() -> None:
    checks.counted("t", {"k": 3}, {"k": 3}, exact=True)
    checks.counted("t", {"k": 3}, {"k": 4}, exact=False)
    with pytest.raises(Violation, match="count too high"):
        checks.counted("t", {"k": 3}, {"k": 4}, exact=True)
    with pytest.raises(Violation, match="count too low"):
        checks.counted("t", {"k": 3}, {"k": 2}, exact=False)


@pytest.mark.parametrize(
    ("found", "exact", "invariant"), [("a", False, "lost"), ("abc", False, "invented"), ("aab", True, "doubled")]
)
def test_sets_that_are_not_what_they_may_be(found: str, exact: bool, invariant: str) -> None:
    checks.as_a_set("t", "ab", "baa", exact=False)
    with pytest.raises(Violation) as told:
        checks.as_a_set("t", "ab", found, exact=exact)
    assert told.value.invariant == invariant


def test_windows_by_the_time_of_what_happened() -> None:
    """Of ten ms, with a grace of five, in two partitions that each have a time of their own."""
    times = [(0, "a", 3), (0, "a", 9), (0, "b", 14), (0, "a", 8), (0, "a", 15), (0, "a", 9), (1, "c", 0), (0, "b", 21)]
    counts = event_time.tumbling([Happened(*each) for each in times], 10, 5, 15)
    assert counts.closed == {Window("a", 0, 10): 3}
    kept = [("a", 10), ("b", 10), ("b", 20), ("c", 0)]
    assert counts.kept == {Window(key, start, start + 10): 1 for key, start in kept}


def test_sessions_by_the_time_of_what_happened() -> None:
    times = [(0, "a", 3), (0, "a", 9), (0, "a", 6), (0, "a", 14), (0, "b", 20), (1, "a", 21)]
    found = event_time.sessions([Happened(*each) for each in times], 3, 6)
    assert found == {Window("a", 14, 14): 1, Window("b", 20, 20): 1, Window("a", 21, 21): 1}


def test_a_value_that_is_wrong() -> None:
    checks.same("t", {"k": 1}, {"k": 1})
    with pytest.raises(Violation, match="wrong value"):
        checks.same("t", {"k": 1}, {"k": 2})
