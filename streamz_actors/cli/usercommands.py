"""Functions of the user as commands: parameters without a default are arguments, those with one are options."""

import asyncio
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from streamz_actors.errors import ConfigError
from streamz_actors.serde.traits import without_none

KNOWN = (str, int, float, bool, Path)


def user_command(name: str, function: Callable[..., Any]) -> click.Command:
    """A command that calls `function`, sync or async. ConfigError for a parameter that cannot be typed in."""
    hints = typing.get_type_hints(function)
    parameters = [
        _parameter(name, parameter, without_none(hints.get(parameter.name, str)))
        for parameter in inspect.signature(function).parameters.values()
    ]

    def run(**values: Any) -> None:
        result = function(**values)
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))

    return click.Command(name, callback=run, params=parameters, help=inspect.getdoc(function))


async def _awaited(result: Any) -> None:
    await result


def _parameter(command: str, parameter: inspect.Parameter, kind: Any) -> click.Parameter:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or kind not in KNOWN:
        words = ", ".join(known.__name__ for known in KNOWN)
        raise ConfigError(f"command {command!r}: parameter {parameter}: plain ones of {words} can be typed in")
    if parameter.default is inspect.Parameter.empty:
        return click.Argument([parameter.name], type=_click_type(kind))
    flag = f"--{parameter.name.replace('_', '-')}"
    if kind is bool:
        flag += f"/--no-{parameter.name.replace('_', '-')}"
    return click.Option([flag, parameter.name], type=_click_type(kind), default=parameter.default, show_default=True)


def _click_type(kind: Any) -> Any:
    return click.Path(path_type=Path) if kind is Path else kind
