"""What a person at a terminal sees while a worker starts: a banner, and bars while tables are restored."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table as Grid
from rich.text import Text

from streamz_actors.tasks.restore import Progress


def at_terminal() -> bool:
    """Whether somebody watches standard error, where the log goes."""
    return sys.stderr.isatty()


def banner(facts: dict[str, str]) -> None:
    grid = Grid.grid(padding=(0, 2))
    for name, fact in facts.items():
        grid.add_row(Text(name, style="dim"), Text(fact))
    Console(stderr=True).print(grid)


class Restores:
    """One bar for everything that is being restored; there only as long as something is. Log lines go above it."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._bar = TaskID(0)

    def show(self, progress: Progress | None) -> None:
        if progress is None or not progress.total:
            self.close()
            return
        if self._bars is None:
            self._bars = Bars(
                TextColumn("restoring"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]} records/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar = self._bars.add_task("restoring", total=progress.total, rate="")
            self._bars.start()
        rate = f"{progress.rate(time.monotonic()):,.0f}"
        self._bars.update(self._bar, completed=progress.done, total=progress.total, rate=rate)

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
