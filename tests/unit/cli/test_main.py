"""The border: help, version, unknown commands, commands of the application, and what becomes of their errors."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.errors import ConfigError, ProduceError
from tests.unit.cli.conftest import CommandLine


@pytest.fixture
def app() -> App:
    return App("mine")


def test_version_names_the_package(command_line: CommandLine) -> None:
    result = command_line("--version")
    assert result.code == 0
    assert result.out.startswith("streamz_actors ")


def test_help_lists_the_applications_own_commands(command_line: CommandLine, app: App) -> None:
    @app.command()
    def fill_up(count: int) -> None:
        """Fills things up."""

    out = command_line("--help", application=app).out
    assert "Commands of the application:" in out
    assert "Fills things up." in out


def test_help_without_an_application_lists_the_built_in_commands(command_line: CommandLine) -> None:
    result = command_line("--help")
    assert result.code == 0
    assert "topology" in result.out
    assert "of the application:" not in result.out


def test_help_survives_a_broken_application(
    command_line: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.py").write_text("1 / 0\n", "utf-8")
    monkeypatch.setenv("STREAMZ_APP", "broken")
    result = command_line("--help")
    assert result.code == 0
    assert "own commands are not listed" in " ".join(result.out.split())


def test_an_unknown_command_is_one_line_and_code_2(command_line: CommandLine, app: App) -> None:
    for application in (None, app):
        result = command_line("wrok", application=application)
        assert result.code == 2
        (line,) = result.err.splitlines()
        assert "No such command 'wrok'" in line


def test_parameters_of_a_command_are_arguments_and_options(command_line: CommandLine, app: App) -> None:
    got: list[tuple[Any, ...]] = []

    @app.command()
    def load_all(path: Path, times: int, *, dry_run: bool = False, label: str | None = None, rate: float = 1.5) -> None:
        got.append((path, times, dry_run, label, rate))

    assert command_line("load-all", "x.csv", "3", application=app).code == 0
    result = command_line("load-all", "x.csv", "3", "--dry-run", "--label", "a", "--rate", "2", application=app)
    assert result.code == 0
    assert got == [(Path("x.csv"), 3, False, None, 1.5), (Path("x.csv"), 3, True, "a", 2.0)]
    wrong = command_line("load-all", "x.csv", "three", application=app)
    assert (wrong.code, "'three' is not a valid integer" in wrong.err) == (2, True)


def test_async_commands_are_awaited(command_line: CommandLine, app: App) -> None:
    got: list[str] = []

    @app.command("greet")
    async def anything(name: str) -> None:
        await asyncio.sleep(0)
        got.append(name)

    assert command_line("greet", "you", application=app).code == 0
    assert got == ["you"]


def test_a_parameter_that_cannot_be_typed_in_is_told(command_line: CommandLine, app: App) -> None:
    @app.command()
    def odd(things: dict[str, int]) -> None: ...

    result = command_line("odd", application=app)
    assert (result.code, "command 'odd': parameter things" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ValueError("two\nlines"), 1, "error: ValueError: two lines ("),
        (KeyboardInterrupt(), 130, ""),
        (ProduceError("not delivered"), 1, "error: not delivered"),
        (ConfigError("contradiction"), 2, "error: contradiction"),
        (FileNotFoundError(2, "No such file", "orders.csv"), 1, "error: FileNotFoundError: [Errno 2]"),
    ],
)
def test_an_error_of_a_command_is_one_line(
    command_line: CommandLine, app: App, error: BaseException, code: int, says: str
) -> None:
    @app.command()
    def fail() -> None:
        raise error

    result = command_line("fail", application=app)
    assert (result.code, len(result.err.splitlines()) <= 1) == (code, True)
    assert result.err.startswith(says)
