"""The command line `app` (`streamz` is the same): its commands, the user's own, and the border where errors end.

Exit codes: 0 done, 1 failed, 2 called wrongly (click's usage errors and every ConfigError), 130 interrupted.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from typing import NoReturn

import click

from streamz_actors.cli import check, dlq, inspect, records, reset, worker
from streamz_actors.cli.application import Application
from streamz_actors.cli.options import common_options
from streamz_actors.cli.report import one_line
from streamz_actors.cli.session import Session, session_of
from streamz_actors.cli.usercommands import user_command
from streamz_actors.errors import ConfigError, StreamzError

BUILT_IN = (
    worker.worker,
    worker.run,
    records.send,
    records.query,
    inspect.agents,
    inspect.tables,
    inspect.topics,
    inspect.models,
    inspect.topology,
    inspect.config,
    dlq.dlq,
    check.check,
    reset.reset,
)


class Commands(click.Group):
    """The built-in commands and those of the application, which is imported only where one of its own may be meant."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        built_in = super().get_command(ctx, cmd_name)
        if built_in is not None:
            return built_in
        session = session_of(ctx)
        if session.application is None and session.location() is None:
            return None
        function = session.load().commands.get(cmd_name)
        return None if function is None else user_command(cmd_name, function)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        session = session_of(ctx)
        if session.application is None and session.location() is None:
            return
        try:
            own = session.load().commands
        except StreamzError as error:
            formatter.write_paragraph()
            formatter.write_text(f"The application's own commands are not listed: {one_line(error)}")
            return
        if own:
            helps = [(name, user_command(name, own[name]).get_short_help_str()) for name in sorted(own)]
            with formatter.section("Commands of the application"):
                formatter.write_dl(helps)


def _version() -> str:
    try:
        return metadata.version("streamz_actors")
    except metadata.PackageNotFoundError:
        return "of a source tree that is not installed"


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True, name="app"
)
@common_options
@click.version_option(_version(), message="streamz_actors %(version)s")
def app() -> None:
    """Run and inspect a streamz_actors application."""


for command in BUILT_IN:
    app.add_command(common_options(command))


def main(application: Application | None = None, arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits. `arguments` default to those of the process."""
    session = Session(application)
    try:
        app.main(None if arguments is None else list(arguments), standalone_mode=False, obj=session)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # Who read our output has gone: nobody is left to be told, not even by the interpreter's own last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except click.ClickException as error:
        _told(session, error)
        session.report(_click_line(error))
        sys.exit(error.exit_code)
    except Exception as error:
        _told(session, error)
        hint = "" if session.debug or isinstance(error, StreamzError) else "; --debug shows the traceback"
        session.report(one_line(error) + hint)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    sys.exit(0)


def _told(session: Session, error: Exception) -> None:
    if session.debug:
        traceback.print_exception(error)


def _click_line(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message} Try: {error.ctx.command_path} --help"
    return message
