"""Options that several commands take: every setting by its name, `--set name=value`, and `--json`."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from streamz_actors.cli.session import session_of
from streamz_actors.config import SETTINGS, SettingInfo

F = TypeVar("F", bound=Callable[..., Any])

OFFERED = tuple(name for name, info in SETTINGS.items() if info.kind is not dict)
"""Settings with an option of their own; tables are given with `--set`."""


def settings_options(*names: str) -> Callable[[F], Callable[..., Any]]:
    """Gives a command options for these settings (none named: for all that can have one) and `--set`.

    The command gets what was given as `overrides`, a dict of texts, which `config.override` parses.
    """
    offered = names or OFFERED

    def decorate(function: F) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(*args: Any, set_: tuple[str, ...], **options: Any) -> Any:
            values = {name: options.pop(_parameter(name)) for name in offered}
            overrides = {name: value for name, value in values.items() if value is not None} | _pairs(set_)
            return function(*args, overrides=overrides, **options)

        wrapped: Callable[..., Any] = _set_option(command)
        for name in reversed(offered):
            wrapped = _option(SETTINGS[name])(wrapped)
        return wrapped

    return decorate


_set_option = click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any setting, as the option of its name gives it; tables as JSON. May be given several times.",
)


def _parameter(name: str) -> str:
    return f"setting_{name}"


def is_setting(parameter: click.Parameter) -> bool:
    """Whether it is the option of a setting."""
    return str(parameter.name).startswith("setting_")


def _option(info: SettingInfo) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = f"--{info.name.replace('_', '-')}"
    metavar = f"[{'|'.join(info.choices)}]" if info.choices else _METAVARS[info.kind]
    return click.option(flag, _parameter(info.name), metavar=metavar, help=info.doc.replace("`", ""))


_METAVARS = {bool: "true|false", int: "NUMBER", float: "NUMBER", tuple: "NAME,NAME", str: "TEXT", Path: "PATH"}


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--set")
        pairs[name.strip().replace("-", "_")] = value
    return pairs


def _choose(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value:
        session_of(context).given = value


def _debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        session_of(context).debug = True


def common_options(function: F) -> F:
    """`-A` and `--debug`: of `app` itself, and of each of its commands, so that they may stand behind the name too."""
    application = click.option(
        "-A", "--app", metavar="MODULE[:ATTRIBUTE]", is_eager=True, expose_value=False, callback=_choose,
        help="The application. Default: STREAMZ_APP, then app in [tool.streamz_actors] of pyproject.toml.",
    )
    debug = click.option(
        "--debug", is_flag=True, is_eager=True, expose_value=False, callback=_debug,
        help="Show the traceback of an error.",
    )
    return application(debug(function))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
