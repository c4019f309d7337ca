"""Files are short, say what lives in them, and leave nothing half-done; no test is skipped."""

import ast
import re

import pytest

from tests.architecture.sources import PACKAGE, ROOT, python_files, relative

MOST_LINES = 450
LONGER = {"streamz_actors/streams/stream.py": 1_000}
"""Streams, grouped streams and tables give each other, and imports go in no circle: signatures with little behind."""
ALL = ("streamz_actors", "apps", "tests", "benchmarks", "docs")
UNFINISHED = re.compile(r"raise NotImplementedError(\(\))?$|\b(TODO|FIXME|XXX)\b")
SKIPPED = re.compile(r"mark\.(skip|skipif|xfail)\b|pytest\.(skip|xfail|importorskip)\(")


def lines_with(pattern: re.Pattern[str], *folders: str) -> list[str]:
    return [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in python_files(*folders)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if pattern.search(line) and path.name != "test_files.py"
    ]


def test_no_file_is_long() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    counts = {relative(path): len(path.read_text("utf-8").splitlines()) for path in [*python_files(*ALL), *scripts]}
    assert {name: count for name, count in counts.items() if count > LONGER.get(name, MOST_LINES)} == {}


@pytest.mark.parametrize("folder", ALL)
def test_every_file_says_first_what_lives_in_it(folder: str) -> None:
    silent = []
    for path in python_files(folder):
        source = path.read_text("utf-8")
        if source.strip() and not (source.startswith('"""') and ast.get_docstring(ast.parse(source))):
            silent.append(relative(path))
    assert silent == []


def test_inner_init_files_are_empty() -> None:
    inner = [path for path in PACKAGE.rglob("__init__.py") if path.parent not in (PACKAGE, PACKAGE / "testing")]
    assert [relative(path) for path in inner if path.read_text("utf-8").strip()] == []


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED, "streamz_actors", "apps", "benchmarks") == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    assert lines_with(SKIPPED, "tests", "apps") == []
