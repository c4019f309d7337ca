"""From `module[:attribute]` to the application: imports the module and finds the object, or says what is wrong."""

import difflib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from streamz_actors.cli.application import Application
from streamz_actors.cli.report import explained
from streamz_actors.errors import ConfigError, StreamzError

USUAL = "app"
"""The attribute that is looked for first where none is given."""


def load(name: str, origin: str) -> Application:
    """The application called `module[:attribute]`; `origin` says who asked. ConfigError where there is none."""
    where = f"application {name!r} ({origin})"
    module, _, attribute = name.partition(":")
    if not module or "/" in module or module.endswith(".py"):
        raise ConfigError(f"{where}: write module or module:attribute, such as shop.orders:app")
    imported = import_module(module, where)
    found = _named(imported, attribute, where) if attribute else _only(imported, where)
    if not is_application(found):
        raise ConfigError(f"{where}: {attribute!r} is a {type(found).__name__}, not an App")
    application: Application = found
    return application


def is_application(thing: object) -> bool:
    return not isinstance(thing, type) and isinstance(thing, Application)


def import_module(name: str, where: str) -> ModuleType:
    """Imports a module of the user's, also from the working directory. ConfigError where that fails."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except StreamzError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f"{where}: there is no module {error.name!r}, neither installed nor in {here}") from error
        raise ConfigError(f"{where}: importing {name!r} failed: {explained(error)}") from error
    except Exception as error:
        raise ConfigError(f"{where}: importing {name!r} failed: {explained(error)}") from error


def _named(module: ModuleType, attribute: str, where: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            applications = [name for name, thing in vars(found).items() if is_application(thing)]
            near = difflib.get_close_matches(part, applications)
            advice = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{where}: {module.__name__!r} has no attribute {attribute!r}{advice}")
        found = getattr(found, part)
    return found


def _only(module: ModuleType, where: str) -> Any:
    """The attribute `app`, else the one application that the module has."""
    if is_application(usual := getattr(module, USUAL, None)):
        return usual
    names = {id(thing): name for name, thing in reversed(vars(module).items()) if is_application(thing)}
    if len(names) == 1:
        return getattr(module, next(iter(names.values())))
    if not names:
        raise ConfigError(f"{where}: {module.__name__!r} has no App: write module:attribute")
    raise ConfigError(
        f"{where}: {module.__name__!r} has several Apps: write {module.__name__}:{' or :'.join(sorted(names.values()))}"
    )
