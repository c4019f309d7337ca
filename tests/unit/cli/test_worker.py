"""A worker run by the command line in this process: what it tells while it starts, and what it does to the process."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.cli.garbage import YOUNG, settle
from streamz_actors.cli.progress import Restores
from streamz_actors.cli.signals import stop_on_signals
from streamz_actors.tasks.restore import Progress
from tests.unit.cli.conftest import CommandLine


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """Collector and log as they were."""
    thresholds, root = gc.get_threshold(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    root.handlers[:] = handlers
    root.setLevel(level)


def shop() -> App:
    app = App("shop", web_port=0, topic_partitions=2)
    orders = app.topic("orders", key_type=str, value_type=float)
    app.table("totals", key_type=str, value_type=float)

    @app.agent(orders)
    async def watch(stream: Any) -> None:
        async for _ in stream:
            pass

    return app


@pytest.mark.parametrize("loop", ["--uvloop", "--no-uvloop"])
def test_a_bounded_run_tells_what_it_is_and_that_it_is_done(command_line: CommandLine, loop: str) -> None:
    result = command_line("run", "--bounded", loop, application=shop())
    assert (result.code, result.out) == (0, "")
    assert "application: shop; broker: memory://; state: memory://; web: http://127.0.0.1:" in result.err
    assert "; tables: totals\n" in result.err
    assert "stopped: everything in hand is committed" in result.err


def test_on_a_terminal_it_begins_with_a_banner(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    result = command_line("run", "--bounded", "--web-enabled", "no", application=shop())
    assert result.code == 0
    assert "application: shop" not in result.err
    (line,) = [line for line in result.err.splitlines() if "web" in line]
    assert line.split()[-1] == "off"


def test_logs_may_be_left_out(command_line: CommandLine) -> None:
    assert command_line("run", "--bounded", "--log-level", "error", application=shop()).err == ""


def test_what_fails_in_a_worker_is_told_with_its_place(command_line: CommandLine) -> None:
    app = shop()

    @app.on_startup
    def fail() -> None:
        raise RuntimeError("not today")

    result = command_line("worker", "--log-level", "error", application=app)
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert line.startswith("error: RuntimeError: not today (")
    assert line.endswith("; --debug shows the traceback")


def test_a_bar_is_there_as_long_as_something_is_restored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    bars = Restores()
    bars.show(None)
    bars.show(Progress(0.0))
    assert capsys.readouterr().err == ""
    bars.show(Progress(0.0, total=1_000, done=250))
    bars.show(None)
    assert "250/1000" in capsys.readouterr().err
    bars.close()


def test_the_process_is_settled_once() -> None:
    settle()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == YOUNG


async def test_the_first_signal_asks_and_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    asked = asyncio.Event()
    with stop_on_signals(asked.set):
        signal.raise_signal(signal.SIGTERM)
        await asked.wait()
    assert signal.getsignal(signal.SIGTERM) is before
