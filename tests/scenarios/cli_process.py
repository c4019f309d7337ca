"""The command line as a process of its own: exit codes, signals and streams are real."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MODULE = """
import logging
import os
import time

from streamz_actors import App

app = App("shop", web_port=0, topic_partitions=2)
orders = app.topic("orders", key_type=str, value_type=float)
totals = app.table("totals", key_type=str, value_type=float, default=float)


@app.agent(orders, tables=[totals])
async def add(stream):
    async for key, amount in stream.items():
        if amount < 0:
            raise ValueError("a negative order")
        totals[key] += amount


@app.on_shutdown
def hold():
    while os.path.exists("hold"):
        logging.warning("held")
        time.sleep(0.1)
"""


def environment(**more: str) -> dict[str, str]:
    """That of this process without its own STREAMZ_ settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMZ_")}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def command(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs `app` to its end."""
    return program(folder, "-m", "streamz_actors", *arguments, **more)


def program(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs Python to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class WorkerProcess:
    """`app -A shop worker`, known to be ready."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamz_actors", "-A", "shop", "worker", *arguments],
            cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True,
        )
        self.seen: list[str] = []
        self.wait_for("ready: ")

    @property
    def url(self) -> str:
        (found,) = [match[1] for line in self.seen if (match := re.search(r"; web: (http://\S+);", line))]
        return found

    def wait_for(self, text: str) -> str:
        """Returns the next line of the log that holds `text`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"the worker never said {text!r}:\n{''.join(self.seen)}")

    def end(self) -> int:
        """Waits for the process and returns its exit code."""
        assert self.process.stderr is not None
        self.seen += self.process.stderr.readlines()
        return self.process.wait(30)


@contextmanager
def worker(folder: Path, *arguments: str) -> Iterator[WorkerProcess]:
    started = WorkerProcess(folder, *arguments)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the application `shop`."""
    (tmp_path / "shop.py").write_text(MODULE, "utf-8")
    return tmp_path
