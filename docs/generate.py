"""Writes the pages of the reference that are made from the code: run by `scripts/docs`, kept current by a test."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path

import click

from streamz_actors.cli.main import BUILT_IN
from streamz_actors.cli.options import is_setting
from streamz_actors.config import SETTINGS, SettingInfo

REFERENCE = Path(__file__).resolve().parent / "reference"

SETTINGS_HEAD = """\
# Settings

<!-- Written by docs/generate.py from streamz_actors/config.py: edit there, then run scripts/docs. -->

Each setting is taken from the first place that gives it:

1. the command line,
2. the environment: `STREAMZ_` and the setting's name in capitals,
3. the table `[tool.streamz_actors]` of the nearest `pyproject.toml`, from the working directory upwards,
4. a keyword of `App(...)`,
5. its default.

`app config` prints every setting with its value and where that came from. An unknown name and a malformed value are
errors that say where they stand; a variable that is set but empty counts as not given. Relative paths start at the
working directory, times are in seconds.

"""


def settings_page() -> str:
    return SETTINGS_HEAD + "\n".join(_setting(info) for info in SETTINGS.values())


def _setting(info: SettingInfo) -> str:
    return f"## `{info.name}`\n\n{info.doc}\n\n- is {info.expected}; default: {_default(info)}\n- `{info.environ}`\n"


def _default(info: SettingInfo) -> str:
    if info.default is None:
        return "not set"
    if info.kind in (tuple, dict):
        return "empty"
    return f"`{json.dumps(info.default, default=str)}`"


CLI_HEAD = """\
# Command line

<!-- Written by docs/generate.py from streamz_actors/cli: edit there, then run scripts/docs. -->

`app COMMAND`; `streamz` and `python -m streamz_actors` are the same, and `app.main()` makes a program of your module
that takes the same commands. Which application is meant says the first of `-A module:attribute`, the environment's
`STREAMZ_APP`, and `app` in `[tool.streamz_actors]` of `pyproject.toml`. Without an attribute it is `app`, or the only
`App` of the module. The working directory is searched for modules first.

- `-A` and `--debug` may stand before the command or behind it. `--debug` shows the traceback of an error.
- What goes wrong is one line on standard error. Exit codes: 0 done, 1 failed, 2 called or configured wrongly,
  130 and 143 ended by SIGINT and SIGTERM.
- Lists are tables on a terminal and lines with tabs elsewhere; `--json` prints JSON.

Functions decorated with `@app.command()` are commands of their application: parameters without a default are arguments,
those with one are options, `async def` is awaited. They take text, numbers, booleans and paths, by their annotations.

"""


def cli_page() -> str:
    return CLI_HEAD + "\n".join(_command(command) for command in BUILT_IN)


def _command(command: click.Command, above: str = "app") -> str:
    if isinstance(command, click.Group):
        parts = [f"## `{above} {command.name}`\n\n{inspect.cleandoc(command.help or '')}\n"]
        return "\n".join(parts + [_command(part, f"{above} {command.name}") for part in command.commands.values()])
    own = [parameter for parameter in command.params if not is_setting(parameter) and parameter.expose_value]
    arguments = [one for one in own if isinstance(one, click.Argument)]
    options = [one for one in own if isinstance(one, click.Option)]
    usage = " ".join([above, str(command.name), *(_usage(argument) for argument in arguments)])
    lines = [f"## `{usage}`", "", inspect.cleandoc(command.help or ""), ""]
    lines += [f"- `{_flags(option)}`: {option.help}" for option in options]
    settings = [parameter for parameter in command.params if is_setting(parameter)]
    if len(settings) > 5:
        lines.append("- an option for every [setting](settings.md): `--web-port 7000` for `web_port`")
    elif settings:
        lines.append(f"- of the [settings](settings.md): {', '.join(f'`{_flags(one)}`' for one in settings)}")
    return "\n".join(lines).rstrip() + "\n"


def _usage(argument: click.Argument) -> str:
    name = str(argument.name).upper()
    return name if argument.required else f"[{name}]"


def _flags(parameter: click.Parameter) -> str:
    return ", ".join(parameter.opts) + "".join(f", {flag}" for flag in parameter.secondary_opts)


def pages() -> Mapping[str, str]:
    """File name below docs/reference and content of each generated page."""
    return {"cli.md": cli_page(), "settings.md": settings_page()}


def main() -> None:
    REFERENCE.mkdir(exist_ok=True)
    for name, content in pages().items():
        (REFERENCE / name).write_text(content, "utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
