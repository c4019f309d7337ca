"""Log lines: plain or JSON, to standard error, set up as often as one likes."""

import json
import logging
from collections.abc import Iterator

import pytest

from streamz_actors.telemetry.logs import NOISY, Lines, Repeats, setup


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, levels = root.level, {name: logging.getLogger(name).level for name in NOISY}
    yield
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    for handler in [handler for handler in root.handlers if isinstance(handler, Lines)]:
        root.removeHandler(handler)


def test_plain_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    setup("plain", "info")
    logging.getLogger("streamz_actors.worker").info("assigned %d partitions", 8)
    assert "INFO    streamz_actors.worker: assigned 8 partitions" in capsys.readouterr().err


def test_a_json_line_is_one_object_with_the_error_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    setup("json", logging.INFO)
    try:
        raise ValueError("bad\nnews")
    except ValueError:
        logging.getLogger("x").exception("it failed: %s", "ünïcode")
    (text,) = capsys.readouterr().err.splitlines()
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"]) == ("error", "x", "it failed: ünïcode")
    assert line["time"].endswith("+00:00")
    assert "ValueError: bad\nnews" in line["error"]


def test_a_second_call_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    setup("plain", "info")
    setup("json", "warning")
    logging.getLogger("x").info("not wanted")
    logging.getLogger("x").warning("wanted")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["wanted"]


def test_libraries_are_quiet_unless_everything_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    setup("plain", "info")
    logging.getLogger("aiokafka.consumer").info("daily business")
    assert capsys.readouterr().err == ""
    setup("plain", "debug")
    logging.getLogger("aiokafka.consumer").info("daily business")
    assert "daily business" in capsys.readouterr().err


def test_what_aiokafka_says_over_and_over_is_said_now_and_then_with_a_count() -> None:
    repeats = Repeats()

    def said(name: str, node: int, seconds: float) -> str | None:
        record = logging.LogRecord(name, logging.ERROR, __file__, 1, "cannot connect to %d", (node,), None)
        record.created = 1_700_000_000 + seconds
        return record.getMessage() if repeats(record) else None

    first = [said("aiokafka.client", node, seconds) for seconds in (0, 1, 2) for node in (1, 2)]
    assert first == ["cannot connect to 1", "cannot connect to 2", None, None, None, None]
    assert said("aiokafka.client", 1, 31) == "cannot connect to 1 (said 2 times more since)"
    assert said("aiokafka.client", 1, 62) == "cannot connect to 1"
    assert [said("streamz_actors.worker", 1, 63) for _ in range(2)] == ["cannot connect to 1"] * 2


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'loud' is no log level"):
        setup("plain", "loud")


def test_one_process_among_several_gives_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    setup("plain", "info", 2)
    logging.getLogger("x").warning("late")
    assert "WARNING [2] x: late" in capsys.readouterr().err
    setup("json", "info", 2)
    logging.getLogger("x").warning("late")
    assert json.loads(capsys.readouterr().err)["process"] == 2


@pytest.mark.parametrize(("level", "count"), [("info", 0), ("debug", 1)])
def test_what_every_rebalance_brings_is_told_only_where_all_is_wanted(
    level: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    setup("plain", level)
    aiokafka = logging.getLogger("aiokafka.consumer.group_coordinator")
    aiokafka.warning("Heartbeat failed for group %s because it is rebalancing", "orders")
    aiokafka.warning("Heartbeat failed: local member_id was not recognized;")
    lines = capsys.readouterr().err.splitlines()
    assert sum("is rebalancing" in line for line in lines) == count
    assert sum("not recognized" in line for line in lines) == 1
