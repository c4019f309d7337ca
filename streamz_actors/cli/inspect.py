"""Commands that show what an application declares; they need neither broker nor worker."""

from collections.abc import Mapping
from typing import Any

import click

from streamz_actors.agents.agent import Agent
from streamz_actors.agents.channel import Channel
from streamz_actors.cli.options import json_option, settings_options
from streamz_actors.cli.output import Row, listing, show_json
from streamz_actors.cli.session import Session, pass_session
from streamz_actors.dataflow.describe import Description
from streamz_actors.dataflow.policies import NAMED
from streamz_actors.dataflow.topics import Topic
from streamz_actors.serde.describe import describe as type_name
from streamz_actors.serde.describe import json_schema


def _described(session: Session) -> Description:
    application, _ = session.prepare({})
    return application.topology()


@click.command()
@json_option
@pass_session
def agents(session: Session, as_json: bool) -> None:
    """The agents: what they follow, how many actors work on a partition, where what they yield goes."""
    application, _ = session.prepare({})
    whole = application.topology()
    nodes = {node.name: (node, sub.name) for sub in whole.subtopologies for node in sub.nodes if node.kind == "agent"}
    rows = []
    for agent in application.agents:
        node, sub = nodes.get(agent.name, (None, None))
        rows.append(
            {
                "name": agent.name,
                "source": _source(agent),
                "concurrency": agent.concurrency,
                "sinks": list(node.sends) if node else [],
                "tables": list(node.tables) if node else [],
                "on_error": type(agent.on_error or NAMED[application.settings.on_error]).__name__,
                "subtopology": sub,
            }
        )
    listing(rows, as_json=as_json, columns=("name", "source", "concurrency", "sinks", "tables", "subtopology"))


def _source(agent: Agent[Any]) -> str:
    source = agent.source
    if isinstance(source, Topic):
        return str(source)
    if isinstance(source, Channel):
        return f"channel {source.name}"
    if isinstance(source, list | tuple):
        return ", ".join(map(str, source))
    return f"stream {getattr(source, 'name', source)}"


@click.command()
@json_option
@pass_session
def tables(session: Session, as_json: bool) -> None:
    """The tables: their types, their sub-topology, the topic that keeps them."""
    rows: list[Row] = _described(session).as_dict()["tables"]
    columns = ("name", "kind", "key_type", "value_type", "subtopology", "partitions", "changelog")
    listing(rows, as_json=as_json, columns=columns)


@click.command()
@json_option
@pass_session
def topics(session: Session, as_json: bool) -> None:
    """The topics, as declared: the user's, repartition topics and changelogs."""
    rows: list[Row] = _described(session).as_dict()["topics"]
    columns = ("name", "kind", "partitions", "key_type", "value_type", "value_codec")
    listing(rows, as_json=as_json, columns=columns)


@click.command()
@click.argument("name", required=False)
@json_option
@pass_session
def models(session: Session, name: str | None, as_json: bool) -> None:
    """The types of topics that have fields; NAME shows the JSON Schema of one."""
    application, _ = session.prepare({})
    found = _models(application.topics)
    if name is not None:
        if name not in found:
            raise click.UsageError(f"there is no model {name!r}; there are {', '.join(found) or 'none'}")
        show_json(found[name]["schema"])
        return
    rows = [found[model] for model in sorted(found)]
    listing(rows, as_json=as_json, columns=("name", "fields", "topics"))


def _models(topics_: tuple[Topic[Any, Any], ...]) -> dict[str, Row]:
    """By name, the types with fields of their own."""
    models_: dict[str, Row] = {}
    for topic in topics_:
        for schema in (topic.key_schema, topic.value_schema):
            if topic.internal or not isinstance(schema.type, type):
                continue
            fields = _fields(described := json_schema(schema.type))
            if not fields:
                continue
            name = type_name(schema.type)
            row = models_.setdefault(name, {"name": name, "fields": fields, "topics": [], "schema": described})
            row["topics"] = sorted({*row["topics"], *topic.names})
    return models_


def _fields(schema: Mapping[str, Any]) -> list[str]:
    """The names in a schema that is an object, or refers to one of its own definitions."""
    reference = schema.get("$ref", "")
    inner = schema.get("$defs", {}).get(reference.rpartition("/")[2], schema)
    return list(inner.get("properties", ()))


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "json"]),
    default="text",
    help="text (the default), mermaid or json.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@pass_session
def topology(session: Session, form: str, as_json: bool) -> None:
    """The sub-topologies with their nodes, tables and topics."""
    whole = _described(session)
    if as_json or form == "json":
        show_json(whole.as_dict())
        return
    click.echo(whole.text() if form == "text" else whole.mermaid(), nl=False)


@click.command()
@json_option
@settings_options()
@pass_session
def config(session: Session, overrides: dict[str, str], as_json: bool) -> None:
    """Every setting with its value and where that came from. Takes the options that `worker` takes."""
    _, settings = session.prepare(overrides)
    rows = [
        {"name": name, "value": list(value) if isinstance(value, tuple) else value, "origin": origin}
        for name, value, origin in settings.explain()
    ]
    listing(rows, as_json=as_json, columns=("name", "value", "origin"))
