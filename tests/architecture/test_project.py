"""What lies around the code keeps to its own rules: scripts, changelog, generated pages, the README's example."""

import ast
import os
import re
import runpy

import pytest

from tests.architecture.sources import ROOT

FRAGMENT = re.compile(r"[a-z0-9-]+\.(added|changed|fixed|removed|security)\.md")
SCRIPTS = ["bench", "demo", "docs", "kafka", "lint", "mutants", "simulate", "test", "venv"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_can_be_run_and_says_what_it_does(name: str) -> None:
    script = ROOT / "scripts" / name
    first, second, *_ = script.read_text("utf-8").splitlines()
    assert os.access(script, os.X_OK)
    assert first.startswith("#!/usr/bin/env ")
    assert second.startswith(("# ", '"""'))


def test_every_script_is_in_the_contributing_guide_or_the_readme() -> None:
    guides = (ROOT / "CONTRIBUTING.md").read_text("utf-8") + (ROOT / "README.md").read_text("utf-8")
    found = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file())
    assert found == SCRIPTS
    assert [name for name in found if f"scripts/{name}" not in guides] == []


def test_the_first_screen_of_the_readme_has_the_two_commands() -> None:
    first = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:15])
    assert "scripts/demo" in first
    assert "scripts/test" in first


def test_the_example_of_the_readme_is_python_and_imports_public_names() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL)
    imports = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in imports] == ["streamz_actors"]


def test_changelog_fragments_are_named_for_their_kind() -> None:
    names = [path.name for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    assert [name for name in names if not FRAGMENT.fullmatch(name)] == []


def test_the_generated_pages_are_current() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    stale = [name for name, page in pages.items() if (ROOT / "docs" / "reference" / name).read_text("utf-8") != page]
    assert stale == [], "run scripts/docs"
