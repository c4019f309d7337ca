"""Workers as processes of their own, as a user starts them, and what they said."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"STREAMZ_WEB_ENABLED": "false", "STREAMZ_SESSION_TIMEOUT": "6", "STREAMZ_COMMIT_INTERVAL": "0.3"}


def free_port() -> int:
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        with ExitStack() as probes:
            first = 0
            for number in range(count):
                probe = probes.enter_context(socket.socket())
                try:
                    probe.bind(("127.0.0.1", first + number if number else 0))
                except (OSError, OverflowError):
                    break
                first = first or probe.getsockname()[1]
            else:
                return first


class Child:
    """A child process of the test; its output goes to a file, which cannot fill up."""

    def __init__(self, popen: "Popen[bytes]", output: Path) -> None:
        self.popen, self.output = popen, output

    def said(self) -> str:
        return self.output.read_text("utf-8", errors="replace")

    def until_it_says(self, text: str, seconds: float = 60) -> None:
        """Waits for a piece of output; fails with all of it when the child ends or the time runs out."""
        deadline = time.monotonic() + seconds
        while text not in self.said():
            assert self.popen.poll() is None, f"it ended without saying {text!r}:\n{self.said()}"
            assert time.monotonic() < deadline, f"it did not say {text!r}:\n{self.said()}"
            time.sleep(0.05)

    def wait(self, seconds: float = 60) -> int:
        return self.popen.wait(seconds)


@contextmanager
def process(output: Path, *arguments: str, **environment: str) -> Iterator[Child]:
    """`python -m …` from the project's root; killed at the end if it still runs."""
    with output.open("wb") as sink:
        popen = Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            stdin=DEVNULL,
            stdout=sink,
            stderr=STDOUT,
        )
    try:
        yield Child(popen, output)
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()


@contextmanager
def worker(app: str, kafka_url: str, folder: Path, name: str = "worker", **settings: str) -> Iterator[Child]:
    """`app -A … worker`, its state below `folder`."""
    environment = SETTINGS | {"STREAMZ_BROKER": kafka_url, "STREAMZ_DATA_DIR": str(folder / "state")} | settings
    with process(folder / f"{name}.log", "streamz_actors", "-A", app, "worker", **environment) as child:
        yield child
