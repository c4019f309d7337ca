"""Each scenario whose operations exist gives Kafka Streams' own answers, record for record, functions sync or async."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.binding import build_app, play
from tests.conformance.run import verdict

Scenario = dict[str, Any]

SCENARIOS: list[Scenario] = [
    json.loads(line) for line in (Path(__file__).parent / "public.jsonl").read_text("utf-8").splitlines()
]

NOT_YET = {"cogroup": ("cogroup",)}
"""What is still to be built, each with the operations and arguments of the scenarios that need it."""


def parts_of(scenario: Scenario) -> set[str]:
    """The operations and arguments that a scenario uses."""
    nodes = scenario["topology"]["nodes"]
    parts = {name for node in nodes for name in (node["op"], *node)}
    tables = {node["id"] for node in nodes if node["op"] in ("table", "to_table", "aggregate", "count", "reduce")}
    for node in nodes:
        if node["op"] in ("filter", "map_values", "join", "left_join", "outer_join") and node["of"] in tables:
            tables.add(node["id"])
            if "with" in node:
                parts.add("join of tables")
    return parts


def awaited(scenario: Scenario) -> list[str]:
    """What has to be built before a scenario can run."""
    parts = parts_of(scenario)
    return [what for what, needs in NOT_YET.items() if parts.intersection(needs)]


READY = [scenario for scenario in SCENARIOS if not awaited(scenario)]
WAITING = [scenario for scenario in SCENARIOS if awaited(scenario)]


def name(scenario: Scenario) -> str:
    return str(scenario["id"])


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("scenario", READY, ids=name)
async def test_a_scenario_gives_what_kafka_streams_gives(scenario: Scenario, asynchronous: bool) -> None:
    assert verdict(scenario, await play(scenario, asynchronous)) is None


@pytest.mark.parametrize("scenario", WAITING, ids=name)
def test_what_is_not_built_yet_is_absent_rather_than_half_done(scenario: Scenario) -> None:
    with pytest.raises((AttributeError, TypeError)):
        build_app(scenario["topology"])
