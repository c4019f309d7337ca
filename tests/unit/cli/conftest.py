"""Running the command line in this process, in a folder of its own and without settings from outside."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamz_actors.cli.application import Application
from streamz_actors.cli.main import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


CommandLine = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory; modules imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in os.environ if name.startswith("STREAMZ_")]:
        monkeypatch.delenv(name)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """`command_line("topics", "--json", application=app)` gives exit code, standard output and standard error."""

    def run(*arguments: str, application: Application | None = None) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(application, arguments)
        out, err = capsys.readouterr()
        code = end.value.code
        assert isinstance(code, int)
        return Result(code, out, err)

    return run
