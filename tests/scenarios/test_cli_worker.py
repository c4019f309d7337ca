"""`app worker` as people run it, on the embedded broker: start, records in, values out, every way to end."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from streamz_actors.stores.rocksdb import RocksBackend
from tests.scenarios.cli_process import command, environment, program, worker
from tests.scenarios.cli_process import shop as shop


@pytest.mark.parametrize(("loop", "number"), [("--uvloop", signal.SIGTERM), ("--no-uvloop", signal.SIGINT)])
def test_a_worker_takes_records_answers_and_ends_with_code_0(shop: Path, loop: str, number: signal.Signals) -> None:
    with worker(shop, loop) as running:
        for _ in range(2):
            sent = command(shop, "-A", "shop", "send", "orders", "2.5", "-k", "alice", "--url", running.url)
            assert sent.returncode == 0
        with urllib.request.urlopen(f"{running.url}/readyz") as answer:
            assert answer.status == 200
        found = command(shop, "query", "totals", "alice", "--url", running.url, "--json")
        assert json.loads(found.stdout)["value"] == 5.0
        running.process.send_signal(number)
        assert running.end() == 0
    assert "stopped: everything in hand is committed" in running.seen[-1]


def test_without_a_broker_one_that_was_here_before_says_so_until_it_is_stopped(shop: Path) -> None:
    RocksBackend(shop / ".streamz" / "shop").open("shop-0", {}).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamz_actors", "-A", "shop", "worker", "--broker", "kafka://127.0.0.1:9"],
        cwd=shop, env=environment(), stderr=subprocess.PIPE, text=True,
    )
    assert process.stderr is not None
    said = ""
    while said.count("no Kafka broker answers at kafka://127.0.0.1:9") < 3:
        said += process.stderr.readline()
    (url,) = re.findall(r"web: (http://[^;\s]+)", said)
    with pytest.raises(HTTPError) as red:
        urllib.request.urlopen(f"{url}/readyz")
    assert "no Kafka broker answers" in red.value.read().decode()
    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, None], ids=["and SIGTERM behind it", "twice"])
def test_a_hangup_lets_it_end_in_order(shop: Path, ended_by: signal.Signals | None) -> None:
    (shop / "hold").touch()
    with worker(shop) as running:
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("held")
        running.process.send_signal(ended_by or signal.SIGHUP)
        running.wait_for("held")
        (shop / "hold").unlink()
        assert running.end() == 0
    assert "stopped: everything in hand is committed" in running.seen[-1]


def test_a_hangup_that_is_to_be_ignored_is(shop: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does it: whom it starts inherits that
    try:
        with worker(shop) as running:
            running.process.send_signal(signal.SIGHUP)
            sent = command(shop, "-A", "shop", "send", "orders", "2.5", "-k", "alice", "--url", running.url)
            assert sent.returncode == 0
            running.process.send_signal(signal.SIGTERM)
            assert running.end() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "SIGHUP" not in "".join(running.seen)


@pytest.mark.parametrize(
    ("loop", "number", "code"), [("--uvloop", signal.SIGINT, 130), ("--no-uvloop", signal.SIGTERM, 143)]
)
def test_a_second_signal_ends_it_at_once(shop: Path, loop: str, number: signal.Signals, code: int) -> None:
    """Even while a function of the user's holds the event loop."""
    (shop / "hold").touch()
    with worker(shop, loop) as running:
        running.process.send_signal(number)
        running.wait_for("held")
        running.process.send_signal(number)
        assert running.end() == code


def test_a_failing_handler_ends_it_with_code_1_and_one_line(shop: Path) -> None:
    with worker(shop) as running:
        command(shop, "-A", "shop", "send", "orders", "-1", "-k", "alice", "--partition", "1", "--url", running.url)
        assert running.end() == 1
    assert "Traceback" not in "".join(running.seen)
    last = running.seen[-1]
    assert last.startswith("error: agent 'add' failed at topic 'orders', partition 1, offset 0: ValueError: ")
    assert last.endswith("(shop.py, line 17)\n")


def test_debug_shows_where_the_handler_failed(shop: Path) -> None:
    with worker(shop, "--debug") as running:
        command(shop, "-A", "shop", "send", "orders", "-1", "-k", "alice", "--url", running.url)
        assert running.end() == 1
    assert "Traceback" in "".join(running.seen)


def test_with_json_logs_every_line_is_json_the_last_one_too(shop: Path) -> None:
    with worker(shop, "--log-format", "json") as running:
        command(shop, "-A", "shop", "send", "orders", "-1", "-k", "alice", "--url", running.url)
        assert running.end() == 1
    lines = [json.loads(line) for line in running.seen]
    assert (lines[-1]["level"], "a negative order" in lines[-1]["message"]) == ("critical", True)


def test_a_port_in_use_is_one_line(shop: Path) -> None:
    with worker(shop) as running:
        port = running.url.rpartition(":")[2]
        second = command(shop, "-A", "shop", "worker", "--web-port", port, "--log-level", "error")
        assert second.returncode == 2
        (line,) = second.stderr.splitlines()
        assert f"error: cannot serve HTTP on 127.0.0.1:{port}: the port is in use" in line


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["-A", "shop", "worker", "--broker", "kafka://127.0.0.1:9"], 1, "no Kafka broker answers at kafka://127.0.0.1"),
        (["-A", "shop", "run", "--bounded", "--broker", "kafka://127.0.0.1:9"], 1, "no Kafka broker answers at kafka://127.0.0.1"),
        (["-A", "shop", "worker", "--broker", "rabbit://x"], 2, "broker 'rabbit://x': unknown scheme"),
        (["-A", "shop", "worker", "--set", "web_prt=1"], 2, "unknown setting 'web_prt'"),
        (["-A", "shp", "worker"], 2, "there is no module 'shp'"),
    ],
)
def test_what_keeps_a_worker_from_starting_is_one_line(
    shop: Path, arguments: list[str], code: int, says: str
) -> None:
    result = command(shop, *arguments, *(["--log-level", "error"] if "shop" in arguments else []))
    assert (result.returncode, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line


def test_a_bounded_run_ends_by_itself(shop: Path) -> None:
    result = command(shop, "-A", "shop", "run", "--bounded")
    assert result.returncode == 0
    assert "stopped: everything in hand is committed" in result.stderr


def test_the_environment_names_application_and_settings(shop: Path) -> None:
    result = command(shop, "config", "--json", STREAMZ_APP="shop", STREAMZ_TIMEZONE="Europe/Paris")
    (row,) = [row for row in json.loads(result.stdout) if row["name"] == "timezone"]
    assert row == {"name": "timezone", "value": "Europe/Paris", "origin": "environment STREAMZ_TIMEZONE"}


def test_an_application_run_as_a_program_has_the_same_commands(shop: Path) -> None:
    with (shop / "shop.py").open("a", encoding="utf-8") as file:
        file.write('\n\nif __name__ == "__main__":\n    app.main()\n')
    result = program(shop, "shop.py", "topology")
    assert (result.returncode, result.stdout.splitlines()[0]) == (0, "application shop")
