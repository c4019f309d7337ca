"""`app worker --processes N` without a broker: what keeps it from starting, and failures that are not its own."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios.cli_process import command, environment, program
from tests.scenarios.cli_process import shop as shop

TWO = ("worker", "--processes", "2")


def test_what_all_processes_are_wrongly_called_with_is_said_once_and_ends_it(shop: Path) -> None:
    result = command(shop, "-A", "shop", *TWO, "--broker", "rabbit://x", "--log-level", "error")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: broker 'rabbit://x': unknown scheme")


def test_an_application_run_as_a_program_has_processes_too(shop: Path) -> None:
    with (shop / "shop.py").open("a", encoding="utf-8") as file:
        file.write('\n\nif __name__ == "__main__":\n    app.main()\n')
    result = program(shop, "shop.py", *TWO, "--broker", "rabbit://x", "--log-level", "error")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: broker 'rabbit://x': unknown scheme")


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_port_is_bound_by_one_supervisor_alone(shop: Path, count: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        broker = ("--broker", "kafka://127.0.0.1:9") if count == "2" else ()
        result = command(shop, "-A", "shop", "worker", "--processes", count, *broker, "--web-port", port)
    assert result.returncode == 2
    assert f"error: cannot serve HTTP on 127.0.0.1:{port}: the port is in use" in result.stderr.splitlines()[-1]


def test_processes_that_fail_are_started_again_until_it_is_stopped(shop: Path) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "streamz_actors", "-A", "shop", *TWO, "--broker", "kafka://127.0.0.1:9"],
        cwd=shop, env=environment(), stderr=subprocess.PIPE, text=True,
    )
    said, failures = "", 0
    assert supervisor.stderr is not None
    for line in supervisor.stderr:
        said += line
        failures += bool(re.search(r"process \d failed with code 1 after .* s: no Kafka broker answers .* again", line))
        if failures == 3:
            break
    supervisor.send_signal(signal.SIGTERM)
    _, rest = supervisor.communicate(timeout=60)
    assert failures == 3, said
    assert supervisor.returncode == 1
    assert rest.splitlines()[-1].startswith("error: not every process has ended well")
    assert "is started again in 1 s" in said
    assert said.count("application: shop") == 1
    assert "Traceback" not in said + rest
