"""`app reset`: a stopped application begins anew. It says what it would do, asks, and does that."""

import asyncio
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast, get_args

import click

from streamz_actors.cli.application import Application
from streamz_actors.cli.connect import backend_of, connected, on_kafka
from streamz_actors.cli.options import json_option, settings_options
from streamz_actors.cli.output import show_json
from streamz_actors.cli.session import Session, pass_session
from streamz_actors.config import Settings
from streamz_actors.transport.abc import MemberInfo
from streamz_actors.worker.resetting import End, Moment, Part, Reset, Wish, carry_out, plan_reset
from streamz_actors.worker.survey import survey


def _moment(context: click.Context, parameter: click.Parameter, value: str) -> Moment:
    """Times without a zone are UTC."""
    if value in get_args(End):
        return cast("End", value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not earliest, latest or a time such as 2026-01-31T12:00") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--force", is_flag=True, help="Take members out of the group, such as static ones that are not coming back."
)
@click.option(
    "--only", type=click.Choice([part.value for part in Part]), multiple=True,
    help="Only this: local state, internal topics, or committed offsets. May be given several times.",
)
@click.option(
    "--to", callback=_moment, default="earliest", metavar="[earliest|latest|TIME]",
    help="Where the topics that are read begin. TIME as 2026-01-31T12:00, in UTC unless it says another zone. "
    "Default: earliest.",
)
@click.option(
    "--input-topic", "inputs", multiple=True, metavar="TOPIC",
    help="Move the offsets of this topic only. May be given several times. Default: of all that are read.",
)
@json_option
@settings_options()
@pass_session
def reset(
    session: Session,
    overrides: dict[str, str],
    dry_run: bool,
    yes: bool,
    force: bool,
    only: tuple[str, ...],
    to: Moment,
    inputs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Let a stopped application begin anew: its state, its internal topics and its offsets go.

    Other topics keep their records. Says what it will do and asks first.
    """
    application, settings = session.prepare(overrides)
    on_kafka(settings, "reset")
    wish = Wish(frozenset(Part(one) for one in only) or frozenset(Part), inputs, to)
    asyncio.run(_reset(application, settings, wish, Manner(dry_run, force, yes, as_json)))


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is gone about."""

    dry_run: bool
    force: bool
    yes: bool
    as_json: bool


async def _reset(application: Application, settings: Settings, wish: Wish, manner: Manner) -> None:
    spec = application.spec(settings)
    with closing(backend_of(settings)) as backend:
        async with connected(settings) as transport:
            there = await survey(transport, backend, spec, ())
            plan = await plan_reset(transport.admin, spec, there, wish)
            if plan.members and not manner.force:
                _refuse(plan.members, manner)
                plan = replace(plan, members=())
            _show(plan, manner)
            if plan.lines() and _agreed(spec.app_id, manner):
                await carry_out(transport.admin, backend, plan)
                click.echo("done", err=True)


def _refuse(members: tuple[MemberInfo, ...], manner: Manner) -> None:
    who = ", ".join(sorted(one.client_id for one in members))
    text = f"the application runs: its group has members ({who}); stop its workers first"
    if not manner.dry_run:
        raise click.ClickException(f"{text}; --force takes out of the group who will not come back")
    click.echo(f"note: {text}", err=True)


def _show(plan: Reset, manner: Manner) -> None:
    if manner.as_json:
        show_json(plan.lines())
        return
    for line in plan.lines() or ["there is nothing to reset"]:
        click.echo(line)


def _agreed(app_id: str, manner: Manner) -> bool:
    if manner.dry_run or manner.yes:
        return not manner.dry_run
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: say --yes, or --dry-run")
    return click.confirm(f"reset {app_id}?", abort=True, err=True)
