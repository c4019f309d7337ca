"""Trials: who runs, what becomes of one that fails, and the parts that measure. No Kafka, no timing."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from benchmarks import growth, trial_report
from benchmarks.checks import Wrong
from benchmarks.cluster import Cluster
from benchmarks.contenders import Contender
from benchmarks.environments import HERE
from benchmarks.findings import Column, Finding, Goal
from benchmarks.growth import Point
from benchmarks.instruments import milliseconds, percentile, read
from benchmarks.load import Connection, Load, Value, length
from benchmarks.plots import nice, plot
from benchmarks.processes import Contestant
from benchmarks.registry import ALL, GROWTH
from benchmarks.restoring import Log, moment
from benchmarks.rows import rows, scattered
from benchmarks.trials import Attempt, Trial, attempt, compete

NO_CLUSTER = cast(Cluster, None)


def trial(bout: Any) -> Trial:
    contenders = Contender("ours", "ours", {"W": ()}), Contender("slow", "slow", {"W": ()}, share=0.1)
    return Trial("W", "what", 50, contenders, bout, (Column("rate", "r"),), (), optional=frozenset({"slow"}))


async def sized(attempt: Attempt) -> Mapping[str, float]:
    return {"rate": float(attempt.size)}


async def test_contenders_take_turns_and_slow_ones_get_less() -> None:
    found: list[Finding] = []
    chosen = frozenset({"slow"})
    await compete(NO_CLUSTER, trial(sized), runs=2, size=None, against=chosen, stamp="s", report=found.append)
    assert [(finding.contender, finding.run, finding.size) for finding in found] == [
        ("ours", 1, 50), ("slow", 1, 5), ("ours", 2, 50), ("slow", 2, 5),
    ]  # fmt: skip
    assert [contender.name for contender in trial(sized).competing(frozenset())] == ["ours"]


async def test_a_wrong_result_has_a_problem_and_no_figures() -> None:
    async def bout(attempt: Attempt) -> Mapping[str, float]:
        raise Wrong("2 and 2 are 5")

    found = await attempt(trial(bout), NO_CLUSTER, trial(bout).contenders[0], 1, 10, "s")
    assert (found.problem, found.figures) == ("2 and 2 are 5", {})


def test_every_trial_has_its_programs_and_columns_for_its_goals() -> None:
    for name, one in ALL.items():
        for contender in one.contenders:
            first = contender.programs[name][0]
            module = HERE.parent / f"{first.replace('.', '/')}.py"
            assert module.exists() or (HERE / contender.folder / first).exists()
        names = {contender.name for contender in one.contenders}
        for goal in one.goals:
            assert {goal.contender, goal.baseline or goal.contender} <= names
            assert one.column(goal.figure).figure == goal.figure


def test_scattered_numbers_come_once_each_and_not_in_order() -> None:
    for count in (1, 7, 100, 1_000):
        assert sorted(scattered(count)) == list(range(count))
    assert list(scattered(100)) != list(range(100))
    assert {row.key for row in rows(20)} == {b"account-%06d" % number for number in range(20)}


# -- growth


def test_growth_counts_every_key_once_before_the_drawn_ones() -> None:
    point = Point(keys=50)
    records = list(point.content(200))
    assert {record.account for record in records[:50]} == set(range(50))
    assert [record.number for record in records] == list(range(250))
    truth = point.truth(200)
    assert sum(truth) == 250
    assert all(truth[account] == sum(record.account == account for record in records) for account in range(50))


def test_each_name_of_a_size_gives_that_size() -> None:
    for name, one in GROWTH.items():
        points = [growth.point_of(contender.name) for contender in one.contenders]
        axis = name.removeprefix("growth-")
        assert [getattr(point, axis) for point in points] == list(growth.POINTS[cast(growth.Axis, axis)])
        assert isinstance(one.goals[0], Goal)


def test_quick_growth_leaves_the_largest_state_out() -> None:
    names = {contender.name for one in growth.quick() for contender in one.contenders}
    assert "keys-1000000" in names
    assert "keys-10000000" not in names


def test_a_plot_is_an_svg_with_a_mark_for_each_point() -> None:
    drawn = plot("<title>", "keys", "µs", [(10, 1.0), (1_000, 2.0), (100_000, 1.5)], 1.5, "note")
    root = ElementTree.fromstring(drawn)
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3
    xs = [float(circle.attrib["cx"]) for circle in circles]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    ys = [float(circle.attrib["cy"]) for circle in circles]
    assert ys[1] < ys[2] < ys[0]


@pytest.mark.parametrize(("most", "top"), [(3.7, 4), (0.9, 1), (9.9, 20), (4, 8), (55, 80), (0.03, 0.04)])
def test_the_axis_ends_at_a_round_number_above(most: float, top: float) -> None:
    assert nice(most) == pytest.approx(top)


def test_plots_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    found = [
        Finding("growth-tables", f"tables-{count}", 1, 10, {"cpu_us": 4.0 + count / 10}, 0.0) for count in (1, 5, 20)
    ]
    found.append(Finding("growth-keys", "keys-10000", 1, 10, {"cpu_us": 4.0}))
    written = trial_report.draw([{"at": "2026-01-01T00", "commit": "abc"}], found, tmp_path)
    assert [path.name for path in written] == ["growth-tables.svg"]
    assert "commit abc" in written[0].read_text("utf-8")
    page = trial_report.sections(found)
    assert "- tables-20: 6.00 CPU µs/record, wanted at most 6.15 (1.5 times tables-1): reached" in page["growth-tables"]
    assert list(page) == ["growth-tables", "growth-keys"] or list(page) == ["growth-keys", "growth-tables"]


# -- instruments


def test_percentiles_are_values_that_were_measured() -> None:
    rising = [float(number) for number in range(1, 101)]
    assert (percentile(rising, 0.5), percentile(rising, 0.99), percentile(rising, 1)) == (50, 99, 100)
    assert percentile([7.0], 0.5) == 7.0
    assert milliseconds([0.002, 0.001, 0.009]) == {"p50_ms": 2, "p99_ms": 9, "max_ms": 9}


async def test_an_instrument_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="No module named"):
        await read("benchmarks.nobody", {}, [], 60.0)


def test_an_answers_length_is_found_however_it_is_written() -> None:
    assert length(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX: 1") == 12
    assert length(b"HTTP/1.1 200 OK\r\ncontent-length:0") == 0
    assert length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked") is None


class Server(asyncio.Protocol):
    """Answers each request with `status` and an account of that key; in two pieces, as networks may."""

    def __init__(self, status: int, tier: str) -> None:
        self.status, self.tier = status, tier
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        key = data.split(b" ")[1].rpartition(b"/")[2].decode()
        body = json.dumps({"key": key, "value": account(key, self.tier), "more": 1}).encode()
        answer = b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n%s" % (self.status, len(body), body)
        self._transport.write(answer[:30])
        asyncio.get_running_loop().call_soon(self._transport.write, answer[30:])

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()


def account(key: str, tier: str) -> dict[str, Any]:
    return {"account": key, "name": "n", "tier": tier, "country": "DE", "since": 2000, "limit": 1.0}


async def loaded(status: int, tier: str, requests: int) -> Load:
    """Two connections ask a server for two keys, whose tier should be gold."""
    loop = asyncio.get_running_loop()
    served: list[Server] = []

    def serve() -> Server:
        served.append(Server(status, tier))
        return served[-1]

    listening = await loop.create_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    truth = {key: Value(**account(key, "gold")) for key in ("a-1", "a-2")}
    load = Load("127.0.0.1", "/rows/", [key.encode() for key in truth], truth)
    made = [await loop.create_connection(lambda: Connection(load), "127.0.0.1", port) for _ in range(2)]
    try:
        await load.run([connection for _, connection in made], requests, 60.0)
    finally:
        for transport, _ in made:
            transport.close()
        for server in served:
            await server.gone.wait()
        listening.close()
        await listening.wait_closed()
    return load


async def test_the_load_asks_as_often_as_it_is_told() -> None:
    assert len((await loaded(200, "gold", 9)).took) == 9


@pytest.mark.parametrize(("status", "tier", "complaint"), [(503, "gold", "503"), (200, "basic", "a wrong")])
async def test_a_wrong_answer_ends_the_load(status: int, tier: str, complaint: str) -> None:
    with pytest.raises(SystemExit, match=complaint):
        await loaded(status, tier, 9)


# -- restore


def test_moments_are_read_as_text_and_as_seconds() -> None:
    assert moment({"time": "1970-01-01T00:01:00.250+00:00"}) == 60.25
    assert moment({"time": 3.5}) == 3.5


async def test_a_log_is_read_for_the_first_line_that_begins_so(tmp_path: Path) -> None:
    lines = ["plain restored", '{"time": 1, "message": "not restored"}', '{"time": 2, "message": "restored: 5"}']
    script = "; ".join(f"echo '{line}'" for line in lines)
    contestant = Contestant(["sh", "-c", f"{script}; sleep 60"], {}, tmp_path, tmp_path / "log")
    try:
        assert (await Log(contestant).until("restored"))["time"] == 2
        with pytest.raises(RuntimeError, match="never said 'ready'"):
            await Log(contestant).until("ready", 0.0)
    finally:
        contestant.stop()
