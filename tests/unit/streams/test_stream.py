"""The DSL end to end on a bench: topologies that it builds, and what they do."""

from typing import Any

import pytest

from streamz_actors.dataflow.topics import ANY_TIME, LATEST
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import TopologyError
from streamz_actors.serde.models import Record
from streamz_actors.serde.schema import schema_for
from streamz_actors.streams.declare import declare_global_table, declare_stream, declare_table
from streamz_actors.streams.stream import Stream
from tests.unit.operators.bench import Bench, Row, builder_of, topic_of

ROWS: list[Row] = [("a", 1, 10), ("b", 2, 11), ("a", 3, 9), (None, 4, 12)]


class Declared:
    """A builder with an input, an output, and a stream of the input."""

    def __init__(self, key: Any = str, value: Any = int, out: Any = int, out_key: Any = str) -> None:
        self.builder = builder_of()
        self.topic = topic_of(self.builder, "in", key, value)
        self.out = topic_of(self.builder, "out", out_key, out)
        self.stream: Stream[Any, Any] = declare_stream(self.builder, self.topic)

    async def run(self, *rows: Row) -> list[Row]:
        bench = Bench(self.builder)
        await bench.send(self.topic, *rows)
        return bench.read(self.out)


def internal(builder: TopologyBuilder) -> list[str]:
    return [topic.name for topic in builder.topics if topic.internal]


# -- record by record


async def test_a_chain_of_steps() -> None:
    d = Declared(out=str)
    d.stream.filter(lambda k, v: v != 2).filter_not(lambda k, v: k is None).map_values(lambda v: f"<{v}>").to(d.out)
    assert await d.run(*ROWS) == [("a", "<1>", 10), ("a", "<3>", 9)]


async def test_map_flat_map_and_their_values() -> None:
    d = Declared()
    mapped = d.stream.map(lambda k, v: (f"{k}!", v)).flat_map(lambda k, v: [(k, v), (k, -v)])
    mapped.flat_map_values(lambda v: [v] if v > 1 else []).to(d.out)
    assert await d.run(*ROWS[:3]) == [("b!", 2, 11), ("a!", 3, 9)]


async def test_peek_and_foreach() -> None:
    d, seen = Declared(), []
    d.stream.peek(lambda k, v: seen.append(v)).to(d.out)
    d.stream.foreach(lambda k, v: seen.append(k))
    assert await d.run(ROWS[0]) == [ROWS[0]]
    assert sorted(map(str, seen)) == ["1", "a"]


async def test_merge_of_several_streams() -> None:
    d = Declared()
    other = topic_of(d.builder, "other")
    merged = d.stream.merge(declare_stream(d.builder, other), d.stream.map_values(lambda v: -v, value_type=int))
    merged.to(d.out)
    bench = Bench(d.builder)
    await bench.send(d.topic, ROWS[0])
    await bench.send(other, ROWS[1])
    assert sorted(bench.read(d.out)) == [("a", -1, 10), ("a", 1, 10), ("b", 2, 11)]
    assert merged.value_schema == d.stream.value_schema


async def test_branches_by_name() -> None:
    d = Declared()
    parts = d.stream.split().branch(lambda k, v: v == 1, "one").branch(lambda k, v: v < 3, "few").default("rest")
    parts["one"].map_values(lambda v: v * 100).to(d.out)
    parts["rest"].to(d.out)
    assert list(parts) == ["one", "few", "rest"]
    assert await d.run(*ROWS) == [("a", 100, 10), ("a", 3, 9), (None, 4, 12)]
    only = d.stream.split().branch(lambda k, v: v == 1, "one").no_default()
    assert list(only) == ["one"]


def test_a_branch_name_is_taken_once() -> None:
    split = Declared().stream.split().branch(lambda k, v: True, "one")
    with pytest.raises(TopologyError, match="two branches"):
        split.branch(lambda k, v: True, "one")
    with pytest.raises(TopologyError, match="two branches"):
        split.default("one")


async def test_through_goes_on_with_what_is_read_back() -> None:
    d = Declared()
    between = topic_of(d.builder, "between")
    d.stream.through(between).map_values(lambda v: v + 1).to(d.out)
    assert await d.run(*ROWS[:2]) == [("a", 2, 10), ("b", 3, 11)]


async def test_a_processor_forwards() -> None:
    class Doubling:
        def init(self, context: Any) -> None:
            self.context = context

        def process(self, key: Any, value: Any) -> None:
            self.context.forward(key, value * 2)

    d = Declared()
    stream = d.stream.process(Doubling)
    stream.to(d.out)
    assert stream.rekeyed
    assert await d.run(ROWS[0]) == [("a", 2, 10)]


# -- types


class Order(Record):
    account: str


def account_of(key: str, order: Order) -> str:
    return order.account


def order_of(value: int) -> Order:
    return Order(str(value))


def test_types_follow_annotations_and_what_is_declared() -> None:
    stream = Declared().stream
    orders = stream.map_values(order_of)
    assert orders.value_schema.type is Order
    assert orders.select_key(account_of).key_schema == schema_for(str, key=True)
    assert stream.map_values(lambda v: v).value_schema.type is Any
    assert stream.map_values(lambda v: v, value_type=int).value_schema.type is int
    assert stream.select_key(lambda k, v: v, key_type=int).key_schema == schema_for(int, key=True)
    assert stream.map_values(float).value_schema.type is float
    assert stream.filter(lambda k, v: True).value_schema is stream.value_schema


# -- repartitioning


async def test_a_changed_key_goes_through_one_topic_for_all_that_is_grouped() -> None:
    d = Declared(key=str, value=str)
    grouped = d.stream.group_by(lambda k, v: v, key_type=str)
    grouped.count().to_stream().to(d.out)
    grouped.reduce(lambda before, v: before + v, name="joined")
    topics = ["app-in-group_by-repartition", "app-in-group_by-count-changelog", "app-joined-changelog"]
    assert internal(d.builder) == topics
    assert await d.run(("a", "x", 1), ("b", "y", 2), ("c", "x", 3)) == [("x", 1, 1), ("y", 1, 2), ("x", 2, 3)]
    repartition = next(topic for topic in d.builder.topics if topic.name.endswith("repartition"))
    assert repartition.settings["retention.ms"] == "-1"
    assert repartition.settings["cleanup.policy"] == "delete"
    assert repartition.settings[LATEST] == ANY_TIME, "event time may be ahead of the broker's clock"


def test_a_name_is_given_to_table_and_topics_by_operation_or_group() -> None:
    d = Declared()
    d.stream.group_by(lambda k, v: v).count(name="counts")
    d.stream.group_by(lambda k, v: v, name="values").count()
    d.stream.select_key(lambda k, v: v).to_table("latest")
    assert internal(d.builder) == [
        "app-counts-repartition", "app-counts-changelog",
        "app-values-repartition", "app-values-count-changelog",
        "app-latest-repartition", "app-latest-changelog",
    ]


def test_a_kept_key_needs_no_topic() -> None:
    d = Declared()
    d.stream.filter(lambda k, v: True).map_values(lambda v: v).group_by_key().count("counts")
    assert internal(d.builder) == ["app-counts-changelog"]


def test_equal_names_of_what_nobody_named_are_refused() -> None:
    d = Declared()
    d.stream.group_by_key().count()
    with pytest.raises(TopologyError, match="name="):
        d.stream.group_by_key().count()


async def test_repartition_drops_rows_without_a_key() -> None:
    d = Declared()
    moved = d.stream.repartition().repartition(partitions=3)
    moved.to(d.out)
    assert not moved.rekeyed
    assert internal(d.builder) == ["app-in-repartition", "app-in-repartition-repartition"]
    assert d.builder.topics[-1].partitions == 3
    assert await d.run(*ROWS) == ROWS[:3]


async def test_repartition_under_a_name_with_other_types() -> None:
    d = Declared(key=int, value=int)
    moved = d.stream.select_key(lambda k, v: str(k)).repartition("moved", key_type=str, value_type=int)
    moved.to(d.out)
    assert internal(d.builder) == ["app-moved-repartition"]
    assert moved.key_schema == schema_for(str, key=True)
    assert await d.run((7, 1, 1)) == [("7", 1, 1)]


async def test_a_left_join_behind_a_repartition_keeps_rows_without_a_key() -> None:
    d = Declared(out=str)
    prices = topic_of(d.builder, "prices")
    table = declare_table(d.builder, prices)
    d.stream.select_key(lambda k, v: k).left_join(table, lambda v, price: f"{v}-{price}").to(d.out)
    bench = Bench(d.builder)
    await bench.send(prices, ("a", 5, 1))
    await bench.send(d.topic, *ROWS)
    assert bench.read(d.out) == [("a", "1-5", 10), ("b", "2-None", 11), ("a", "3-5", 9), (None, "4-None", 12)]


def test_a_repartition_for_a_join_writes_keys_as_the_table_does() -> None:
    d = Declared()
    table = declare_table(d.builder, topic_of(d.builder, "prices"))
    d.stream.select_key(lambda k, v: str(v)).join(table, lambda v, price: v)
    assert d.builder.topics[-1].key_schema == table.key_schema


def test_a_join_of_keys_that_are_written_differently_is_refused() -> None:
    d = Declared(key=int)
    table = declare_table(d.builder, topic_of(d.builder, "prices", key=str))
    with pytest.raises(TopologyError, match=r"repartition\(key_type"):
        d.stream.join(table, lambda v, price: v)


# -- tables


async def test_aggregations_keep_tables_of_results() -> None:
    d = Declared(out=float)
    table = d.stream.group_by_key().aggregate(float, lambda k, v, total: total + v, name="totals")
    table.to_stream().to(d.out)
    assert table.value_schema.type is float
    assert await d.run(*ROWS) == [("a", 1.0, 10), ("b", 2.0, 11), ("a", 4.0, 10)]
    with pytest.raises(TopologyError, match="plain function"):
        d.stream.group_by_key().aggregate(slow_start, lambda k, v, total: total)


async def slow_start() -> float:
    return 0.0


async def test_to_table_is_a_table_of_latest_values() -> None:
    d = Declared(out=str)
    table = d.stream.to_table()
    other = topic_of(d.builder, "clicks", value=str)
    declare_stream(d.builder, other).join(table, lambda click, v: f"{click}{v}").to(d.out)
    bench = Bench(d.builder)
    await bench.send(d.topic, *ROWS)
    await bench.send(other, ("a", "x", 20), ("z", "x", 21))
    assert bench.read(d.out) == [("a", "x3", 20)]
    assert internal(d.builder) == ["app-in-to_table-changelog"]


async def test_a_topics_table_has_that_topic_as_its_changelog() -> None:
    d = Declared()
    table = declare_table(d.builder, d.topic, default=int)
    table.to_stream().to(d.out)
    assert table.spec is not None
    assert (table.spec.source, table.spec.changelog, internal(d.builder)) == (True, d.topic, [])
    assert await d.run(*ROWS) == ROWS[:3]
    again = declare_table(d.builder, d.topic)
    assert (again.spec, again.node) == (table.spec, table.node)
    with pytest.raises(TopologyError, match="its own"):
        declare_table(d.builder, d.topic, key_type=str)


async def test_views_pass_changes_and_answer_lookups() -> None:
    d = Declared(out=str)
    prices = topic_of(d.builder, "prices")
    view = declare_table(d.builder, prices).filter(lambda k, v: v > 5).map_values(lambda v: f"{v}$")
    before = len(d.builder.nodes)
    d.stream.left_join(view, lambda v, price: f"{v} at {price}").to(d.out)
    assert len(d.builder.nodes) == before + 2, "a join and a sink: a view that nobody follows has no node"
    bench = Bench(d.builder)
    await bench.send(prices, ("a", 9, 1), ("b", 4, 2))
    await bench.send(d.topic, *ROWS[:2])
    assert bench.read(d.out) == [("a", "1 at 9$", 10), ("b", "2 at None", 11)]


async def test_a_named_view_is_a_table_of_its_own() -> None:
    d = Declared()
    kept = declare_table(d.builder, d.topic).filter(lambda k, v: v > 1, name="large")
    tens = kept.map_values(lambda v: v * 10, name="tens", value_type=int)
    tens.to_stream().to(d.out)
    assert internal(d.builder) == ["app-large-changelog", "app-tens-changelog"]
    bench = Bench(d.builder)
    await bench.send(d.topic, *ROWS)
    assert bench.read(d.out) == [("a", None, 10), ("b", 20, 11), ("a", 30, 9)]
    assert list(bench.place.states["tens"].rows()) == [("a", 30, 9), ("b", 20, 11)]


async def test_global_tables_are_joined_by_any_key() -> None:
    d = Declared(out=str)
    names = topic_of(d.builder, "names", key=int, value=str)
    table = declare_global_table(d.builder, names)
    d.stream.join(table, lambda v, name: f"{v}{name}", key=lambda k, v: v).to(d.out)
    bench = Bench(d.builder)
    bench.place.states["names"].put_raw(names.key_schema.encode(1), "one", 0)
    await bench.send(d.topic, *ROWS)
    assert bench.read(d.out) == [("a", "1one", 10)]
    assert declare_global_table(d.builder, names).spec is table.spec


async def test_without_a_key_function_a_global_table_is_joined_by_the_records_key() -> None:
    d = Declared()
    table = declare_global_table(d.builder, topic_of(d.builder, "offsets"), name="shifts")
    d.stream.left_join(table, lambda v, shift: v + (shift or 0)).to(d.out)
    bench = Bench(d.builder)
    bench.place.states["shifts"].put_raw(b"a", 100, 0)
    await bench.send(d.topic, *ROWS)
    assert bench.read(d.out) == [("a", 101, 10), ("b", 2, 11), ("a", 103, 9), (None, 4, 12)]


def test_key_functions_are_for_global_tables() -> None:
    d = Declared()
    with pytest.raises(TopologyError, match="select_key"):
        d.stream.join(declare_table(d.builder, "t"), lambda v, w: v, key=lambda k, v: k)


def test_a_table_that_handlers_write_is_followed_through_one_node() -> None:
    d = Declared()
    table = declare_table(d.builder, "written", key_type=str, value_type=int)
    first, second = declare_stream(d.builder, table), table.to_stream()
    assert first.node is second.node
    assert (first.node.kind, first.node.parents, first.node.stores) == ("changes", (), (table.spec,))


# -- declaring


def test_what_a_stream_can_be_made_of() -> None:
    d = Declared()
    both = declare_stream(d.builder, [d.topic, topic_of(d.builder, "more")])
    assert both.node.kind == "merge"
    assert declare_stream(d.builder, [d.topic]).node is d.stream.node
    assert declare_stream(d.builder, both) is both
    grouped = both.group_by(lambda k, v: v)
    assert declare_stream(d.builder, grouped).node.name == "app-in-merge-more-group_by-repartition"
    with pytest.raises(TopologyError, match="no source"):
        declare_stream(d.builder, "in")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TopologyError, match="no source"):
        declare_stream(d.builder, [])


def test_what_is_declared_says_what_it_is() -> None:
    d = Declared()
    assert repr(d.stream) == "<Stream 'in'>"
    assert repr(declare_table(d.builder, "t")) == "<Table 't'>"
    assert repr(declare_global_table(d.builder, d.topic)) == "<GlobalTable 'in'>"
