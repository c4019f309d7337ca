"""Processes beside the demo: what they say is passed on, how they end is told, and all end with the block."""

import asyncio
import signal
from collections.abc import Callable

import pytest

from apps.flights.workers import Workers, WorkersFailed, ending

SAYS = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); print('{}', flush=True); signal.pause()"


class Small(Workers):
    """Runs a line of Python in place of the application."""

    line = SAYS.format("ready")

    def command(self, number: int) -> list[str]:
        return ["-c", self.line]


class Lines(list[str]):
    """What was said, and a way to wait for more of it."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def say(self, line: str) -> None:
        self.append(line)
        self._more.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self._more.clear()
                await self._more.wait()


async def test_they_have_ports_in_a_row_and_all_end_in_order() -> None:
    said = Lines()
    async with Small("kafka://here:1", 3, 7000, said.say) as workers:
        assert workers.urls == [f"http://127.0.0.1:{port}" for port in (7000, 7001, 7002)]
        await said.until(lambda: sorted(said) == ["[1] ready", "[2] ready", "[3] ready"])
        workers.check(whole=True)
    assert workers.urls == []
    assert sorted(line.split(" ", 3)[3] for line in said[3:]) == ["ended with code 0"] * 3


async def test_one_that_is_killed_is_told_of_and_missed_only_where_all_are_needed() -> None:
    said = Lines()
    async with Small("kafka://here:1", 2, 7000, said.say) as workers:
        first = workers.all[0].process
        first.kill()
        await said.until(lambda: any("to start it again" in line for line in said))
        assert f"[1] pid {first.pid} was ended by SIGKILL" in said
        assert workers.urls == ["http://127.0.0.1:7001"]
        workers.check()
        with pytest.raises(WorkersFailed, match="worker 1 was ended by SIGKILL"):
            workers.check(whole=True)


async def test_when_none_is_left_all_are_named() -> None:
    class Failing(Small):
        line = "exit(3)"

    said = Lines()
    async with Failing("kafka://here:1", 2, 7000, said.say) as workers:
        await said.until(lambda: not workers.urls)
        with pytest.raises(WorkersFailed, match="worker 1 ended with code 3; worker 2 ended with code 3"):
            workers.check()


async def test_what_the_client_says_is_left_out() -> None:
    class Talking(Small):
        line = "print('2026 WARNING aiokafka.group: rejoin'); print('2026 INFO streamz_actors.worker: assigned')"

    said = Lines()
    async with Talking("kafka://here:1", 1, 7000, said.say) as workers:
        await said.until(lambda: not workers.urls)
    assert said[0] == "[1] 2026 INFO streamz_actors.worker: assigned"
    assert len(said) == 3


def test_what_runs_a_worker_is_the_command_that_a_user_types() -> None:
    command = Workers("kafka://here:1", 3, 6066, print).command(2)
    assert " ".join(command) == (
        "-m streamz_actors -A apps.flights worker --broker kafka://here:1 --web-port 6067 --session-timeout 6"
    )


def test_an_end_is_said_by_its_signal_or_code() -> None:
    assert ending(-signal.SIGKILL) == "was ended by SIGKILL"
    assert ending(1) == "ended with code 1"
