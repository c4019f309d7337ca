"""How results are shown: tables on a terminal, lines with tabs elsewhere, JSON where it is asked for."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

Row = dict[str, Any]


def listing(rows: Sequence[Row], *, as_json: bool, columns: Sequence[str]) -> None:
    """Shows rows. On a terminal a table with titles, elsewhere one line each, its cells separated by tabs."""
    if as_json:
        show_json(list(rows))
    elif sys.stdout.isatty():
        _grid(rows, columns)
    else:
        for row in rows:
            click.echo("\t".join(cell(row[column]) for column in columns))


def _grid(rows: Sequence[Row], columns: Sequence[str]) -> None:
    grid = Grid(*(column.replace("_", " ") for column in columns))
    for row in rows:
        grid.add_row(*(Text(cell(row[column])) for column in columns))
    Console().print(grid)


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def cell(value: Any) -> str:
    """A value for people: nothing for None, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
