"""How a topology is described: complete, stable, as text, Mermaid and JSON."""

import json
from typing import Any

import pytest

from streamz_actors import App, DeadLetter
from streamz_actors.dataflow.describe import Description, describe
from streamz_actors.errors import TopologyError


def shop() -> App:
    app = App("shop")
    orders = app.topic("orders", key_type=str, value_type=float, partitions=4)
    alerts = app.topic("alerts", key_type=str, value_type=dict)
    rates = app.topic("rates", key_type=str, value_type=float, partitions=1, compacting=True)
    every = app.global_table(rates, name="every-rate")
    totals = app.table("totals", key_type=str, value_type=float, default=float)
    app.table("forgotten", key_type=str, value_type=set, partitions=99)
    app.table("local", key_type=bytes, value_type=int, changelog=False)

    @app.agent(orders, sinks=[alerts], tables=[totals], on_error=DeadLetter())
    async def watch(stream: Any) -> Any:
        async for amount in stream:
            yield {"amount": amount}

    @app.agent(app.topic("a", "b", value_type=str))
    async def both(stream: Any) -> None:
        async for _ in stream:
            pass

    streamed = app.stream(orders).left_join(every, lambda amount, rate: amount * (rate or 1.0), value_type=float)
    streamed.group_by(lambda key, value: "all", key_type=str).count(name="number")
    return app


def described() -> Description:
    return shop().topology()


def test_sub_topologies_have_a_task_for_each_partition_of_their_topics() -> None:
    parts = {part.name: part.partitions for part in described().subtopologies}
    assert parts == {"a": 8, "number-repartition": 8, "orders": 4}


def test_partition_counts_of_existing_topics_count() -> None:
    app = shop()
    whole = describe(app.frozen(), {"orders": 6, "rates": 2}, 3)
    assert {part.name: part.partitions for part in whole.subtopologies}["orders"] == 6
    counts = {topic.name: topic.partitions for topic in whole.topics}
    assert (counts["orders"], counts["rates"], counts["a"], counts["shop-totals-changelog"]) == (6, 2, 3, 6)


def test_nodes_name_their_parents_topics_and_tables() -> None:
    nodes = {node.id: node for part in described().subtopologies for node in part.nodes}
    watch = nodes["agent:watch"]
    assert (watch.parents, watch.sends, watch.tables) == (("source:orders",), ("alerts",), ("totals",))
    assert nodes["source:orders"].topics == ("orders",)
    assert nodes["agent:both"].parents == ("source:a|b",)
    assert nodes["count:number"].tables == ("number",)


def test_an_agent_that_names_no_tables_may_use_those_that_nobody_names() -> None:
    nodes = {node.id: node for part in described().subtopologies for node in part.nodes}
    assert "local" in nodes["agent:both"].tables
    assert "totals" not in nodes["agent:both"].tables


def test_two_nodes_of_one_name_have_two_ids() -> None:
    app = App("twice")
    lines = app.stream(app.topic("lines", value_type=str))
    lines.foreach(print)
    lines.foreach(print)
    (part,) = app.topology().subtopologies
    assert [node.id for node in part.nodes][1:] == ["foreach:lines-foreach-print", "foreach:lines-foreach-print#2"]


def test_tables_say_where_they_are_kept() -> None:
    tables = {table.name: table for table in described().tables}
    assert list(tables) == sorted(tables)
    assert (tables["totals"].subtopology, tables["totals"].changelog) == ("orders", "shop-totals-changelog")
    assert (tables["every-rate"].kind, tables["every-rate"].changelog) == ("global", "rates")
    assert tables["local"].changelog is None
    assert (tables["forgotten"].subtopology, tables["forgotten"].partitions) == (None, None)
    assert (tables["number"].key_type, tables["number"].value_type) == ("str", "int")


def test_topics_are_told_apart_by_what_they_are_for() -> None:
    topics = {topic.name: topic for topic in described().topics}
    assert {name: topic.kind for name, topic in topics.items() if topic.kind != "topic"} == {
        "shop-number-changelog": "changelog",
        "shop-number-repartition": "repartition",
        "shop-totals-changelog": "changelog",
    }
    assert topics["rates"].compacting
    assert topics["shop-totals-changelog"].partitions == 4


def test_the_dict_is_json_and_comes_back_equal() -> None:
    plain = described().as_dict()
    assert json.loads(json.dumps(plain)) == plain
    orders = next(part for part in plain["subtopologies"] if part["name"] == "orders")
    assert ["source:orders", "agent:watch"] in orders["edges"]


def test_the_same_declarations_give_the_same_description() -> None:
    one, other = described(), described()
    assert (one, one.text(), one.mermaid()) == (other, other.text(), other.mermaid())


def test_the_text_names_everything() -> None:
    text = str(described())
    for line in (
        "application shop",
        "sub-topology orders: 4 partitions, as many tasks",
        "  agent:watch",
        "    to topic alerts",
        "  table totals: str → float, changelog shop-totals-changelog",
        "  every-rate: str → float, topic rates",
        "  rates: 1 partition, str → float",
        "  forgotten: str → set, changelog shop-forgotten-changelog",
    ):
        assert line in text.splitlines(), line
    assert "global tables" in text
    assert "unused tables" in text


def test_mermaid_draws_topics_between_sub_topologies() -> None:
    drawn = described().mermaid().splitlines()
    assert drawn[0] == "flowchart LR"
    assert sum(line.startswith("  subgraph ") for line in drawn) == sum(line == "  end" for line in drawn) == 3
    (topic,) = [line for line in drawn if 'repartition"/]' in line]
    name = topic.strip().partition("[")[0]
    assert [line for line in drawn if line.endswith(f"--> {name}")]
    assert [line for line in drawn if line.startswith(f"  {name} -->")]


def test_mermaid_quotes_what_would_end_a_label() -> None:
    app = App("quotes")
    app.table('a', key_type=str, value_type=dict)
    app.stream(app.topic("lines", value_type=str)).foreach(lambda key, value: None)
    assert "<" not in app.topology().mermaid().replace("-.-", "")


def test_what_does_not_fit_together_is_told() -> None:
    app = App("misfit")
    left, right = app.topic("left", key_type=str, partitions=2), app.topic("right", key_type=str, partitions=3)
    app.stream(left).join(app.table(right), lambda one, other: one).foreach(print)
    with pytest.raises(TopologyError, match="equal partition counts"):
        app.topology()
