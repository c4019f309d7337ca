"""What only a real Kafka refuses of an agent's yields: the event's policy decides, under both guarantees."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Out, Retry, Skip
from streamz_actors.dataflow.policies import Policy
from streamz_actors.transport.abc import TopicSpec, Transport
from tests.integration.kafka_contents import contents

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

LARGE, KEYLESS = 13, 14
POLICIES: dict[str, Policy] = {
    "skip": Skip(),
    "dead letter": DeadLetter(),
    "retry": Retry(2, backoff=0.05, then=DeadLetter()),
}


def application(name: str, kafka_url: str, guarantee: str, policy: Policy) -> tuple[App, list[int]]:
    """Of one value the yield is too large for its topic; of one a record has no key, though its topic is compacted."""
    app = App(name, broker=kafka_url, store="memory://", web_enabled=False, processing_guarantee=guarantee)
    source = app.topic(f"{name}-in", key_type=str, value_type=int, partitions=1)
    out = app.topic(f"{name}-out", key_type=str, value_type=str)
    compacted = app.topic(f"{name}-compacted", value_type=int)
    runs: list[int] = []

    @app.agent(source, sinks=[out], on_error=policy)
    async def write(stream: AgentStream[str, int]) -> AsyncIterator[Any]:
        async for value in stream:
            runs.append(value)
            yield "x" * 5_000 if value == LARGE else str(value)
            if value == KEYLESS:
                compacted.send_soon(value=value)
            yield Out(f"{value} again")

    return app, runs


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_the_event_is_given_up_and_the_others_are_written_in_order(
    kafka: Transport, kafka_url: str, guarantee: str, policy: str
) -> None:
    name = f"refused-{uuid.uuid4().hex[:8]}"
    await kafka.admin.create(
        [
            TopicSpec(f"{name}-out", 1, None, {"max.message.bytes": "1000"}),
            TopicSpec(f"{name}-compacted", 1, None, {"cleanup.policy": "compact"}),
        ]
    )
    app, runs = application(name, kafka_url, guarantee, POLICIES[policy])
    values = [1, LARGE, 2, KEYLESS, 3]
    async with app.running():
        for value in values:
            await app.topics[0].send(key="k", value=value)
    await app.run(bounded=True)
    written = [each for value in values for each in (str(value), f"{value} again") if each != str(LARGE)]
    assert [value for _, value in await contents(kafka, f"{name}-out")] == written
    assert sorted(set(runs)) == sorted(values)
    letters = [value for _, value in await contents(kafka, f"{name}-dead-letters")]
    assert letters == ([] if policy == "skip" else [LARGE, KEYLESS])
