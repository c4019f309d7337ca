"""Processes replaced one after the other, with real processes that only talk to the supervisor."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from streamz_actors.cli.restarts import Backoff
from streamz_actors.cli.signals import roll_on_hangup
from streamz_actors.cli.supervisor import Outcome, Supervisor
from streamz_actors.clock import SystemClock
from tests.unit.cli.fakes import Heard, Make, command
from tests.unit.cli.fakes import heard as heard
from tests.unit.cli.fakes import make as make


async def ready(supervisor: Supervisor, heard: Heard) -> "asyncio.Task[Outcome]":
    running = asyncio.create_task(supervisor.run())
    await heard.until("ready: 2 processes")
    return running


def story(heard: Heard) -> list[str]:
    """What happened to which process, in order; `P` for a process id, `T` for a time."""
    events = []
    for line in heard.lines:
        words = line.split()
        if " is pid " in line:
            events.append(f"{words[1]} begins")
        elif words[0] == "process":
            events.append(f"{words[1]} ends")
        elif words[0] in ("rolling:", "rolled:"):
            events.append(words[0].removesuffix(":"))
    return events


async def test_each_is_replaced_once_the_one_before_is_ready(make: Make, heard: Heard) -> None:
    supervisor = make("good")
    running = await ready(supervisor, heard)
    supervisor.roll()
    await heard.until("rolled: 2 processes have been replaced")
    assert story(heard) == [
        "1 begins", "2 begins", "rolling", "1 begins", "1 ends", "2 begins", "2 ends", "rolled"
    ]
    (first, _) = (line for line in heard.lines if line.endswith(" s; its replacement takes over"))
    assert first.startswith("process 1 ended by itself after ")
    supervisor.stop()
    assert await running == Outcome(0)


async def test_the_next_one_begins_when_the_old_one_is_done_and_not_when_it_is_gone(make: Make, heard: Heard) -> None:
    supervisor = make("lingering")
    running = await ready(supervisor, heard)
    supervisor.roll()
    await heard.until("rolled: 2 processes have been replaced")
    supervisor.stop()
    assert await running == Outcome(0)


async def test_asked_while_it_rolls_it_rolls_once_more(make: Make, heard: Heard) -> None:
    supervisor = make("good")
    running = await ready(supervisor, heard)
    supervisor.roll()
    await heard.until("rolling: 2 processes")
    supervisor.roll()
    supervisor.roll()
    again = await heard.until("rolled: 2 processes")
    heard.lines[heard.lines.index(again)] = "once"
    await heard.until("rolled: 2 processes")
    supervisor.stop()
    assert await running == Outcome(0)
    assert story(heard).count("1 begins") == 3


async def test_a_replacement_that_cannot_load_stops_the_rolling_and_costs_nothing(make: Make, heard: Heard) -> None:
    supervisor = make("broken")
    running = await ready(supervisor, heard)
    supervisor.roll()
    said = await heard.until("the rolling stops")
    assert said.startswith("the rolling stops: the replacement of process 2 failed with code 1 after ")
    assert said.endswith(" s: no module named 'shop'; all work on as they are")
    assert story(heard) == ["1 begins", "2 begins", "rolling", "1 begins", "1 ends", "2 begins"]
    supervisor.stop()
    assert await running == Outcome(0)


async def test_one_that_fails_before_it_is_ready_stops_the_rolling_and_is_started_again(
    make: Make, heard: Heard
) -> None:
    supervisor = make("late broken")
    running = await ready(supervisor, heard)
    supervisor.roll()
    stopped = await heard.until("the rolling stops: the replacement of process 1 failed with code 1 after")
    assert stopped.endswith("; the others work on as they are")
    await heard.until("ready: 2 processes", after=await heard.until("process 1 failed with code 1"))
    assert story(heard).count("2 begins") == 1
    supervisor.stop()
    assert await running == Outcome(0)


async def test_one_that_waits_to_be_started_again_is_replaced_at_once(tmp_path: Path, heard: Heard) -> None:
    supervisor = Supervisor(command("killed", tmp_path), 2, (), SystemClock(), lambda: Backoff(3_600.0, 3_600.0))
    running = asyncio.create_task(supervisor.run())
    await heard.until("process 2 was ended by SIGKILL")
    supervisor.roll()
    await heard.until("rolled: 2 processes")
    supervisor.stop()
    assert await running == Outcome(0)


@pytest.mark.parametrize("mode", ["slow", "good"])
async def test_a_stop_ends_the_rolling_and_the_replacement_with_all_others(
    make: Make, heard: Heard, mode: str
) -> None:
    supervisor = make(mode)
    running = await ready(supervisor, heard)
    supervisor.roll()
    await heard.until("process 1 is pid", after=await heard.until("rolling: "))
    supervisor.stop()
    assert await running == Outcome(0)
    pids = [int(line.split()[-1]) for line in heard.lines if " is pid " in line]
    assert len(pids) >= 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


class Screen:
    """A standard error that is a terminal until it is hung up."""

    def __init__(self) -> None:
        self.there = True

    def isatty(self) -> bool:
        return self.there


async def test_a_terminal_that_is_gone_stops_what_another_hangup_rolls(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with roll_on_hangup(lambda: asked.put_nowait("roll"), lambda: asked.put_nowait("stop")):
        signal.raise_signal(signal.SIGHUP)
        assert await asked.get() == "roll"
        screen.there = False
        signal.raise_signal(signal.SIGHUP)
        assert await asked.get() == "stop"


async def test_a_hangup_that_is_to_be_ignored_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with roll_on_hangup(lambda: pytest.fail("rolls"), lambda: pytest.fail("stops")):
            signal.raise_signal(signal.SIGHUP)
            await asyncio.sleep(0)
    finally:
        signal.signal(signal.SIGHUP, before)
