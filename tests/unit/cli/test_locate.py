"""How the command line finds the application, and what it says where there is none."""

from pathlib import Path

import pytest

from streamz_actors import App
from tests.unit.cli.conftest import CommandLine

MODULE = """
from streamz_actors import App

app = App("shop")
other = App("other")
number = 3
"""


@pytest.fixture
def shop(folder: Path) -> Path:
    path = folder / "shop.py"
    path.write_text(MODULE, "utf-8")
    return path


def topology(command_line: CommandLine, *arguments: str) -> str:
    result = command_line(*arguments, "topology")
    assert result.code == 0, result.err
    return result.out.splitlines()[0]


def test_the_option_names_module_and_attribute(command_line: CommandLine, shop: Path) -> None:
    assert topology(command_line, "-A", "shop:other") == "application other"


def test_the_attribute_app_is_the_default(command_line: CommandLine, shop: Path) -> None:
    assert topology(command_line, "-A", "shop") == "application shop"


def test_the_option_may_stand_behind_the_command(command_line: CommandLine, shop: Path) -> None:
    result = command_line("topology", "-A", "shop")
    assert result.out.startswith("application shop\n")


def test_the_environment_names_it(command_line: CommandLine, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMZ_APP", "shop:other")
    assert topology(command_line) == "application other"


def test_the_project_names_it(command_line: CommandLine, shop: Path) -> None:
    (shop.parent / "pyproject.toml").write_text('[tool.streamz_actors]\napp = "shop:other"\n', "utf-8")
    assert topology(command_line) == "application other"


def test_the_option_goes_before_environment_and_project(
    command_line: CommandLine, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMZ_APP", "nothing")
    (shop.parent / "pyproject.toml").write_text('[tool.streamz_actors]\napp = "nothing"\n', "utf-8")
    assert topology(command_line, "-A", "shop") == "application shop"


def test_the_only_application_of_a_module_needs_no_name(command_line: CommandLine, folder: Path) -> None:
    (folder / "lone.py").write_text('from streamz_actors import App\nmine = alias = App("mine")\n', "utf-8")
    assert topology(command_line, "-A", "lone") == "application mine"


def test_an_application_that_was_called_is_meant(command_line: CommandLine) -> None:
    assert command_line("topology", application=App("called")).out.startswith("application called\n")
    refused = command_line("-A", "shop", "topology", application=App("called"))
    assert (refused.code, "an application itself" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "there is no module 'nowhere'"),
        ("nowhere.deep:app", "there is no module 'nowhere'"),
        ("shop:ap", "'shop' has no attribute 'ap'; did you mean 'app'?"),
        ("shop:number", "'number' is a int, not an App"),
        ("shop.py", "write module or module:attribute"),
        ("./shop", "write module or module:attribute"),
        (":app", "write module or module:attribute"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(command_line: CommandLine, shop: Path, name: str, says: str) -> None:
    result = command_line("-A", name, "topology")
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: application {name!r} (-A): ")
    assert says in line


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("1 / 0", "importing 'broken' failed: ZeroDivisionError: division by zero (broken.py, line 1)"),
        ("def f(:", "importing 'broken' failed: SyntaxError: "),
        ("import no_such_thing", "importing 'broken' failed: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("x = 1", "'broken' has no App"),
        ("from streamz_actors import App; one, two = App('1'), App('2')", "several Apps: write broken:one or :two"),
        ("from streamz_actors import App; app = App('no spaces')", "error: application id 'no spaces'"),
        ("from streamz_actors import App; app = App('a', web_prt=1)", "did you mean 'web_port'?"),
    ],
)
def test_a_broken_module_is_told_in_one_line(
    command_line: CommandLine, folder: Path, source: str, says: str
) -> None:
    (folder / "broken.py").write_text(source + "\n", "utf-8")
    result = command_line("-A", "broken", "topology")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert says in line


def test_debug_shows_the_traceback_too(command_line: CommandLine, folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0\n", "utf-8")
    result = command_line("--debug", "-A", "broken", "topology")
    assert "Traceback (most recent call last):" in result.err
    assert result.err.splitlines()[-1].startswith("error: ")


def test_no_application_at_all_says_how_to_name_one(command_line: CommandLine) -> None:
    result = command_line("topology")
    assert result.code == 2
    assert "Say -A module:attribute, set STREAMZ_APP, or give pyproject.toml" in result.err


def test_autodiscover_imports_what_else_declares(command_line: CommandLine, folder: Path) -> None:
    source = "from streamz_actors import App\napp = App('auto', autodiscover=['more'])\n"
    (folder / "main.py").write_text(source, "utf-8")
    (folder / "more.py").write_text("from main import app\napp.topic('declared', value_type=str)\n", "utf-8")
    assert "declared" in command_line("-A", "main", "topics").out
    missing = command_line("-A", "main", "config", "--autodiscover", "nothing")
    assert "setting 'autodiscover' (command line): there is no module 'nothing'" in missing.err
