"""The benchmarks' smoke run: ours and the hand-written loop are right on a few records. No speed is asserted.

The hand-written loop runs in this environment, which has all its packages, so that nothing is fetched.
"""

import sys
from pathlib import Path

import pytest

from benchmarks import contenders
from benchmarks.results import Result
from benchmarks.runner import run
from benchmarks.workloads import WORKLOADS

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "python_of", lambda folder: Path(sys.executable))


@pytest.mark.parametrize("name", WORKLOADS)
async def test_ours_and_the_hand_written_loop_are_right(name: str, kafka_url: str) -> None:
    found: list[Result] = []
    await run(
        [WORKLOADS[name]], runs=1, records=5_000, against=frozenset({"hand"}), url=kafka_url, report=found.append
    )
    assert [result.problem for result in found] == [None] * len(found)
    assert {result.contender for result in found} == {
        contender.name for contender in contenders.competing(name, frozenset({"hand"}))
    }
