"""Each scenario gives Kafka Streams' own answers, record for record, functions sync or async."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.binding import play
from tests.conformance.run import verdict

Scenario = dict[str, Any]

SCENARIOS: list[Scenario] = [
    json.loads(line) for line in (Path(__file__).parent / "public.jsonl").read_text("utf-8").splitlines()
]


def name(scenario: Scenario) -> str:
    return str(scenario["id"])


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=name)
async def test_a_scenario_gives_what_kafka_streams_gives(scenario: Scenario, asynchronous: bool) -> None:
    assert verdict(scenario, await play(scenario, asynchronous)) is None
