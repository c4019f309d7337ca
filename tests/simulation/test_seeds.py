"""Simulated seeds hold: STREAMZ_SEEDS says how many (500). A failing one prints the command that reproduces it."""

import os

import pytest

from tests.simulation import schedules
from tests.simulation.cases import CASES
from tests.simulation.reports import report
from tests.simulation.runs import simulate
from tests.simulation.shrinking import shrunk

SEEDS = int(os.environ.get("STREAMZ_SEEDS", "500"))
AT_A_TIME = 50


@pytest.mark.parametrize("first", range(0, SEEDS, AT_A_TIME))
def test_seeds_hold(first: int) -> None:
    for seed in range(first, min(first + AT_A_TIME, SEEDS)):
        outcome = simulate(schedules.make(seed, len(CASES)))
        if outcome.violation is not None:
            pytest.fail(report(shrunk(outcome)), pytrace=False)
