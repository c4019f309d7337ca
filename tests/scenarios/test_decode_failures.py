"""Records that cannot be read: where they stop, how they are passed by, and what nobody reads."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streamz_actors import AgentStream, App, DeadLetter, Record, Skip
from streamz_actors.errors import DecodeError, HandlerError
from streamz_actors.testing import TestDriver
from streamz_actors.types import TopicPartition
from tests.scenarios.support import committed, values

# ruff: noqa: PERF401  # an agent's loop has no end that a comprehension could wait for


class Order(Record):
    account: str
    amount: float


def place(driver: TestDriver, *raws: bytes) -> None:
    """Appends to the topic as somebody else's producer would."""
    log = driver.broker.log(TopicPartition("in", 0))
    log.append([b"k"] * len(raws), list(raws), [0] * len(raws), None, 0)


async def test_fail_names_the_place_and_the_field_after_the_records_before_it_are_done() -> None:
    app = App("decode")
    topic = app.topic("in", key_type=str, value_type=Order, partitions=1)
    seen: list[str] = []

    @app.agent(topic)
    async def handle(stream: AgentStream[str, Order]) -> None:
        async for order in stream:
            seen.append(order.account)

    driver = TestDriver(app)
    await driver.start()
    good, bad = b'{"account": "a", "amount": 1}', b'{"account": "b", "amount": "much"}'
    place(driver, good, good, bad, good)
    with pytest.raises(DecodeError, match=r"topic 'in', partition 0, offset 2.*\$\.amount"):
        await driver.settle()
    assert seen == ["a", "a"]
    assert committed(driver, app, "in") == 2
    with pytest.raises(DecodeError, match="offset 2"):
        await driver.start()
    assert seen == ["a", "a"]
    assert committed(driver, app, "in") == 2


@pytest.mark.parametrize("policy", [Skip(), DeadLetter()])
async def test_what_cannot_be_read_is_passed_by(policy: Any) -> None:
    app = App("passed")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1, on_decode_error=policy)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    app.stream(topic).map_values(lambda value: value + 1).to(out)
    async with TestDriver(app) as driver:
        place(driver, b"1", b"x", b"2", b"")
        await driver.settle()
        await driver.running.worker.commit()
        assert values(driver, "out") == [2, 3]
        assert committed(driver, app, "in") == 4
        assert [failure.offset for failure in driver.failures] == [1, 3]
        if policy == DeadLetter():
            letters = driver.read("passed-dead-letters")
            assert [letter.value for letter in letters] == [b"x", b""]
            assert dict(letters[0].headers)["streamz-offset"] == b"1"


async def test_a_batch_of_nothing_but_bad_records_is_passed_by() -> None:
    app = App("allbad")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1, on_decode_error=Skip())
    app.stream(topic).foreach(lambda key, value: None)
    async with TestDriver(app) as driver:
        place(driver, b"x", b"y")
        await driver.settle()
        await driver.running.worker.commit()
        assert committed(driver, app, "in") == 2


async def test_what_nobody_reads_is_never_decoded() -> None:
    app = App("lazy")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    copy = app.topic("copy", key_type=str, value_type=int, partitions=1)
    stream = app.stream(topic)
    stream.group_by_key().count("counts")
    stream.to(copy)
    async with TestDriver(app) as driver:
        place(driver, b"not a number")
        await driver.settle()
        assert dict(driver.table("counts")) == {"k": 1}
        raw = driver.broker.log(TopicPartition("copy", 0)).read(0, 10)
        assert raw is not None
        assert raw.values == [b"not a number"]


async def test_a_key_that_cannot_be_read_fails_the_event_that_looks_at_it() -> None:
    app = App("badkey")
    topic = app.topic("in", key_type=int, value_type=int, partitions=1)

    @app.agent(topic)
    async def handle(stream: AgentStream[int, int]) -> None:
        async for _ in stream.items():
            pass

    driver = TestDriver(app)
    await driver.start()
    place(driver, b"1")
    with pytest.raises(HandlerError, match="topic 'in', partition 0, offset 0"):
        await driver.settle()


async def test_an_extractor_gives_the_time_of_records() -> None:
    app = App("times")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1, timestamp=lambda value: value * 10)
    dated = app.topic(
        "dated", key_type=str, value_type=int, partitions=1, timestamp=lambda value: datetime.fromtimestamp(value, UTC)
    )
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    app.stream(topic).to(out)
    app.stream(dated).to(out)
    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=7, timestamp=1)
        await driver.send("in", key="a", value=None, timestamp=3)
        await driver.send("dated", key="a", value=2, timestamp=1)
        assert [record.timestamp for record in driver.read("out")] == [70, 3, 2000]


@pytest.mark.parametrize("policy", [None, Skip()])
async def test_an_extractor_that_fails_is_a_record_that_cannot_be_read(policy: Any) -> None:
    app = App("extractor")

    def extract(value: Any) -> int:
        return int(value["at"])

    options = {} if policy is None else {"on_decode_error": policy}
    topic = app.topic("in", key_type=str, partitions=1, timestamp=extract, **options)
    out = app.topic("out", key_type=str, partitions=1)
    app.stream(topic).to(out)
    driver = TestDriver(app)
    await driver.start()
    place(driver, b'{"at": 5}', b'{"on": 5}', b"oops", b'{"at": 6}')
    if policy is None:
        with pytest.raises(DecodeError, match=r"offset 1.*timestamp.*KeyError"):
            await driver.settle()
        assert committed(driver, app, "in") == 1
        return
    await driver.settle()
    assert [record.timestamp for record in driver.read("out")] == [5, 6]
    assert [failure.offset for failure in driver.failures] == [1, 2]
    await driver.stop()
