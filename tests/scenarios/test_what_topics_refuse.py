"""Records that a topic does not take, too large or without a key where it is compacted: a failure of their event."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Out, Skip
from streamz_actors.dataflow.limits import AROUND, LARGEST, Limits
from streamz_actors.errors import EncodeError, HandlerError
from streamz_actors.testing import TestDriver
from tests.scenarios.support import committed, values

SMALL = {"max.message.bytes": "1000"}


def declared(name: str, policy: Any, **out: Any) -> tuple[App, Any, Any]:
    app = App(name, on_error=policy)
    topic = app.topic("in", value_type=str, partitions=1)
    return app, topic, app.topic("out", value_type=str, partitions=1, **out)


async def feed(driver: TestDriver, *rows: tuple[str | None, str]) -> None:
    """In one run."""
    for key, value in rows:
        raw = None if key is None else f'"{key}"'.encode()
        driver.running.collector.send("in", raw, f'"{value}"'.encode(), 0)
    await driver.settle()


LONG = "x" * 2_000
CASES: dict[str, tuple[dict[str, Any], tuple[str | None, str], str]] = {
    "too large": ({"config": SMALL}, ("b", LONG), "larger than the"),
    "no key": ({"compacting": True}, (None, "keyless"), "takes no record without a key"),
}


@pytest.mark.parametrize("policy", [Skip(), DeadLetter()])
@pytest.mark.parametrize("by", ["stream", "agent", "agent that chooses", "agent that passes on"])
@pytest.mark.parametrize("case", list(CASES))
async def test_the_others_go_on(case: str, by: str, policy: Any) -> None:
    options, bad, said = CASES[case]
    app, topic, out = declared("refuses", policy, **options)
    done = app.table("done", key_type=str, value_type=int, default=int, per_partition=True)
    if by == "stream":
        app.stream(topic).map_values(lambda value: value + "!", value_type=str).to(out)
    else:

        @app.agent(topic, sinks=[out])
        async def pass_on(stream: AgentStream[Any, str]) -> AsyncIterator[Any]:
            async for value in stream:
                done["all"] += 1
                yield Out(value + "!") if "chooses" in by else value if "passes" in by else value + "!"

    async with TestDriver(app) as driver:
        await feed(driver, ("a", "1"), bad, ("c", "2"))
        assert [value.rstrip("!") for value in values(driver, "out")] == ["1", "2"]
        (failure,) = driver.failures
        assert (failure.offset, said in failure.error) == (1, True)
        if isinstance(policy, DeadLetter):
            (letter,) = driver.read("refuses-dead-letters")
            assert dict(letter.headers)["streamz-offset"] == b"1"
        if by != "stream":
            assert dict(driver.table("done")) == {"all": 2}
        await driver.running.worker.commit()
        assert committed(driver, app, "in") == 3


@pytest.mark.parametrize("case", list(CASES))
async def test_without_a_policy_the_worker_stops_there_and_says_what_to_do(case: str) -> None:
    options, bad, said = CASES[case]
    app, topic, out = declared("stops", None, **options)
    app.stream(topic).to(out)
    driver = TestDriver(app)
    await driver.start()
    with pytest.raises((EncodeError, HandlerError), match=f"partition 0, offset 1: .*{said}"):
        await feed(driver, ("a", "1"), bad, ("c", "2"))


def test_what_a_topic_takes_is_the_least_of_what_is_said() -> None:
    assert Limits.of({}, {}) == Limits(LARGEST - AROUND)
    assert Limits.of({"max.message.bytes": "500"}, {"max_request_size": 900}).largest == 500 - AROUND
    assert Limits.of({}, {"max_request_size": 900}).largest == 900 - AROUND
    assert Limits.of({"cleanup.policy": "compact,delete"}, {}).keyed


def test_what_is_compressed_may_be_of_any_size_before() -> None:
    limits = Limits.of({}, {"compression_type": "lz4"})
    assert limits.largest is None
    assert limits.refused([b"k"], [b"x" * 2 * LARGEST]) is None
    assert limits.checked(str.encode) is str.encode


def test_nothings_have_no_size() -> None:
    limits = Limits(10)
    assert limits.refused([None, b"k"], [b"12345", None]) is None
    row, error = limits.refused([None, b"k"], [None, b"1234567890"]) or (None, None)
    assert (row, "a record of 11 bytes" in str(error)) == (1, True)
