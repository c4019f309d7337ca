"""Records that the broker refuses although its topic seemed to take them, under both guarantees."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Skip
from streamz_actors.errors import HandlerError, ProduceError
from streamz_actors.transport.memory.broker import MemoryBroker
from tests.scenarios.exactly import visible
from tests.scenarios.support import Site, ended

GUARANTEES = pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
PLACE = r"failed at topic 'in', partition 0, offset 1: ProduceError: .* larger"


def declared(guarantee: str, on_error: Any = None) -> tuple[App, Any, Any]:
    app = App("outputs", processing_guarantee=guarantee, on_error=on_error)
    source = app.topic("in", key_type=str, value_type=int, partitions=1)
    return app, source, app.topic("out", key_type=str, value_type=str, partitions=1)


def text(value: int) -> str:
    return "x" * 2_000 if value == 13 else str(value)


def streamed(guarantee: str, on_error: Any = None) -> App:
    app, source, out = declared(guarantee, on_error)
    app.stream(source).map_values(text, value_type=str).to(out)
    return app


def yielding(guarantee: str) -> App:
    app, source, out = declared(guarantee)

    @app.agent(source, sinks=[out])
    async def write(stream: AgentStream[str, int]) -> AsyncIterator[str]:
        async for value in stream:
            yield text(value)

    return app


def feed(site: Site) -> None:
    """The output topic has got a lower limit since the worker started."""
    small = site.broker.topic("out").logs[0]
    small.settings = replace(small.settings, max_message_bytes=1_000)
    log = site.broker.topic("in").logs[0]
    log.append([b"a", b"b", b"c"], [b"1", b"13", b"2"], [0] * 3, None, 0)


def values(broker: MemoryBroker) -> list[bytes]:
    return [value for _, value in visible(broker, "out")]


@GUARANTEES
@pytest.mark.parametrize("policy", [Skip(), DeadLetter()], ids=["skip", "dead letter"])
async def test_a_policy_is_carried_out_and_the_others_are_written(guarantee: str, policy: Any) -> None:
    site = Site()
    running, life = await site.begin(streamed(guarantee, policy))
    feed(site)
    await site.settle(running)
    await running.worker.commit()
    assert values(site.broker) == [b'"1"', b'"2"']
    assert site.committed("outputs", "in") == 3
    if isinstance(policy, DeadLetter):
        assert [key for key, _ in visible(site.broker, "outputs-dead-letters")] == ["b"]
    await ended(running, life, site.clock)


@GUARANTEES
@pytest.mark.parametrize(("made", "said"), [(streamed, f"to 'out' {PLACE}"), (yielding, f"agent 'write' {PLACE}")])
async def test_without_one_the_worker_stops_at_once_and_says_what(guarantee: str, made: Any, said: str) -> None:
    site = Site()
    running, life = await site.begin(made(guarantee))
    feed(site)
    await site.settle(running)
    await running.worker.commit()
    with pytest.raises(HandlerError, match=said):
        await life
    assert site.committed("outputs", "in") is None
    if guarantee == "exactly_once":
        assert values(site.broker) == []


@GUARANTEES
async def test_a_handler_that_catches_the_refusal_of_its_send_goes_on(guarantee: str) -> None:
    app, source, out = declared(guarantee)
    caught: list[ProduceError] = []

    @app.agent(source)
    async def write(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            try:
                await out.send(key="k", value=text(value))
            except ProduceError as error:
                caught.append(error)

    site = Site()
    running, life = await site.begin(app)
    feed(site)
    await site.settle(running)
    await running.worker.commit()
    assert len(caught) == 1
    assert values(site.broker) == [b'"1"', b'"2"']
    assert site.committed("outputs", "in") == 3
    await ended(running, life, site.clock)


@GUARANTEES
async def test_a_refusal_that_nobody_looks_at_stops_the_worker_at_once(guarantee: str) -> None:
    app, source, out = declared(guarantee)

    @app.agent(source)
    async def write(stream: AgentStream[str, int]) -> None:
        async for value in stream:
            out.send_soon(key="k", value=text(value))

    site = Site()
    running, life = await site.begin(app)
    feed(site)
    await site.settle(running)
    await running.worker.commit()
    with pytest.raises(HandlerError, match=f"agent 'write' {PLACE}"):
        await life
    assert site.committed("outputs", "in") is None
