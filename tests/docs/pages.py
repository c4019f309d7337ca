"""The documentation's code blocks: found, and run as the page shows them."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).resolve().parents[2]
BEFORE = {
    "docs/reference/http.md": """
from streamz_actors import App
app = App("page")
totals = app.table("totals", key_type=str, value_type=float)
""",
}
"""What a page that shows but a piece of an application takes for granted."""

FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    language: str
    title: str
    source: str
    line: int


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(match[1], match[2] or "", match[3], text.count("\n", 0, match.start()) + 2)
        for match in FENCE.finditer(text)
        if match[1] == language
    ]


@contextmanager
def module() -> Iterator[ModuleType]:
    """A module for a page's blocks: models look up their annotations in it."""
    made = ModuleType("page_of_the_documentation")
    sys.modules[made.__name__] = made
    try:
        yield made
    finally:
        del sys.modules[made.__name__]


async def run(page: Path, into: ModuleType) -> None:
    """Runs the Python blocks one after the other in one module; `await` may stand outside of functions."""
    exec(BEFORE.get(name(page), ""), vars(into))
    for block in blocks(page, "python"):
        # Blank lines in front, so that an error names the line of the page.
        source = "\n" * (block.line - 1) + block.source
        code: CodeType = compile(source, name(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, vars(into))
        if inspect.iscoroutine(result):
            await result
