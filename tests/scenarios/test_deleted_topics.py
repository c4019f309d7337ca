"""An output topic that is deleted while a worker runs: the policy decides about what can't be written, and all goes on
when somebody makes it anew.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Retry, Skip
from streamz_actors.dataflow.policies import Policy
from streamz_actors.errors import HandlerError, ProduceError
from streamz_actors.transport.abc import TopicSpec
from streamz_actors.types import TopicPartition
from tests.scenarios.exactly import visible
from tests.scenarios.support import Site, ended

GUARANTEES = pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
FORMS = pytest.mark.parametrize("form", ["agent", "stream"])
PLACE = "failed at topic 'in', partition 0, offset 1: ProduceError: .*'out'"


def application(form: str, guarantee: str, policy: Policy | None = None) -> App:
    app = App("outputs", processing_guarantee=guarantee)
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    if form == "stream":
        assert not isinstance(policy, Retry)
        stream = app.stream(source)
        (stream if policy is None else stream.on_error(policy)).to(out)
        return app

    @app.agent(source, sinks=[out], on_error=policy)
    async def copy(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            yield value

    return app


def feed(site: Site, *values: int) -> None:
    raw: list[bytes | None] = [b"%d" % value for value in values]
    site.broker.append(TopicPartition("in", 0), [b"a"] * len(raw), raw, [0] * len(raw), None)


async def work(site: Site, running: Any) -> None:
    for _ in range(3):
        await site.settle(running)
        await running.worker.commit()


@GUARANTEES
@FORMS
@pytest.mark.parametrize("policy", [Skip(), DeadLetter(), Retry(2, then=Skip())], ids=["skip", "dead letter", "retry"])
async def test_a_policy_is_carried_out_until_it_is_there_again(guarantee: str, form: str, policy: Policy) -> None:
    if form == "stream" and isinstance(policy, Retry):
        policy = policy.then
    site = Site()
    running, life = await site.begin(application(form, guarantee, policy))
    feed(site, 1)
    await work(site, running)
    site.broker.delete_topic("out")
    feed(site, 2, 3)
    await work(site, running)
    assert site.committed("outputs", "in") == 3
    assert [failure.offset for failure in running.worker.failures] == [1, 2]
    if isinstance(policy, DeadLetter):
        assert [value for _, value in visible(site.broker, "outputs-dead-letters")] == [b"2", b"3"]
    site.broker.create_topic(TopicSpec("out", 1, None, {}))
    feed(site, 4)
    await work(site, running)
    assert [value for _, value in visible(site.broker, "out")] == [b"4"]
    await ended(running, life, site.clock)


@GUARANTEES
@FORMS
async def test_without_one_the_worker_stops_and_names_both_places(guarantee: str, form: str) -> None:
    site = Site()
    running, life = await site.begin(application(form, guarantee))
    feed(site, 1)
    await work(site, running)
    site.broker.delete_topic("out")
    feed(site, 2)
    await site.settle(running)
    await running.worker.commit()
    with pytest.raises(HandlerError, match=PLACE):
        await life
    assert site.committed("outputs", "in") == 1


@GUARANTEES
async def test_dead_letters_that_go_nowhere_stop_it(guarantee: str) -> None:
    site = Site()
    running, life = await site.begin(application("stream", guarantee, DeadLetter()))
    for topic in ("out", "outputs-dead-letters"):
        site.broker.delete_topic(topic)
    feed(site, 1)
    await site.settle(running)
    await running.worker.commit()
    with pytest.raises(ProduceError, match="outputs-dead-letters"):
        await life
    assert site.committed("outputs", "in") is None


@GUARANTEES
async def test_a_repartition_topic_is_state_and_stops_it_under_every_policy(guarantee: str) -> None:
    app = App("outputs", processing_guarantee=guarantee, on_error=Skip())
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    app.stream(source).group_by(lambda _, value: str(value), name="by", key_type=str).count("counts")
    site = Site()
    running, life = await site.begin(app)
    (topic,) = [name for name in site.broker.topics if name.endswith("-repartition")]
    site.broker.delete_topic(topic)
    feed(site, 1)
    await site.settle(running)
    await running.worker.commit()
    with pytest.raises(HandlerError, match=f"to '{topic}' failed at topic 'in', partition 0, offset 0: ProduceError"):
        await life
    assert site.committed("outputs", "in") is None
