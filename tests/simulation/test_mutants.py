"""Each of the planted mistakes is found: scripts/mutants shows by which seed."""

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.mutation import SEEDS, caught


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_planted_mistake_is_found(mutant: Mutant) -> None:
    assert caught(mutant, range(SEEDS)) is not None
