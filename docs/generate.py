"""Writes the pages of the reference that are made from the code: run by `scripts/docs`, kept current by a test."""

import json
from collections.abc import Mapping
from pathlib import Path

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


def pages() -> Mapping[str, str]:
    """File name below docs/reference and content of each generated page."""
    return {"settings.md": settings_page()}


def main() -> None:
    REFERENCE.mkdir(exist_ok=True)
    for name, content in pages().items():
        (REFERENCE / name).write_text(content, "utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
