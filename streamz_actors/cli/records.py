"""`app send` and `app query`: a record in, a value out."""

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from streamz_actors.cli.application import Application
from streamz_actors.cli.connect import connected
from streamz_actors.cli.http import base_url, call
from streamz_actors.cli.options import json_option, settings_options
from streamz_actors.cli.output import cell, show_json
from streamz_actors.cli.session import Session, pass_session
from streamz_actors.cli.texts import as_json_value, parse
from streamz_actors.clock import SystemClock
from streamz_actors.config import Settings, project_table, resolve
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import ProduceError, SerdeError
from streamz_actors.serde.schema import placing
from streamz_actors.types import RecordMetadata, partition_of

url_option = click.option("--url", help="Of a running worker. Default: as web_host and web_port say.")


@click.command(context_settings={"ignore_unknown_options": True})  # a VALUE may be -1
@click.argument("topic")
@click.argument("value", required=False)
@click.option("--key", "-k", help="Text for keys of type str, else JSON.")
@click.option("--tombstone", is_flag=True, help="Send no value: a deletion.")
@click.option("--partition", type=click.IntRange(min=0), help="Default: that of the key.")
@click.option("--timestamp", type=int, help="Milliseconds since the epoch. Default: now.")
@json_option
@url_option
@settings_options("broker", "web_host", "web_port", "web_token")
@pass_session
def send(
    session: Session,
    topic: str,
    value: str | None,
    key: str | None,
    tombstone: bool,
    partition: int | None,
    timestamp: int | None,
    url: str | None,
    overrides: dict[str, str],
    as_json: bool,
) -> None:
    """Send one record to TOPIC. VALUE is text for values of type str, else JSON, and must be of the topic's type.

    On Kafka the record goes to the broker, on the embedded broker to the running worker that holds it.
    """
    if tombstone is (value is not None):
        raise click.UsageError("give a VALUE or --tombstone")
    application, settings = session.prepare(overrides)
    declared = _topic(application, topic)
    try:
        made_key, made_value = parse(declared.key_schema, key), parse(declared.value_schema, value)
    except SerdeError as error:
        raise click.ClickException(f"topic {topic!r}: {error}") from error
    if settings.embedded or url is not None:
        body = {
            "key": as_json_value(declared.key_schema, made_key),
            "value": as_json_value(declared.value_schema, made_value),
            "partition": partition,
            "timestamp": timestamp,
        }
        given = {name: part for name, part in body.items() if part is not None or name == "value"}
        where = f"{url or base_url(settings)}/v1/topics/{quote(topic, safe='')}"
        sent = call("POST", where, given, credentials=settings.web_credentials)
    else:
        record = (declared.key_schema.encode(made_key), declared.value_schema.encode(made_value))
        placed_by = None if record[0] is None else placing(declared.key_schema, record[0])
        metadata = asyncio.run(_produce(settings, topic, *record, placed_by, partition, timestamp))
        sent = {name: getattr(metadata, name) for name in RecordMetadata.__dataclass_fields__}
    _show(sent, as_json=as_json)


def _topic(application: Application, name: str) -> Topic[Any, Any]:
    for topic in application.topics:
        if name in topic.names:
            return topic
    names = sorted(name for topic in application.topics if not topic.internal for name in topic.names)
    raise click.UsageError(f"{application.id!r} declares no topic {name!r}; there are {', '.join(names) or 'none'}")


async def _produce(
    settings: Settings,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    placed_by: bytes | None,
    partition: int | None,
    timestamp: int | None,
) -> RecordMetadata:
    """`placed_by`: what of the key its partition is computed from, if none is given."""
    moment = SystemClock().now() if timestamp is None else timestamp
    async with connected(settings) as transport:
        info = (await transport.admin.describe([topic])).get(topic)
        if info is None:
            raise ProduceError(f"topic {topic!r} does not exist on {settings.broker}: a worker makes it when it starts")
        if partition is None:
            partition = moment % info.partitions if placed_by is None else partition_of(placed_by, info.partitions)
        elif partition >= info.partitions:
            raise ProduceError(f"topic {topic!r} has {info.partitions} partitions: there is no partition {partition}")
        producer = transport.producer(f"{settings.app_id}-send")
        await producer.start()
        try:
            delivery = await producer.send(topic, partition, [key], [value], [moment])
        finally:
            await producer.stop()
    return RecordMetadata(topic, partition, delivery.offset(0), moment)


def _show(sent: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(sent)
        return
    click.echo(f"topic {sent['topic']}, partition {sent['partition']}, offset {sent['offset']}")


@click.command()
@click.argument("table")
@click.argument("key")
@json_option
@url_option
@settings_options("web_host", "web_port", "web_token")
@pass_session
def query(
    session: Session, table: str, key: str, url: str | None, overrides: dict[str, str], as_json: bool
) -> None:
    """Ask a running worker for the value of KEY in TABLE. Exit code 1 if there is none."""
    settings = _settings(session, overrides, needed=url is None)
    base = base_url(settings) if url is None else url.rstrip("/")
    where = f"{base}/v1/tables/{quote(table, safe='')}/{quote(key, safe='')}"
    found = call("GET", where, credentials=settings.web_credentials)
    if as_json:
        show_json(found)
    elif "values" in found:
        for partition, value in found["values"].items():
            click.echo(f"partition {partition}: {cell(value)}")
    elif "windows" in found:
        for window in found["windows"]:
            click.echo(f"{window['start']} to {window['end']}: {cell(window['value'])}")
    else:
        click.echo(cell(found["value"]))


def _settings(session: Session, overrides: dict[str, str], *, needed: bool) -> Settings:
    """The application's; where it isn't `needed` and nothing names one, what there is without it."""
    if needed or session.application is not None or session.location() is not None:
        return session.prepare(overrides)[1]
    return resolve("cli", {}, environ=os.environ, pyproject=project_table(Path.cwd()), overrides=overrides)
