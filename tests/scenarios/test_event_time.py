"""What time a record has, what becomes of one that has none, and how long a task waits for the partition behind."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streamz_actors import App, DeadLetter, Skip
from streamz_actors.errors import DecodeError, TopologyError
from streamz_actors.testing import TestDriver
from streamz_actors.types import TopicPartition
from tests.scenarios.support import committed


def placed(driver: TestDriver, values: list[str], timestamps: list[int], topic: str = "in") -> None:
    """Appends to a topic as somebody else's producer would."""
    raws: list[bytes | None] = [value.encode() for value in values]
    driver.broker.log(TopicPartition(topic, 0)).append([b"k"] * len(raws), raws, timestamps, None, 0)


async def times(app: App, values: list[str], timestamps: list[int]) -> tuple[list[tuple[str, int]], TestDriver]:
    async with TestDriver(app) as driver:
        await driver.advance(7.0)
        placed(driver, values, timestamps)
        await driver.settle()
        return [(record.value, record.timestamp) for record in driver.read("out")], driver


def declared(**options: Any) -> App:
    app = App("time")
    source = app.topic("in", key_type=str, value_type=str, value_codec="str", partitions=1, **options)
    app.stream(source).to(app.topic("out", key_type=str, value_type=str, value_codec="str", partitions=1))
    return app


def parsed(value: str) -> int | datetime:
    return datetime.fromtimestamp(1.5, UTC) if value == "half" else int(value)


@pytest.mark.parametrize(
    ("policy", "expected", "dropped"),
    [
        ("skip", [("5", 5), ("half", 1500), ("9", 9)], 2),
        ("partition_time", [("5", 5), ("-3", 5), ("half", 1500), ("x", 1500), ("9", 9)], 0),
        ("wall_clock", [("5", 5), ("-3", 7_000), ("half", 1500), ("x", 7_000), ("9", 9)], 0),
    ],
)
async def test_a_record_whose_value_gives_no_time(policy: Any, expected: list[Any], dropped: int) -> None:
    app = declared(timestamp=parsed, on_timestamp_error=policy)
    found, driver = await times(app, ["5", "-3", "half", "x", "9"], [100, 101, 102, 103, 104])
    assert found == expected
    assert [failure.offset for failure in driver.failures] == [1, 3][: dropped or None] * bool(dropped)
    assert committed(driver, app, "in") == 5


async def test_by_default_a_negative_time_is_skipped_with_a_report() -> None:
    app = declared()
    found, driver = await times(app, ["a", "b", "c"], [-1, 5, -9])
    assert found == [("b", 5)]
    assert [failure.offset for failure in driver.failures] == [0, 2]
    assert "its timestamp is negative: -1 ms" in driver.failures[0].error


@pytest.mark.parametrize("policy", [Skip(), DeadLetter()])
async def test_by_default_an_extractor_that_fails_is_a_decode_error(policy: Any) -> None:
    app = declared(timestamp=parsed, on_decode_error=policy)
    found, driver = await times(app, ["5", "x", "6"], [0, 0, 0])
    assert found == [("5", 5), ("6", 6)]
    assert len(driver.dead_letters) == isinstance(policy, DeadLetter)


async def test_fail_stops_before_the_record_even_where_decode_errors_are_skipped() -> None:
    app = declared(timestamp=int, on_timestamp_error="fail", on_decode_error=Skip())
    driver = TestDriver(app)
    await driver.start()
    placed(driver, ["5", "-6", "7"], [0, 0, 0])
    with pytest.raises(DecodeError, match=r"partition 0, offset 1: its timestamp is negative: -6 ms.*or set"):
        await driver.settle()
    assert committed(driver, app, "in") == 1


async def test_before_its_first_time_a_partition_has_none_to_give() -> None:
    app = declared(on_timestamp_error="partition_time")
    found, driver = await times(app, ["a", "b", "c"], [-1, 5, -1])
    assert found == [("b", 5), ("c", 5)]
    assert [failure.offset for failure in driver.failures] == [0]


def test_an_unknown_policy_is_said() -> None:
    with pytest.raises(TopologyError, match="on_timestamp_error='guess' is none of fail, skip"):
        declared(on_timestamp_error="guess")


def two(**settings: Any) -> App:
    app = App("two", **settings)
    out = app.topic("out", key_type=str, value_type=str, value_codec="str", partitions=1)
    left = app.stream(app.topic("left", key_type=str, value_type=str, value_codec="str", partitions=1))
    left.merge(app.stream(app.topic("right", key_type=str, value_type=str, value_codec="str", partitions=1))).to(out)
    return app


async def test_a_task_waits_as_long_as_it_is_told_for_a_partition_of_which_nothing_is_here() -> None:
    async with TestDriver(two(max_task_idle=2.0)) as driver:
        await driver.send("left", key="k", value="l5", timestamp=5)
        assert driver.read("out") == []
        await driver.advance(1.5)
        assert driver.read("out") == []
        await driver.send("right", key="k", value="r3", timestamp=3)
        assert [record.value for record in driver.read("out")] == ["r3"]
        await driver.advance(1.9)
        assert driver.read("out") == []
        await driver.advance(0.1)
        assert [record.value for record in driver.read("out")] == ["l5"]


async def test_of_two_partitions_with_records_the_earlier_goes_first_without_waiting() -> None:
    async with TestDriver(two(max_task_idle=60)) as driver:
        placed(driver, ["l2", "l4"], [2, 4], "left")
        placed(driver, ["r1", "r3"], [1, 3], "right")
        await driver.settle()
        assert [record.value for record in driver.read("out")] == ["r1", "l2", "r3"], "l4 may have to wait"
        await driver.advance(60)
        assert [record.value for record in driver.read("out")] == ["l4"]


async def test_by_default_nothing_is_waited_for_that_nobody_has_sent() -> None:
    async with TestDriver(two()) as driver:
        await driver.send("left", key="k", value="l5", timestamp=5)
        assert [record.value for record in driver.read("out")] == ["l5"]
