"""Processes for the supervisor that do nothing but talk to it, and a way to wait for what is logged."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streamz_actors.cli.control import VARIABLE
from streamz_actors.cli.restarts import Backoff
from streamz_actors.cli.supervisor import Supervisor
from streamz_actors.clock import SystemClock

Make = Callable[[str], Supervisor]

PROGRAM = f"""
import json, os, signal, socket, sys, time

seat = json.loads(os.environ["{VARIABLE}"])
number, mode, folder = seat["number"], sys.argv[1], sys.argv[2]
line = socket.socket(fileno=seat["control"])


def tell(**message):
    line.sendall(json.dumps(message).encode() + b"\\n")


def first(name, make=True):
    path = os.path.join(folder, f"{{name}}-{{number}}")
    if not make:
        return not os.path.exists(path)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


if mode == "silent":
    time.sleep(60)
tell(started=True)
if mode != "late wrong" and seat["own_port"] != (0 if first("lives") else 1000 + number):
    sys.exit(3)
if mode == "wrong" and number == 2:
    tell(error="setting 'x': 1 is none")
    sys.exit(2)
if mode == "late wrong" and not first("seen"):
    tell(error="setting 'x': 1 is none")
    sys.exit(2)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if seat["held"] and (mode, number) == ("broken", 2):
    tell(error="no module named 'shop'")
    sys.exit(1)
orders = (json.loads(text) for text in line.makefile())
if seat["held"]:
    if mode != "slow":
        tell(loaded=True)
    if "go" not in next((order for order in orders if "go" in order or "stop" in order), {{}}):
        sys.exit(0)
    first(f"begun {{number}}")
    if (mode, number) == ("late broken", 1) and first("broken"):
        sys.exit(1)
tell(address=f"http://127.0.0.1:{{1000 + number}}")
static = "static" if mode == "static" else None
place = {{"group": "shop", "member": f"m-{{number}}", "instance": static, "transactional": f"t-{{number}}"}}
tell(place=place | {{"of another release": 1}})
told = False
for order in orders:
    if "stop" in order and mode != "stubborn":
        if mode == "lingering":
            tell(done=True)
            for _ in range(3000 if not seat["held"] else 0):
                if not first(f"begun {{number}}", make=False):
                    break
                time.sleep(0.01)
            else:
                sys.exit(0 if seat["held"] else 9)
        sys.exit(1 if mode == "bad" and number == 1 else 0)
    if not told and all(order.get("siblings", {{"": ""}}).values()):
        told = True
        tell(ready=True)
        if mode in ("killed", "static", "late wrong") and number == 2 and first("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "leaves" and number == 2 and first("left"):
            sys.exit(0)
if mode == "stubborn":
    time.sleep(60)
os.write(1, f"process {{number}} was left alone\\n".encode())  # at once: all write to one pipe
"""


def command(mode: str, folder: Path) -> list[str]:
    """A process that is ready once it knows where all are. `folder` remembers what happens only once."""
    return [sys.executable, "-S", "-c", PROGRAM, mode, str(folder)]


class Heard(logging.Handler):
    """Everything that the command line logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._news = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._news.set()

    async def until(self, text: str, *, after: str | None = None) -> str:
        """The first line that holds `text`, past or to come, behind the line `after`."""
        begin = 0 if after is None else self.lines.index(after)
        while not (found := [line for line in self.lines[begin:] if text in line]):
            self._news.clear()
            await self._news.wait()
        return found[0]


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    logger, handler = logging.getLogger("streamz_actors.cli"), Heard()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A supervisor of two processes that has no patience."""

    def made(mode: str) -> Supervisor:
        return Supervisor(command(mode, tmp_path), 2, (), SystemClock(), lambda: Backoff(0.01, 0.1))

    return made
