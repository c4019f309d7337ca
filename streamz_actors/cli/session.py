"""What one call of the command line knows: which application is meant, its settings, how errors are shown."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import click

from streamz_actors.cli.application import Application
from streamz_actors.cli.locate import import_module, load
from streamz_actors.config import Settings, override, project_table
from streamz_actors.errors import ConfigError

VARIABLE = "STREAMZ_APP"


@dataclass
class Session:
    application: Application | None = None
    """Set from the start if the application itself was called (`app.main()`)."""
    given: str | None = None
    """`-A`."""
    debug: bool = False
    report: Callable[[str], object] = field(default=lambda text: click.echo(f"error: {text}", err=True))
    """Tells the user, in one line, why the command failed."""

    def location(self) -> tuple[str, str] | None:
        """`module[:attribute]` and where that was said."""
        if self.given:
            return self.given, "-A"
        if name := os.environ.get(VARIABLE):
            return name, VARIABLE
        named = project_table(Path.cwd()).get("app")
        if named is None:
            return None
        if not isinstance(named, str) or not named:
            raise ConfigError(f"pyproject.toml: [tool.streamz_actors] app = {named!r}: write \"module:attribute\"")
        return named, "pyproject.toml"

    def load(self) -> Application:
        """The application. ConfigError if there is none or it cannot be imported."""
        if self.application is not None:
            if self.given:
                raise ConfigError("-A is for the command `app`: this program is an application itself")
            return self.application
        location = self.location()
        if location is None:
            raise ConfigError(
                f"which application? Say -A module:attribute, set {VARIABLE}, or give "
                f"pyproject.toml a [tool.streamz_actors] with app = \"module:attribute\""
            )
        self.application = load(*location)
        self.given = None
        return self.application

    def prepare(self, overrides: Mapping[str, Any]) -> tuple[Application, Settings]:
        """The application with everything that `autodiscover` names imported, and its settings under `overrides`."""
        application = self.load()
        settings = override(application.settings, overrides)
        for module in settings.autodiscover:
            import_module(module, f"setting 'autodiscover' ({settings.origins['autodiscover']})")
        return application, settings


def session_of(context: click.Context) -> Session:
    return cast(Session, context.find_root().obj)


pass_session = click.make_pass_decorator(Session)
