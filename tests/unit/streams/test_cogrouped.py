"""Groups of several streams: what is declared, what is refused, and what the results are called."""

from typing import Any

import pytest

from streamz_actors import App, CountWindow, Session, Tumbling, Unlimited, Windowed
from streamz_actors.errors import TopologyError
from streamz_actors.testing import TestDriver


def add(key: str, value: int, total: int) -> int:
    return total + value


def length(key: str, value: str, total: int) -> int:
    return total + len(value)


def app_with(key: Any = str) -> tuple[App, Any, Any]:
    app = App("groups", topic_partitions=2)
    one = app.topic("one", key_type=str, value_type=int, partitions=2)
    two = app.topic("two", key_type=key, value_type=str, partitions=2)
    return app, app.stream(one).group_by_key(), app.stream(two).group_by_key()


def test_the_name_is_that_of_all_groups_and_the_type_that_of_an_aggregator() -> None:
    _, one, two = app_with()
    table = one.cogroup(add).cogroup(two, length).aggregate(lambda: 0)
    assert table.name == "one-cogroup-two-aggregate"
    assert table.value_schema.type is int
    named = one.cogroup(lambda k, v, a: a).cogroup(two, lambda k, v, a: a).aggregate(int, "named")
    assert (named.name, named.value_schema.type) == ("named", int)


def test_what_cannot_be_grouped_together_is_refused() -> None:
    _, one, two = app_with(key=int)
    with pytest.raises(TopologyError, match="'two' writes its keys as json, 'one' as str"):
        one.cogroup(add).cogroup(two, length).aggregate(int)

    async def start() -> int:
        return 0

    with pytest.raises(TopologyError, match="the initializer is a plain function"):
        one.cogroup(add).aggregate(start)


@pytest.mark.parametrize("window", [Unlimited(), CountWindow(3), "no window"])
def test_windows_that_groups_cannot_meet_in_are_refused(window: Any) -> None:
    _, one, _ = app_with()
    with pytest.raises(TopologyError, match=r"cogroup of 'one': .* is not for several|is no window"):
        one.cogroup(add).windowed_by(window)


def test_sessions_need_a_merger_and_others_none() -> None:
    _, one, _ = app_with()
    with pytest.raises(TopologyError, match="merger"):
        one.cogroup(add).windowed_by(Session(1)).aggregate(int)
    with pytest.raises(TopologyError, match="merger"):
        one.cogroup(add).windowed_by(Tumbling(1)).aggregate(int, merger=lambda key, one, two: one)


async def test_groups_whose_keys_have_changed_meet_behind_topics_of_their_own() -> None:
    app = App("regrouped", topic_partitions=2)
    one = app.topic("one", key_type=str, value_type=int, partitions=3)
    two = app.topic("two", key_type=str, value_type=str, partitions=1)
    out = app.topic("out", key_type=Windowed[str], value_type=int)

    def by_value(key: str, value: object) -> str:
        return str(value)

    groups = app.stream(one).group_by(by_value).cogroup(add)
    both = groups.cogroup(app.stream(two).group_by(by_value), length)
    both.windowed_by(Tumbling(1)).aggregate(int, "totals").to_stream().to(out)
    async with TestDriver(app) as driver:
        await driver.send("one", key="a", value=7, timestamp=10)
        await driver.send("two", key="b", value="7", timestamp=20)
        assert [(r.key, r.value, r.timestamp) for r in driver.read("out")] == [
            (Windowed("7", 0, 1_000), 7, 10),
            (Windowed("7", 0, 1_000), 8, 20),
        ]
        collector = driver.running.collector
        for group in ("one", "two"):
            assert collector.partitions(f"regrouped-totals-{group}-group_by-by_value-repartition") == 2


async def test_one_stream_may_be_in_two_groups_the_first_comes_first() -> None:
    app = App("twice", topic_partitions=1)
    words = app.topic("words", key_type=str, value_type=str, partitions=1)

    def first(key: str, value: str, text: str) -> str:
        return text + value

    def second(key: str, value: str, text: str) -> str:
        return text + value.upper()

    stream = app.stream(words)
    stream.group_by_key().cogroup(first).cogroup(stream.group_by_key(), second).aggregate(str, "texts")
    async with TestDriver(app) as driver:
        await driver.send("words", key="k", value="a", timestamp=1)
        await driver.send("words", key="k", value="b", timestamp=1)
        assert driver.table("texts")["k"] == "aAbB"
