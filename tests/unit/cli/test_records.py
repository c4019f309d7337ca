"""`send` and `query`: what is typed becomes what the topic holds; a worker is asked over HTTP."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors import App, Record, Windowed
from streamz_actors.cli.http import base_url
from streamz_actors.cli.texts import as_json_value, parse
from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import schema_for
from tests.unit.cli.conftest import CommandLine


class Order(Record):
    account: str
    amount: float


@dataclass
class Worker:
    """Stands in for a worker's web server: notes what it is asked and answers what it was told to."""

    url: str
    status: int = 200
    answer: Any = None
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    shown: list[str | None] = field(default_factory=list)
    """The credentials of each question."""


@pytest.fixture
def worker() -> Iterator[Worker]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fake.asked.append((self.command, self.path, json.loads(body) if body else None))
            fake.shown.append(self.headers["Authorization"])
            raw = json.dumps(fake.answer).encode()
            self.send_response(fake.status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET  # noqa: N815 - the base class calls it that

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it that
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake = Worker(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def app() -> App:
    app = App("shop")
    app.topic("orders", key_type=str, value_type=Order)
    app.topic("lines", key_type=int, value_type=str)
    app.topic("anything")
    return app


SENT = {"topic": "orders", "partition": 3, "offset": 17, "timestamp": 5}


def test_a_record_goes_to_the_worker_of_an_embedded_broker(
    command_line: CommandLine, app: App, worker: Worker
) -> None:
    worker.answer = SENT
    value = '{"account": "alice", "amount": 5}'
    result = command_line("send", "orders", value, "-k", "alice", "--url", worker.url, application=app)
    assert (result.code, result.out) == (0, "topic orders, partition 3, offset 17\n")
    body = {"key": "alice", "value": {"account": "alice", "amount": 5.0}}
    assert worker.asked == [("POST", "/v1/topics/orders", body)]


def test_place_and_time_can_be_chosen(command_line: CommandLine, app: App, worker: Worker) -> None:
    worker.answer = SENT
    arguments = ["--key", "7", "--partition", "2", "--timestamp", "99", "--json", "--url", worker.url]
    result = command_line("send", "lines", "not json", *arguments, application=app)
    assert json.loads(result.out) == SENT
    assert worker.asked[0][2] == {"key": 7, "value": "not json", "partition": 2, "timestamp": 99}


def test_a_tombstone_has_no_value(command_line: CommandLine, app: App, worker: Worker) -> None:
    worker.answer = SENT
    command_line("send", "orders", "-k", "alice", "--tombstone", "--url", worker.url, application=app)
    assert worker.asked[0][2] == {"key": "alice", "value": None}
    for arguments in (["orders"], ["orders", "{}", "--tombstone"]):
        assert command_line("send", *arguments, "--url", worker.url, application=app).code == 2


def test_a_value_that_does_not_fit_is_told_with_its_field(command_line: CommandLine, app: App) -> None:
    result = command_line("send", "orders", '{"account": "alice", "amount": "much"}', application=app)
    assert result.code == 1
    assert "topic 'orders'" in result.err
    assert "$.amount" in result.err


def test_an_unknown_topic_is_a_usage_error(command_line: CommandLine, app: App) -> None:
    result = command_line("send", "ordrs", "1", application=app)
    assert (result.code, "there are anything, lines, orders" in result.err) == (2, True)


def test_without_a_worker_it_says_how_to_get_one(command_line: CommandLine, app: App) -> None:
    result = command_line("send", "lines", "x", "--url", "http://127.0.0.1:9", application=app)
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "no worker answers at http://127.0.0.1:9" in line
    assert "app worker" in line


def test_a_query_prints_the_value(command_line: CommandLine, worker: Worker) -> None:
    worker.answer = {"table": "totals", "key": "a/b", "value": {"n": 1}, "timestamp": 1, "partition": 0, "worker": "w"}
    assert command_line("query", "totals", "a/b", "--url", worker.url).out == '{"n": 1}\n'
    assert worker.asked == [("GET", "/v1/tables/totals/a%2Fb", None)]
    assert json.loads(command_line("query", "totals", "a/b", "--url", worker.url, "--json").out) == worker.answer


def test_a_query_of_a_table_kept_per_partition_prints_each(command_line: CommandLine, worker: Worker) -> None:
    worker.answer = {"table": "totals", "key": "a", "values": {"0": 1, "3": 4}}
    assert command_line("query", "totals", "a", "--url", worker.url).out == "partition 0: 1\npartition 3: 4\n"
    worker.answer = {"table": "totals", "key": "a", "windows": [{"start": 0, "end": 10, "value": 4, "timestamp": 7}]}
    assert command_line("query", "totals", "a", "--url", worker.url).out == "0 to 10: 4\n"


def test_a_problem_is_one_line(command_line: CommandLine, worker: Worker) -> None:
    worker.status, worker.answer = 404, {"title": "Not Found", "detail": "table 'totals' has no key 'x'"}
    result = command_line("query", "totals", "x", "--url", worker.url)
    assert (result.code, result.err) == (1, "error: table 'totals' has no key 'x'\n")
    worker.status, worker.answer = 502, ["not a problem document"]
    assert "answers 502" in command_line("query", "totals", "x", "--url", worker.url).err


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("box", "box")]
)
def test_a_worker_that_listens_everywhere_is_asked_on_this_machine(host: str, url: str) -> None:
    assert base_url(App("a", web_host=host, web_port=7).settings) == f"http://{url}:7"


def test_text_is_read_by_the_topics_type() -> None:
    assert parse(schema_for(str), "5") == "5"
    assert parse(schema_for(str | None), "5") == "5"
    assert parse(schema_for(bytes), "é") == "é".encode()
    assert parse(schema_for(int), "5") == 5
    assert parse(schema_for(list[int]), "[1]") == [1]
    assert parse(schema_for(None), "5") == 5
    assert parse(schema_for(None), "plain") == "plain"
    assert parse(schema_for(int), None) is None
    assert as_json_value(schema_for(int), None) is None
    with pytest.raises(DecodeError):
        parse(schema_for(int), "five")
    window, text = Windowed("a", 0, 10), '{"key": "a", "start": 0, "end": 10}'
    assert parse(schema_for(Windowed[str], key=True), text) == window
    assert as_json_value(schema_for(Windowed[str], key=True), window) == json.loads(text)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists))
def test_any_json_value_can_be_typed_in(value: Any) -> None:
    schema = schema_for(Any)
    assert as_json_value(schema, parse(schema, json.dumps(value))) == value


def test_a_worker_that_wants_the_token_is_shown_it(command_line: CommandLine, app: App, worker: Worker) -> None:
    worker.answer = {"table": "totals", "key": "alice", "value": 5}
    command_line("query", "totals", "alice", "--web-token", "hunter2", "--url", worker.url, application=app)
    command_line("query", "totals", "alice", "--url", worker.url, application=app)
    worker.answer = SENT
    command_line("send", "lines", "x", "--web-token", "hunter2", "--url", worker.url, application=app)
    assert worker.shown == ["Bearer hunter2", None, "Bearer hunter2"]
