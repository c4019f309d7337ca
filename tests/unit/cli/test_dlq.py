"""`dlq`: what is listed, shown and sent back, over an embedded broker that stands in for a Kafka."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.cli import dlq
from streamz_actors.clock import ManualClock
from streamz_actors.dataflow.dead_letters import Why
from streamz_actors.transport.abc import TopicSpec
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.unit.cli.conftest import CommandLine

LETTERS = TopicPartition("shop-dead-letters", 0)
Write = Callable[..., None]


@pytest.fixture
def app() -> App:
    app = App("shop")
    app.topic("orders", key_type=str, value_type=int)
    return app


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    broker = MemoryBroker(ManualClock(1_000_000_000), check_interval=None)
    for name in ("orders", "shop-dead-letters"):
        broker.create_topic(TopicSpec(name, 1))
    monkeypatch.setattr(dlq, "connected", lambda settings: MemoryTransport(broker))
    monkeypatch.setattr(dlq, "on_kafka", lambda settings, command: None)
    return broker


@pytest.fixture
def write(broker: MemoryBroker) -> Write:
    """Puts a dead letter into the default topic."""

    def write(value: bytes | None, what: str = "agent 'bill'", error: str = "no", offset: int = 7) -> None:
        place = TopicPartition("orders", 0)
        why = Why.of(what, place, offset, 5_000, ValueError(error), 2, derived=False)
        headers = [why.onto((("trace", b"\xff"),))]
        broker.log(LETTERS).append([b"k"], [value], [5_000], headers, 0)

    return write


def test_ls_counts_each_kind_and_names_the_newest(app: App, write: Write, command_line: CommandLine) -> None:
    for value in (b"1", b"2"):
        write(value)
    write(b"3", "decoding", "not readable")
    result = command_line("dlq", "ls", "--json", application=app)
    assert result.code == 0, result.err
    first, second = json.loads(result.out)
    assert (first["count"], first["what"], first["error"], first["id"]) == (2, "agent 'bill'", "ValueError: no", "0@1")
    assert (second["count"], second["what"], second["id"], second["replayed"]) == (1, "decoding", "0@2", 0)
    only = json.loads(command_line("dlq", "ls", "--json", "--error", "readable", application=app).out)
    assert only == [second]


def test_ls_each_lists_them_up_to_a_limit(app: App, write: Write, command_line: CommandLine) -> None:
    for value in (b"1", b"2", b"3"):
        write(value)
    lines = command_line("dlq", "ls", "--each", "--limit", "2", application=app).out.splitlines()
    assert [line.split("\t")[:4] for line in lines] == [["0@0", "orders", "0", "7"], ["0@1", "orders", "0", "7"]]


def test_ls_of_an_application_without_any_is_empty(app: App, broker: MemoryBroker, command_line: CommandLine) -> None:
    assert command_line("dlq", "ls", "--json", application=app).out.strip() == "[]"
    assert broker.log(LETTERS).end == 0


def test_show_tells_all_of_one(app: App, write: Write, command_line: CommandLine) -> None:
    write(b"1")
    write(b"\xfe")
    shown = json.loads(command_line("dlq", "show", "0@1", "--json", application=app).out)
    assert (shown["topic"], shown["offset"], shown["attempts"], shown["derived"]) == ("orders", 7, 2, False)
    assert (shown["key"], shown["value"], shown["headers"]) == ("k", r"b'\xfe'", {"trace": r"b'\xff'"})
    assert "ValueError: no" in shown["stack"]
    text = command_line("dlq", "show", "shop-dead-letters/0@0", application=app).out
    assert "what:      agent 'bill'\n" in text
    assert "value:     1\n" in text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "0@9"), 1, "there is no dead letter 0@9"),
        (("show", "nine"), 2, "'nine' is no dead letter: write"),
        (("replay",), 2, "name the LETTERS, or say --all"),
        (("replay", "0@1", "--all"), 2, "name the LETTERS, or say --all"),
        (("replay", "0@9"), 1, "0@9: there is no such dead letter"),
    ],
)
def test_what_is_not_there_or_not_said_is_an_error(
    app: App, write: Write, command_line: CommandLine, arguments: tuple[str, ...], code: int, said: str
) -> None:
    write(b"1")
    result = command_line("dlq", *arguments, application=app)
    assert (result.code, said in result.err) == (code, True), result.err


def test_replay_sends_them_back_and_says_so(
    app: App, broker: MemoryBroker, write: Write, command_line: CommandLine
) -> None:
    for value in (b"1", b"2", None):
        write(value)
    dry = command_line("dlq", "replay", "--all", "--dry-run", application=app)
    assert dry.out.splitlines() == ["0@0\torders\t0", "0@1\torders\t0", "0@2\torders\t0", "3 would be replayed"]
    assert broker.log(TopicPartition("orders", 0)).end == 0
    assert command_line("dlq", "replay", "0@1", application=app).out == "1 replayed\n"
    assert command_line("dlq", "replay", "--all", application=app).out == "2 replayed, 1 were before\n"
    sent = broker.log(TopicPartition("orders", 0)).read(0, 10)
    assert sent is not None
    assert (sent.values, sent.timestamps) == ([b"2", b"1", None], [5_000] * 3)
    rows = json.loads(command_line("dlq", "ls", "--json", application=app).out)
    assert [(row["count"], row["replayed"]) for row in rows] == [(3, 3)]
    again: dict[str, Any] = json.loads(command_line("dlq", "replay", "--all", "--json", application=app).out)
    assert again == {"replayed": [], "before": ["0@0", "0@1", "0@2"], "failed": {}, "dry_run": False}


def test_on_the_embedded_broker_there_is_nothing_to_look_at(app: App, command_line: CommandLine) -> None:
    result = command_line("dlq", "ls", application=app)
    assert (result.code, "embedded in a worker" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(0, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (7_200_000, "2 h"), (3 * 86_400_000, "3 d"), (-5, "-1 s")],
)
def test_ages_are_in_the_largest_unit_that_fits(milliseconds: int, said: str) -> None:
    assert dlq.age(milliseconds) == said
