"""How far a long job is: bars on a terminal, a line at every tenth elsewhere."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """Several counters with a total each. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tenths: dict[TaskID, int] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._progress.stop()

    def add(self, description: str, total: int, done: int = 0) -> TaskID:
        return self._progress.add_task(description, total=total, completed=done)

    def advance(self, bar: TaskID, count: int) -> None:
        self.show(bar, round(self._progress.tasks[bar].completed) + count)

    def show(self, bar: TaskID, done: int) -> None:
        self._progress.update(bar, completed=done)
        if self._console.is_terminal:
            return
        task = self._progress.tasks[bar]
        total = round(task.total or 0)
        tenth = 10 if done >= total else done * 10 // total
        if tenth > self._tenths.get(bar, 0):
            self._tenths[bar] = tenth
            print(f"{task.description}: {done:,} of {total:,}", flush=True)
