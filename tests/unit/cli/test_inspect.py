"""The commands that show what was declared."""

import json
import sys
from typing import Any

import pytest

from streamz_actors import App, Record
from tests.unit.cli.conftest import CommandLine


class Line(Record):
    sku: str
    count: int = 1


class Order(Record):
    account: str
    lines: list[Line]


@pytest.fixture
def shop() -> App:
    app = App("shop", consumer_config={"sasl_plain_password": "hidden"})
    orders = app.topic("orders", key_type=str, value_type=Order, partitions=4)
    alerts = app.topic("alerts", key_type=str, value_type=dict)
    totals = app.table("totals", key_type=str, value_type=float, default=float)
    inside = app.channel(value_type=str, name="inside")

    @app.agent(orders, sinks=[alerts], tables=[totals], concurrency=5)
    async def watch(stream: Any) -> Any:
        async for order in stream:
            yield order

    @app.agent(inside)
    async def listen(stream: Any) -> None:
        async for _ in stream:
            pass

    @app.agent([orders, app.topic("late", key_type=str, value_type=Order, partitions=4)], tables=[])
    async def both(stream: Any) -> None:
        async for _ in stream:
            pass

    @app.agent(app.stream(orders).group_by(lambda _, order: order.account, name="by-account", key_type=str), tables=[])
    async def grouped(stream: Any) -> None:
        async for _ in stream:
            pass

    return app


def rows(command_line: CommandLine, app: App, *arguments: str) -> dict[str, Any]:
    result = command_line(*arguments, "--json", application=app)
    assert result.code == 0, result.err
    return {row["name"]: row for row in json.loads(result.out)}


def test_agents_are_listed_with_source_sinks_and_tables(command_line: CommandLine, shop: App) -> None:
    found = rows(command_line, shop, "agents")
    assert found["watch"] == {
        "name": "watch", "source": "orders", "concurrency": 5, "sinks": ["alerts"], "tables": ["totals"],
        "on_error": "Fail", "subtopology": "late",
    }
    assert found["listen"]["source"] == "channel inside"
    assert found["both"]["source"] == "orders, late"
    assert found["grouped"]["source"].startswith("stream orders")


def test_elsewhere_than_on_a_terminal_a_row_is_a_line_with_tabs(command_line: CommandLine, shop: App) -> None:
    (line,) = [line for line in command_line("agents", application=shop).out.splitlines() if "watch" in line]
    assert line.split("\t") == ["watch", "orders", "5", "alerts", "totals", "late"]


def test_on_a_terminal_it_is_a_table_with_titles(
    command_line: CommandLine, shop: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    out = command_line("tables", application=shop).out
    assert "key type" in out
    assert "shop-totals-changelog" in out


def test_tables_are_listed(command_line: CommandLine, shop: App) -> None:
    totals = rows(command_line, shop, "tables")["totals"]
    assert (totals["key_type"], totals["value_type"], totals["changelog"]) == ("str", "float", "shop-totals-changelog")


def test_topics_are_listed_with_the_internal_ones(command_line: CommandLine, shop: App) -> None:
    found = rows(command_line, shop, "topics")
    assert (found["orders"]["partitions"], found["orders"]["value_type"]) == (4, "Order")
    assert found["shop-totals-changelog"]["kind"] == "changelog"
    assert found["shop-by-account-repartition"]["kind"] == "repartition"


def test_models_are_the_types_with_fields(command_line: CommandLine, shop: App) -> None:
    found = rows(command_line, shop, "models")
    assert found.keys() == {"Order"}
    assert (found["Order"]["fields"], found["Order"]["topics"]) == (["account", "lines"], ["late", "orders"])
    schema = json.loads(command_line("models", "Order", application=shop).out)
    assert "Line" in schema["$defs"]


def test_an_unknown_model_is_a_usage_error(command_line: CommandLine, shop: App) -> None:
    result = command_line("models", "Ordr", application=shop)
    assert (result.code, "there are Order" in result.err) == (2, True)


def test_the_topology_is_told_as_text_mermaid_and_json(command_line: CommandLine, shop: App) -> None:
    text = command_line("topology", application=shop).out
    mermaid = command_line("topology", "--format", "mermaid", application=shop).out
    plain = command_line("topology", "--format", "json", application=shop).out
    assert text.startswith("application shop\n")
    assert mermaid.startswith("flowchart LR\n")
    assert json.loads(plain) == shop.topology().as_dict()
    assert command_line("topology", "--json", application=shop).out == plain


def test_config_shows_where_each_value_came_from(
    command_line: CommandLine, shop: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rows(command_line, shop, "config", "--web-port", "7000", "--set", "commit-interval=2.5")
    assert (found["web_port"]["value"], found["web_port"]["origin"]) == (7000, "command line")
    assert (found["commit_interval"]["value"], found["commit_interval"]["origin"]) == (2.5, "command line")
    assert found["consumer_config"]["origin"] == "keyword"
    assert found["timezone"]["origin"] == "default"
    monkeypatch.setenv("STREAMZ_WEB_PORT", "6000")
    other = rows(command_line, App("other"), "config")
    assert other["web_port"] == {"name": "web_port", "value": 6000, "origin": "environment STREAMZ_WEB_PORT"}


def test_config_hides_secrets(command_line: CommandLine, shop: App) -> None:
    for arguments in (["config"], ["config", "--json"]):
        result = command_line(*arguments, application=shop)
        assert "hidden" not in result.out
        assert "********" in result.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "web_prt=1"], "unknown setting 'web_prt' (command line): did you mean 'web_port'?"),
        (["--set", "web_port"], "'web_port' is not NAME=VALUE"),
        (["--web-port", "many"], "setting 'web_port' (command line): 'many' is not an integer from 0 to 65535"),
        (["--web-prt", "1"], "No such option '--web-prt'"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    command_line: CommandLine, shop: App, arguments: list[str], says: str
) -> None:
    result = command_line("config", *arguments, application=shop)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert says in line
