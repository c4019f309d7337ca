"""What people see while a worker starts: what it is, and at a terminal bars while tables are restored."""

import logging
import sys
import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table as Grid
from rich.text import Text

from streamz_actors.cli.application import Application
from streamz_actors.config import Settings
from streamz_actors.tasks.restore import Progress
from streamz_actors.worker.worker import Worker

logger = logging.getLogger("streamz_actors.cli")


class Audience(Protocol):
    """Who is told how a worker's start goes."""

    def serving(self, worker: Worker) -> None:
        """Once: its address is known, if it has one."""
        ...

    def restoring(self, progress: Progress | None) -> None:
        """Again and again; None while nothing is restored."""
        ...

    def ready(self) -> None: ...

    def close(self) -> None:
        """The start is over, well or not."""
        ...


class People:
    """Those who started the worker, at a terminal or as readers of the log."""

    def __init__(self, application: Application, settings: Settings) -> None:
        self._application, self._settings = application, settings
        self._bars = Restores() if at_terminal() and settings.log_format == "plain" else None

    def serving(self, worker: Worker) -> None:
        announce(facts(self._application, self._settings, worker.address or "off"), self._settings)

    def restoring(self, progress: Progress | None) -> None:
        if self._bars is not None:
            self._bars.show(progress)

    def ready(self) -> None:
        """The log says it."""

    def close(self) -> None:
        if self._bars is not None:
            self._bars.close()


def at_terminal() -> bool:
    """Whether somebody watches standard error, where the log goes."""
    return sys.stderr.isatty()


def facts(application: Application, settings: Settings, address: str) -> dict[str, str]:
    """Of a worker that answers at `address`."""
    tables = [table.name for table in application.topology().tables]
    local = settings.store_url.startswith("memory:")
    return {
        "application": application.id,
        "broker": settings.broker,
        "state": settings.store_url if local else f"{settings.store_url} in {settings.data_dir}",
        "web": address,
        "tables": ", ".join(tables) or "none",
    }


def announce(known: dict[str, str], settings: Settings) -> None:
    """As a banner where somebody watches, else as a line of the log."""
    if at_terminal() and settings.log_format == "plain":
        _banner(known)
    else:
        logger.info("; ".join(f"{name}: {fact}" for name, fact in known.items()))


def _banner(known: dict[str, str]) -> None:
    grid = Grid.grid(padding=(0, 2))
    for name, fact in known.items():
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
