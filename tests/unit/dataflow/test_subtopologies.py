"""Which parts of a topology run together, under what name, in how many partitions, and in what order rows flow."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors import App
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.errors import TopologyError


async def nothing(stream: Any) -> None:
    async for _ in stream:
        pass


def parts(app: App, existing: dict[str, int] | None = None, default: int = 8) -> dict[str, SubTopology]:
    return {part.name: part for part in split(app.frozen(), existing or {}, default)}


def app_with(*topics: tuple[str, int]) -> tuple[App, list[Any]]:
    app = App("t")
    return app, [app.topic(name, key_type=str, value_type=int, partitions=count) for name, count in topics]


def test_parts_that_share_nothing_run_apart_and_are_named_for_their_first_topic() -> None:
    app, (b, a, c) = app_with(("b", 2), ("a", 2), ("c", 3))
    app.stream(b).merge(app.stream(a)).foreach(print)
    app.stream(c).foreach(print)
    found = parts(app)
    assert {name: (part.partitions, dict(part.topics)) for name, part in found.items()} == {
        "a": (2, {"a": 2, "b": 2}),
        "c": (3, {"c": 3}),
    }


def test_what_is_merged_may_differ_in_partitions_and_the_larger_count_rules() -> None:
    app, (a, b) = app_with(("a", 2), ("b", 5))
    app.stream(a).merge(app.stream(b)).foreach(print)
    assert parts(app)["a"].partitions == 5


def test_what_is_joined_must_have_equal_partition_counts() -> None:
    app, (a, b) = app_with(("a", 2), ("b", 3))
    app.stream(a).join(app.table(b), lambda left, right: left).foreach(print)
    with pytest.raises(TopologyError, match=r"a \(2\), b \(3\); use .repartition\(\)"):
        parts(app)


def test_counts_of_topics_that_exist_decide() -> None:
    app = App("t")
    topic = app.topic("a", key_type=str, value_type=int)
    app.stream(topic).foreach(print)
    assert parts(app, {"a": 7})["a"].partitions == 7


def test_a_repartition_topic_takes_the_count_of_what_it_is_joined_with_else_the_default() -> None:
    app, (a, b) = app_with(("a", 2), ("b", 3))
    app.stream(a).select_key(lambda k, v: k).join(app.table(b), lambda left, right: left).foreach(print)
    app.stream(a).group_by(lambda k, v: k).count("alone")
    found = parts(app, default=6)
    assert found["b"].partitions == 3
    assert next(part for part in found.values() if any(s.name == "alone" for s in part.stores)).partitions == 6


def test_a_repartition_topic_that_exists_keeps_its_count() -> None:
    app, (a,) = app_with(("a", 2))
    app.stream(a).group_by(lambda k, v: k).count("c")
    [name] = [topic.name for topic in app.topics if topic.name.endswith("-repartition")]
    assert parts(app, {name: 4})[name.removeprefix("t-")].partitions == 4


def test_agents_that_name_no_tables_run_together_where_their_counts_are_equal() -> None:
    app, (a, b, c) = app_with(("a", 2), ("b", 2), ("c", 3))
    app.table("free", key_type=str, value_type=int)
    for topic in (a, b, c):
        app.agent(topic, name=topic.name)(nothing)
    found = parts(app, default=2)
    assert {name: [store.name for store in part.stores] for name, part in found.items()} == {"a": ["free"], "c": []}


def test_free_tables_go_with_the_default_count_or_with_their_own() -> None:
    app, (a, b) = app_with(("a", 2), ("b", 3))
    app.table("free", key_type=str, value_type=int)
    app.table("three", key_type=str, value_type=int, partitions=3)
    app.table("nobody", key_type=str, value_type=int, partitions=9)
    for topic in (a, b):
        app.agent(topic, name=topic.name)(nothing)
    found = parts(app, default=2)
    assert {name: [store.name for store in part.stores] for name, part in found.items()} == {
        "a": ["free"],
        "b": ["three"],
    }


def test_named_tables_bring_their_agents_together_and_leave_the_others() -> None:
    app, (a, b, c) = app_with(("a", 2), ("b", 2), ("c", 2))
    mine = app.table("mine", key_type=str, value_type=int)
    app.agent(a, name="a", tables=[mine])(nothing)
    app.agent(b, name="b", tables=[mine])(nothing)
    app.agent(c, name="c")(nothing)
    found = parts(app)
    assert set(found["a"].topics) == {"a", "b"}
    assert set(found["c"].topics) == {"c"}


def test_an_agent_that_names_another_applications_table_is_told() -> None:
    app, (a,) = app_with(("a", 2))
    stranger = App("other").table("strange", key_type=str, value_type=int)
    app.agent(a, name="a", tables=[stranger])(nothing)
    with pytest.raises(TopologyError, match="names the table 'strange', which does not exist"):
        parts(app)


def test_agents_that_share_a_table_may_not_differ_in_partitions_unnoticed() -> None:
    app, (a, b) = app_with(("a", 2), ("b", 3))
    mine = app.table("mine", key_type=str, value_type=int, partitions=2)
    app.agent(a, name="a", tables=[mine])(nothing)
    app.agent(b, name="b", tables=[mine])(nothing)
    with pytest.raises(TopologyError, match="table 'mine' is declared with 2 partitions"):
        parts(app)


@pytest.mark.parametrize(
    ("shape", "ordered"),
    [
        (lambda stream, out: (stream.to(out), stream.map_values(abs).to(out)), True),
        (lambda stream, out: stream.merge(stream.map_values(abs)).foreach(print), True),
        (lambda stream, out: (stream.group_by_key().count("c"), stream.to(out)), False),
        (lambda stream, out: (stream.to(out), stream.foreach(print)), False),
    ],
)
def test_rows_go_one_by_one_where_their_ways_meet_again(shape: Callable[[Any, Any], Any], ordered: bool) -> None:
    app, (a, out) = app_with(("a", 2), ("out", 2))
    shape(app.stream(a), out)
    part = parts(app)["a"]
    source = next(node for node in part.nodes if node.kind == "source")
    assert (source in part.in_order) is ordered


@given(st.lists(st.sets(st.integers(0, 7), min_size=1, max_size=3), max_size=6))
def test_what_is_merged_is_one_part_and_parents_come_before_children(merges: list[set[int]]) -> None:
    app, topics = app_with(*((f"t{number}", 2) for number in range(8)))
    for merged in merges:
        first, *rest = (app.stream(topics[number]) for number in sorted(merged))
        for other in rest:
            first = first.merge(other)
        first.foreach(print)
    found = parts(app)
    read = [name for part in found.values() for name in part.topics]
    assert sorted(read) == sorted({f"t{number}" for merged in merges for number in merged})
    for merged in merges:
        assert sum(any(f"t{number}" in part.topics for number in merged) for part in found.values()) == 1
    for part in found.values():
        places = {node: place for place, node in enumerate(part.nodes)}
        assert all(places[parent] < places[node] for node in part.nodes for parent in node.parents)
        assert part.name == min(part.topics)
