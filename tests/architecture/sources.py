"""What the architecture tests look at: the project's files and what each of them imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "streamz_actors"


def python_files(*folders: str) -> list[Path]:
    """All Python files below the named folders of the project that exist, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "/." not in str(path))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """The absolute module of each import of a file, wherever it stands: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}: line {node.lineno}: a relative import"
            yield node.module or ""
