"""A contender's process, seen from outside: its CPU time, its memory, and how it is ended. Linux only (/proc)."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
STOP_TIMEOUT = 20.0
PROC = Path("/proc")


class Contestant:
    """A started process and its descendants. Its output goes to `log`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> None:
        self.log = log
        self._peak = 0
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise RuntimeError(f"it ended with code {code}:\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])

    def cpu(self) -> float:
        """Seconds of CPU that it and its descendants have used."""
        return sum(cpu_of(pid) for pid in descendants(self.pid))

    def peak_rss(self) -> int:
        """Bytes: the sum of every process's own peak, the highest seen so far."""
        self._peak = max(self._peak, sum(memory_of(pid, "VmHWM") for pid in descendants(self.pid)))
        return self._peak

    def rss(self) -> int:
        """Bytes that it and its descendants have in memory now."""
        return sum(memory_of(pid, "VmRSS") for pid in descendants(self.pid))

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not end by it."""
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def descendants(pid: int) -> Iterator[int]:
    """`pid` itself, then its children and theirs."""
    yield pid
    try:
        children = (PROC / f"{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from descendants(int(child))


def cpu_of(pid: int) -> float:
    """0 for a process that is gone."""
    try:
        fields = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(pid: int, field: str) -> int:
    """Bytes, of a line of its status; 0 for a process that is gone."""
    try:
        lines = (PROC / f"{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)
