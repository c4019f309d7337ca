"""Tables made of tables: what is refused when it is declared, and what a failing function is told with."""

from collections.abc import Callable
from typing import Any

import pytest

from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import EncodeError, HandlerError, TopologyError
from streamz_actors.serde.schema import schema_for
from streamz_actors.streams.declare import declare_global_table, declare_stream, declare_table
from streamz_actors.streams.stream import Table
from streamz_actors.windows.definitions import Session, Tumbling, Unlimited
from streamz_actors.windows.suppression import until_window_closes
from tests.properties.engine import Engine, MakeTopic
from tests.unit.operators.bench import builder_of, topic_of

Make = Callable[[Table[str, int], Table[str, int]], Table[Any, Any]]


def declared(make: Make) -> Engine:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        made = make(declare_table(builder, topic("left")), declare_table(builder, topic("right")))
        made.to_stream().foreach(lambda key, value: None)

    return Engine(declare)


def fed(make: Make) -> Engine:
    made = declared(make)
    for topic, key, value in (("right", "a", 1), ("left", "b", 2), ("left", "a", 0)):
        made.give(topic, (key, value, 5))
        made.drain()
    return made


def divided(one: int, other: int) -> float:
    return other / one


def divided_if_any(one: int, other: int | None) -> float:
    return (other or 0) / one


def odd(key: str, value: int) -> Any:
    return value or (key, 1)


FAILING: dict[str, tuple[Make, str]] = {
    "joiner": (lambda left, right: left.join(right, divided), r"join 'left-join-right-divided'"),
    "joiner by foreign key": (
        lambda left, right: left.join(right, divided, foreign_key=lambda key, _: key, name="j"),
        r"join 'j' failed at topic 'p-j-response', partition 0, offset 1",
    ),
    "foreign key": (
        lambda left, right: left.left_join(right, divided_if_any, foreign_key=lambda _, v: str(1 // v), name="j"),
        r"foreign_key of left_join 'j' failed at topic 'left', partition 0, offset 1: ZeroDivisionError",
    ),
    "selector": (
        lambda left, right: left.group_by(lambda key, value: (key, 1 // value), name="g").count(),
        r"group_by of table 'g' failed at topic 'left', partition 0, offset 1: ZeroDivisionError",
    ),
    "no pair": (
        lambda left, right: left.group_by(odd, name="g").count(),
        r"group_by of table 'g' failed at topic 'left', partition 0, offset 0: TypeError: .*pair or None, not 2",
    ),
    "adder": (
        lambda left, right: (
            left.group_by(lambda key, value: ("g", value), name="g", value_type=int)
            .aggregate(int, lambda key, value, total: 1 // value, lambda key, value, total: total, name="t")
        ),
        r"aggregate 't' failed at topic 'p-g-repartition', partition 0, offset 1: ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_failing_function_is_told_with_operator_topic_partition_and_offset(what: str) -> None:
    make, message = FAILING[what]
    with pytest.raises(HandlerError, match=message):
        fed(make)


def test_a_result_that_its_table_cannot_write_names_the_record() -> None:
    with pytest.raises(EncodeError, match=r"value made from topic 'left', partition 0, offset 1"):
        fed(lambda left, right: left.join(right, lambda one, other: object(), name="kept", value_type=str))


def test_a_foreign_key_of_another_type_than_the_right_keys_names_the_record() -> None:
    with pytest.raises(EncodeError, match=r"foreign key made from topic 'left', partition 0, offset 0"):
        fed(lambda left, right: left.join(right, divided, foreign_key=lambda _, value: value))


def test_tables_of_other_key_types_are_not_joined_by_key() -> None:
    builder = builder_of()
    left, right = declare_table(builder, topic_of(builder, "left")), declare_table(builder, topic_of(builder, "r", int))
    with pytest.raises(TopologyError, match=r"table 'left' writes its keys as str, table 'r' as json"):
        left.join(right, divided)
    left.join(right, divided, foreign_key=lambda _, value: value)


@pytest.mark.parametrize("partitions", [1, 2])
def test_keys_of_no_declared_type_are_joined_where_they_cannot_be_apart(partitions: int) -> None:
    def declare(builder: TopologyBuilder, topic: MakeTopic) -> None:
        left = declare_table(builder, topic("left", partitions=partitions))
        stream = declare_stream(builder, topic("right", partitions=partitions))
        counted = stream.group_by(lambda key, value: key).count(name="counted")
        left.join(counted, lambda one, other: one + other, value_type=int).to_stream().to(topic("out"))

    if partitions > 1:
        with pytest.raises(TopologyError, match="'left' writes its keys as str, table 'counted' as json"):
            Engine(declare)
        return
    made = Engine(declare)
    made.give("right", ("a", 5, 1))
    made.drain()
    made.give("left", ("a", 5, 2))
    made.drain()
    assert made.read("out") == [("a", 6, 2)]


def test_a_table_is_joined_with_tables_only() -> None:
    builder = builder_of()
    table = declare_table(builder, topic_of(builder, "left"))
    whole: Any = declare_global_table(builder, topic_of(builder, "whole"))
    with pytest.raises(TopologyError, match="only tables can be joined with tables"):
        table.join(whole, divided)


def test_what_is_internal_is_called_after_the_users_name() -> None:
    builder = builder_of()
    left, right = (declare_table(builder, topic_of(builder, name)) for name in ("left", "right"))
    left.join(right, divided, foreign_key=lambda key, _: key, name="named")
    left.group_by(lambda key, value: (value, key), name="groups").count()
    left.group_by(lambda key, value: (value, key)).count(name="counted")
    assert [topic.name for topic in builder.topics if topic.internal] == [
        "app-named-changelog",
        "app-named-subscription",
        "app-named-response",
        "app-named-subscribers-changelog",
        "app-groups-repartition",
        "app-groups-count-changelog",
        "app-left-group_by-repartition",
        "app-counted-changelog",
    ]


def test_one_grouped_table_has_one_topic_for_all_that_is_made_of_it() -> None:
    builder = builder_of()
    grouped = declare_table(builder, topic_of(builder, "in")).group_by(lambda key, value: (key, value))
    grouped.count()
    grouped.reduce(lambda one, two: one + two, lambda one, two: one - two)
    assert len([topic for topic in builder.topics if topic.name.endswith("repartition")]) == 1


async def zero() -> int:
    return 0


def test_an_initializer_does_not_wait() -> None:
    builder = builder_of()
    grouped = declare_table(builder, topic_of(builder, "in")).group_by(lambda key, value: (key, value))
    with pytest.raises(TopologyError, match="the initializer is a plain function"):
        grouped.aggregate(zero, lambda key, value, total: total, lambda key, value, total: total)


def test_final_results_are_for_windows_that_close() -> None:
    builder = builder_of()
    topic = topic_of(builder, "in")
    table = declare_table(builder, topic)
    with pytest.raises(TopologyError, match=r"until_window_closes\(\) is for tables of windows"):
        table.suppress(until_window_closes())
    endless = declare_stream(builder, topic).group_by_key().windowed_by(Unlimited()).count()
    with pytest.raises(TopologyError, match=r"Unlimited\(start=0\) does not close by time"):
        endless.suppress(until_window_closes())


def test_what_is_made_of_windows_knows_them() -> None:
    builder = builder_of()
    grouped = declare_stream(builder, topic_of(builder, "in")).group_by_key()
    short, long = Tumbling(10, grace=1), Session(10, grace=5)
    first, second = grouped.windowed_by(short).count("short"), grouped.windowed_by(long).count("long")
    joined = first.map_values(lambda count: count + 1).join(second, divided)
    assert joined.window is long
    assert joined.suppress(until_window_closes()).window is long
    assert first.filter(lambda key, count: count > 1).suppress(until_window_closes()).window is short
    assert joined.key_schema.type == first.key_schema.type
    assert joined.value_schema == schema_for(float)
