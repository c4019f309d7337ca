"""Topics that get more partitions while workers run: shared out, or refused where state was made for fewer."""

import asyncio
from typing import Any

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.errors import TopicMismatch
from streamz_actors.transport.abc import TopicSpec
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended, until


def passing(seen: list[tuple[int, int]]) -> App:
    app = App("growing")
    topic = app.topic("in", key_type=str, value_type=int)
    out = app.topic("out", key_type=str, value_type=int)

    @app.agent(topic, sinks=[out])
    async def pass_on(stream: AgentStream[str, int]) -> Any:
        async for event in stream.events():
            seen.append((event.partition, event.value))
            yield event.value

    return app


def counting() -> App:
    app = App("growing")
    topic = app.topic("in", key_type=str, value_type=int)
    app.stream(topic).group_by_key().count("counts")
    return app


def feed(site: Site, partition: int, value: int) -> None:
    site.broker.append(TopicPartition("in", partition), [b"k"], [str(value).encode()], [0], None)


async def test_new_partitions_are_shared_out_and_tasks_that_stay_notice_nothing() -> None:
    site = Site()
    site.broker.create_topic(TopicSpec("in", 2))
    seen: list[tuple[int, int]] = []
    first, life = await site.begin(passing(seen), name="first")
    second, second_life = await site.begin(passing(seen), name="second")
    await site.settle(first, second)
    before = {*first.worker.tasks.values(), *second.worker.tasks.values()}
    site.broker.add_partitions("in", 5)
    for partition in range(5):
        feed(site, partition, partition)
    await until(lambda: len(seen) == 5)
    await site.settle(first, second)
    assert sorted(seen) == [(number, number) for number in range(5)]
    assert sorted(len(running.worker.tasks) for running in (first, second)) == [2, 3]
    assert before <= {*first.worker.tasks.values(), *second.worker.tasks.values()}
    for running in (first, second):
        assert running.worker.provision is not None
        assert running.worker.provision.counts["in"] == 5
    await ended(second, second_life, site.clock)
    await ended(first, life, site.clock)


async def test_keys_go_where_they_belong_once_the_topic_they_are_sent_to_has_grown() -> None:
    site = Site()
    site.broker.create_topic(TopicSpec("in", 2))
    running, life = await site.begin(passing([]))
    keys = [f"key-{number}".encode() for number in range(50)]
    running.collector.add("in", keys, [b"1"] * 50, [0] * 50)
    await site.settle(running)
    site.broker.add_partitions("in", 7)
    await until(lambda: len(running.worker.tasks) == 7)
    running.collector.add("in", keys, [b"1"] * 50, [0] * 50)
    await site.settle(running)
    assert all(site.broker.log(TopicPartition("in", partition)).end for partition in range(7))
    await ended(running, life, site.clock)


async def test_state_does_not_grow_with_its_topic_and_the_worker_says_what_to_do() -> None:
    site = Site()
    site.broker.create_topic(TopicSpec("in", 2))
    running, life = await site.begin(counting())
    feed(site, 0, 1)
    await site.settle(running)
    assert site.committed("growing", "in", 0) is None
    site.broker.add_partitions("in", 4)
    with pytest.raises(TopicMismatch, match="the state of 'growing' was made for another partition count"):
        await asyncio.wait_for(life, 10)
    assert site.committed("growing", "in", 0) == 1, "what was in hand was finished first"
