"""The real Kafka of the tests: one for the whole session, brought by `scripts/kafka`, ended with it.

A conftest.py makes it known to its folder: `from tests.kafka_server import kafka_url as kafka_url`. The first test that
asks for it starts it. It is never skipped: without Java and Maven those tests fail, with scripts/kafka's message.
TEST_KAFKA=kafka://host:port uses one that runs already.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "kafka"
STOP_TIMEOUT = 30.0

NO_RETENTION = "log.initial.task.delay.ms=86400000"
"""Half a minute after its start, and then every five minutes, a broker deletes what is older than its topic's retention
by its own timestamp: a week by default, and most records of tests are older. This puts that off for a day."""


FOREVER = {"retention.ms": "-1"}
"""Settings of a topic whose records are old: a broker that runs already (`TEST_KAFKA`) deletes those at any moment."""


class KafkaServer:
    """`scripts/kafka run` as a child process; it stops Kafka when it is stopped, or when this process ends."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "run", "--with-parent", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self._first_line()

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line.startswith("kafka://"):
            return line
        _, problem = self._process.communicate(timeout=STOP_TIMEOUT)
        raise RuntimeError(f"no real Kafka for the tests:\n{problem.strip()}")

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=STOP_TIMEOUT)


class Shared:
    """The session's server: each folder that uses it has a fixture of its own, the last to end stops it."""

    users = 0
    server: KafkaServer | None = None
    problem: str | None = None  # a start that failed once is not tried again for every test

    @classmethod
    def enter(cls) -> str:
        if cls.problem is not None:
            pytest.fail(cls.problem, pytrace=False)
        if cls.server is None:
            try:
                cls.server = KafkaServer(f"--set={NO_RETENTION}")
            except RuntimeError as error:
                cls.problem = str(error)
                pytest.fail(cls.problem, pytrace=False)
        cls.users += 1
        return cls.server.url

    @classmethod
    def leave(cls) -> None:
        cls.users -= 1
        if not cls.users and cls.server is not None:
            cls.server.stop()
            cls.server = None


@pytest.fixture(scope="session")
def kafka_url() -> Iterator[str]:
    """The URL of a real Kafka."""
    given = os.environ.get("TEST_KAFKA")
    if given:
        yield given
        return
    url = Shared.enter()
    yield url
    Shared.leave()
