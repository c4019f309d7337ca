"""Imports point down: the contracts of pyproject.toml hold, have no holes, and there is no circle anywhere."""

import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

from tests.architecture.sources import PACKAGE, ROOT

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def test_the_import_contracts_are_kept() -> None:
    command = [str(LINT_IMPORTS), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_let_nothing_through_on_the_quiet() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert "exclude_type_checking_imports" not in configured
    holes = {"ignore_imports", "skip_descendants"}
    assert [contract["id"] for contract in configured["contracts"] if holes & contract.keys()] == []


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = grimp.build_graph("streamz_actors", cache_dir=None)
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()


def test_the_graph_sees_every_file() -> None:
    graph = grimp.build_graph("streamz_actors", cache_dir=None)
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
    }
    assert files <= graph.modules
