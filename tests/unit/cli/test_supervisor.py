"""The supervisor with real processes that only talk to it: restarts, siblings, every way to end."""

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from streamz_actors.cli.control import Place
from streamz_actors.cli.restarts import Backoff
from streamz_actors.cli.supervisor import Outcome, Supervisor
from streamz_actors.clock import SystemClock
from tests.unit.cli.fakes import Heard, Make, command
from tests.unit.cli.fakes import heard as heard
from tests.unit.cli.fakes import make as make

ROOT = Path(__file__).resolve().parents[3]


async def test_processes_know_each_other_and_leave_when_they_are_asked_to(make: Make, heard: Heard) -> None:
    supervisor = make("good")
    running = asyncio.create_task(supervisor.run())
    await heard.until("ready: 2 processes")
    supervisor.stop()
    assert await running == Outcome(0)


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("killed", r"process 2 was ended by SIGKILL after \d+\.\d s; it is started again in 0\.01 s"),
        ("leaves", r"process 2 ended by itself after \d+\.\d s; it is started again in 0\.01 s"),
    ],
)
async def test_one_that_ends_is_started_again_and_found_by_the_others(
    make: Make, heard: Heard, mode: str, says: str
) -> None:
    supervisor = make(mode)
    running = asyncio.create_task(supervisor.run())
    ended = await heard.until("started again")
    assert re.fullmatch(says, ended)
    await heard.until("ready: 2 processes", after=ended)
    supervisor.stop()
    assert await running == Outcome(0)


async def test_one_that_is_wrongly_called_ends_all_with_its_code_and_message(make: Make, heard: Heard) -> None:
    assert await make("wrong").run() == Outcome(2, "setting 'x': 1 is none")
    assert all(" is pid " in line for line in heard.lines)


async def test_what_has_worked_before_is_tried_again_whatever_its_code(make: Make, heard: Heard) -> None:
    supervisor = make("late wrong")
    running = asyncio.create_task(supervisor.run())
    line = await heard.until("process 2 failed with code 2")
    assert "s: setting 'x': 1 is none; it is started again in 0.02 s" in line
    supervisor.stop()
    assert (await running).code == 2


async def test_one_that_fails_in_the_end_makes_all_fail(make: Make, heard: Heard) -> None:
    supervisor = make("bad")
    running = asyncio.create_task(supervisor.run())
    await heard.until("ready: 2 processes")
    supervisor.stop()
    assert await running == Outcome(1)
    assert "process 1 failed with code 1" in heard.lines[-1]


async def test_one_that_does_not_run_our_code_yet_is_sent_away(make: Make) -> None:
    supervisor = make("silent")
    running = asyncio.create_task(supervisor.run())
    await asyncio.sleep(0)
    supervisor.stop()
    assert await running == Outcome(0)


async def test_a_command_that_does_not_exist_is_told_and_tried_again(heard: Heard) -> None:
    supervisor = Supervisor(["/no/such/program"], 1, (), SystemClock(), lambda: Backoff(0.01))
    running = asyncio.create_task(supervisor.run())
    assert "it cannot be started: [Errno 2]" in await heard.until("started again in 0.02 s")
    supervisor.stop()
    assert (await running).code == 1


async def test_nothing_is_accepted_after_a_stop(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    supervisor = Supervisor(command("good", tmp_path), 2, [listener], SystemClock())
    running = asyncio.create_task(supervisor.run())
    await asyncio.sleep(0)
    supervisor.stop()
    assert listener.fileno() == -1
    assert await running == Outcome(0)


async def test_cancelled_it_takes_its_processes_along(make: Make, heard: Heard) -> None:
    supervisor = make("stubborn")
    running = asyncio.create_task(supervisor.run())
    await heard.until("ready: 2 processes")
    pids = [int(line.split()[-1]) for line in heard.lines if " is pid " in line]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


# -- what others are told of one that died


@pytest.mark.parametrize(
    ("mode", "told"),
    [("killed", [(2, Place("shop", "m-2", None, "t-2"))]), ("leaves", []), ("static", [])],
    ids=["killed", "ended well", "static, so it is expected back"],
)
async def test_the_group_is_told_of_one_that_died(
    tmp_path: Path, heard: Heard, mode: str, told: list[tuple[int, Place]]
) -> None:
    farewells: list[tuple[int, Place]] = []

    async def farewell(number: int, place: Place) -> None:
        farewells.append((number, place))

    supervisor = Supervisor(command(mode, tmp_path), 2, (), SystemClock(), lambda: Backoff(0.01), farewell)
    running = asyncio.create_task(supervisor.run())
    await heard.until("ready: 2 processes", after=await heard.until("started again"))
    assert farewells == told
    supervisor.stop()
    assert await running == Outcome(0)


async def test_it_is_not_started_again_before_the_group_has_been_told(tmp_path: Path, heard: Heard) -> None:
    told = asyncio.Event()

    async def farewell(number: int, place: Place) -> None:
        logging.getLogger("streamz_actors.cli").info("process %d: farewell", number)
        await told.wait()

    supervisor = Supervisor(command("killed", tmp_path), 2, (), SystemClock(), lambda: Backoff(0.0), farewell)
    running = asyncio.create_task(supervisor.run())
    waiting = await heard.until("process 2: farewell")
    lives = sum("process 2 is pid" in line for line in heard.lines)
    told.set()
    await heard.until("process 2 is pid", after=waiting)
    assert lives == 1
    supervisor.stop()
    assert await running == Outcome(0)


# -- as a process of its own, for its signals and its own end

SUPERVISOR = """
import asyncio, logging, sys
from streamz_actors.cli.signals import roll_on_hangup, stop_on_signals
from streamz_actors.cli.supervisor import Supervisor
from streamz_actors.clock import SystemClock

logging.basicConfig(level="INFO", format="%(message)s")

async def main():
    supervisor = Supervisor(sys.argv[1:], 2, (), SystemClock())
    with stop_on_signals(supervisor.stop, supervisor.kill), roll_on_hangup(supervisor.roll, supervisor.stop):
        return await supervisor.run()

sys.exit(asyncio.run(main()).code)
"""


class Running:
    """A supervisor of two processes, all ready. Its output ends when all three have."""

    def __init__(self, mode: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, *command(mode, folder)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )
        self.until("ready: 2 processes")

    def until(self, text: str) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"it never said {text!r}")

    def end(self) -> tuple[int, list[str]]:
        """Exit code, and what the processes printed."""
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, sorted(out.splitlines())


def test_a_signal_of_the_terminal_reaches_the_processes_once_through_the_supervisor(tmp_path: Path) -> None:
    running = Running("good", tmp_path)
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.end() == (0, [])


def test_a_hangup_replaces_all_processes(tmp_path: Path) -> None:
    running = Running("good", tmp_path)
    running.process.send_signal(signal.SIGHUP)
    running.until("rolled: 2 processes have been replaced")
    running.process.terminate()
    assert running.end() == (0, [])


def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    running = Running("stubborn", tmp_path)
    running.process.terminate()
    running.until("stopping: finishing what is in hand")
    running.process.terminate()
    assert running.end() == (143, [])


def test_without_their_supervisor_processes_stop_by_themselves(tmp_path: Path) -> None:
    running = Running("good", tmp_path)
    running.process.kill()
    assert running.end() == (-signal.SIGKILL, ["process 1 was left alone", "process 2 was left alone"])
