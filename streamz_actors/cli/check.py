"""`app check`: what a deploy of this release would meet. Looks, and changes nothing."""

import asyncio
import sys
from contextlib import closing

import click

from streamz_actors.cli.application import Application
from streamz_actors.cli.connect import backend_of, connected, on_kafka
from streamz_actors.cli.options import json_option, settings_options
from streamz_actors.cli.output import listing
from streamz_actors.cli.session import Session, pass_session
from streamz_actors.config import Settings
from streamz_actors.worker.findings import Finding, Severity
from streamz_actors.worker.inspection import inspect
from streamz_actors.worker.survey import survey, with_settings


@click.command()
@json_option
@settings_options()
@pass_session
def check(session: Session, overrides: dict[str, str], as_json: bool) -> None:
    """Compare this release with the topics, offsets and state that there are, before it is deployed.

    Names what is incompatible (a worker would fail, or read state wrongly), what is orphaned (nobody reads it any more)
    and what is worth knowing. Changes nothing. Exit code 1 if anything is incompatible.
    """
    application, settings = session.prepare(overrides)
    on_kafka(settings, "check")
    found = asyncio.run(_look(application, settings))
    rows = [{"severity": one.severity.value, "subject": one.subject, "message": one.message} for one in found]
    listing(rows, as_json=as_json, columns=("severity", "subject", "message"))
    if not rows and not as_json:
        click.echo("nothing stands in the way of this release")
    sys.exit(int(any(one.severity is Severity.INCOMPATIBLE for one in found)))


async def _look(application: Application, settings: Settings) -> list[Finding]:
    spec = application.spec(settings)
    with closing(backend_of(settings)) as backend:
        async with connected(settings) as transport:
            return inspect(spec, await survey(transport, backend, spec, with_settings(spec)))
