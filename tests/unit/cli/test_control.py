"""The line between the supervisor and a process, and a worker that is one of several, in this process."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.cli.child import Child
from streamz_actors.cli.control import LONGEST, VARIABLE, Control, Seat, messages, send
from tests.unit.cli.conftest import CommandLine
from tests.unit.cli.test_worker import process as process
from tests.unit.cli.test_worker import shop


def test_a_seat_of_another_release_is_taken_as_far_as_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"number": 1, "count": 2, "control": 7, "listeners": [], "mood": "good"}
    monkeypatch.setitem(os.environ, VARIABLE, json.dumps(given))
    assert Seat.taken() == Seat(1, 2, 7)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    with ours, theirs:
        yield ours, theirs


def test_a_seat_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seat = Seat(2, 3, 7, (8, 9), 6066)
    monkeypatch.setitem(os.environ, VARIABLE, seat.environment()[VARIABLE])
    assert Seat.taken() == seat
    assert Seat.taken() is None


async def test_orders_come_until_the_supervisor_goes(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    control = Control(theirs)
    ours.sendall(b'{"siblings": {"1": ""}}\n{"stop": true}\n{"sto')
    ours.close()
    assert [order async for order in control.orders()] == [{"siblings": {"1": ""}}, {"stop": True}]
    assert not control.tell(ready=True)


async def test_the_last_words_are_not_too_many(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    control = Control(theirs)
    assert control.fail("x" * 1_000_000)
    theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours)
    assert [message async for message in messages(reader)] == [{"error": "x" * LONGEST}]
    writer.close()
    send(writer, {"stop": True})


def test_who_cannot_tell_the_supervisor_why_it_fails_tells_the_user(
    pair: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = pair
    child = Child(Seat(2, 2, theirs.detach()))
    ours.close()
    child.report("no such thing")
    assert capsys.readouterr().err == "error: process 2: no such thing\n"


class Supervising:
    """The other end, in a thread: hears everything, and answers what `answers` has for a message's name."""

    def __init__(self, line: socket.socket, answers: dict[str, dict[str, Any]]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._line, self._answers = line, answers
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        with self._line.makefile() as lines:
            for text in lines:
                message = json.loads(text)
                self.heard.append(message)
                for name in message:
                    if name in self._answers:
                        self._line.sendall(json.dumps(self._answers[name]).encode() + b"\n")

    def end(self) -> list[dict[str, Any]]:
        self._thread.join(30)
        return self.heard


def _sorted(heard: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Address and place, which are told by who knows them first, in this order; all else as it came."""
    names = [next(iter(message)) for message in heard]
    if "place" in names and names.index("place") < names.index("address"):
        at = names.index("place")
        heard[at], heard[at + 1] = heard[at + 1], heard[at]
    return heard


def seated(monkeypatch: pytest.MonkeyPatch, theirs: socket.socket, *, held: bool = False) -> int:
    """Makes this process the second of two; returns their port."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    seat = Seat(2, 2, theirs.detach(), (listener.detach(),), port, held=held)
    monkeypatch.setitem(os.environ, VARIABLE, seat.environment()[VARIABLE])
    return port


@pytest.mark.parametrize("loop", ["--uvloop", "--no-uvloop"])
def test_a_worker_among_several_tells_where_it_is_and_when_it_is_ready_and_stops_when_told_to(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket], loop: str
) -> None:
    port = seated(monkeypatch, pair[1])
    supervising = Supervising(pair[0], {"address": {"siblings": {"1": "", "2": ""}}, "ready": {"stop": True}})
    result = command_line("worker", "--processes", "2", loop, application=shop())
    started, loaded, address, place, ready, left, done = _sorted(supervising.end())
    assert (started, loaded, ready) == ({"started": True}, {"loaded": True}, {"ready": True})
    assert (place["place"]["group"], place["place"]["instance"]) == ("shop", None)
    assert (left, done) == ({"place": None}, {"done": True})
    assert address["address"].startswith("http://127.0.0.1:")
    assert not address["address"].endswith(f":{port}")
    assert result.code == 0
    assert "application: shop" not in result.err
    assert "[2] streamz_actors.cli: stopping: finishing what is in hand" in result.err
    assert "[2] streamz_actors.cli: ready: 2 tasks" in result.err


def test_one_that_is_held_begins_when_its_turn_comes(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    seated(monkeypatch, pair[1], held=True)
    supervising = Supervising(pair[0], {"loaded": {"go": True}, "ready": {"stop": True}})
    assert command_line("worker", "--processes", "2", application=shop()).code == 0
    assert {"ready": True} in supervising.end()


def test_a_static_member_does_not_say_that_it_has_left(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    seated(monkeypatch, pair[1])
    supervising = Supervising(pair[0], {"ready": {"stop": True}})
    command_line("worker", "--processes", "2", "--group-instance-id", "shop", application=shop())
    (told,) = [message["place"] for message in supervising.end() if "place" in message]
    assert told["instance"] == "shop-2"


def test_one_that_is_held_and_stopped_has_done_nothing(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    seated(monkeypatch, pair[1], held=True)
    supervising = Supervising(pair[0], {"loaded": {"stop": True}})
    app, begun = shop(), []
    app.on_startup(lambda: begun.append("begun"))
    result = command_line("worker", "--processes", "2", application=app)
    assert supervising.end() == [{"started": True}, {"loaded": True}, {"done": True}]
    assert (result.code, begun) == (0, [])


def test_a_worker_among_several_leaves_it_to_the_supervisor_to_say_why_it_failed(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    seated(monkeypatch, pair[1])
    supervising = Supervising(pair[0], {})
    result = command_line("worker", "--processes", "2", "--timezone", "Nowhere", application=shop())
    assert (result.code, result.err) == (2, "")
    assert "setting 'timezone'" in supervising.end()[-1]["error"]


def test_one_process_is_a_worker_as_ever(command_line: CommandLine) -> None:
    app = shop()
    app.on_startup(lambda: 1 / 0)
    result = command_line("worker", "--processes", "1", "--log-level", "error", application=app)
    assert (result.code, "ZeroDivisionError" in result.err) == (1, True)


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_number_of_processes_that_is_none_is_a_wrong_call(command_line: CommandLine, number: str) -> None:
    result = command_line("worker", f"--processes={number}", application=shop())
    assert (result.code, "'--processes'" in result.err) == (2, True)


def test_several_processes_are_refused_on_the_embedded_broker(command_line: CommandLine) -> None:
    result = command_line("worker", "--processes", "2", application=App("shop"))
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith("error: --processes 2: broker 'memory://' (default) is embedded in one process, which")


def test_a_bounded_run_has_one_process(command_line: CommandLine) -> None:
    result = command_line("run", "--bounded", "--processes", "2", application=App("shop"))
    assert (result.code, "No such option" in result.err) == (2, True)
