"""Windows of long ago, under a broker whose clock is years ahead: what is kept is not lost with the local files."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from streamz_actors import AgentStream, App, JoinWindow, Session, Sliding, Tumbling
from streamz_actors.clock import ManualClock
from streamz_actors.running import Running
from streamz_actors.transport.abc import RawBatch, Reader
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.reader import MemoryReader
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from streamz_actors.worker import purge
from tests.scenarios.exactly import begin_after_death
from tests.scenarios.group import kill
from tests.scenarios.support import Site, ended

THEN = 1_200_000_000_000
"""In January 2008, in ms."""
NOW = 1_800_000_000_000

MINUTE = 60_000
KEYS = ("a", "b", "c")
TABLES = ("windows", "visits", "slides", "written", "joined-left", "joined-right", "rows-history")
GUARANTEES = ("at_least_once", "exactly_once")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "EVERY", 1)


def history(guarantee: str) -> App:
    """One of each that forgets with time, over some minutes."""
    app = App("history", processing_guarantee=guarantee)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1, retention=10**9)
    rows = app.topic("rows", key_type=str, value_type=int, partitions=1, retention=10**9)
    stream = app.stream(topic)
    grouped = stream.group_by_key()
    grouped.windowed_by(Tumbling(60, grace=120)).count("windows")
    grouped.windowed_by(Session(90, grace=60)).count("visits")
    grouped.windowed_by(Sliding(60, grace=60)).count("slides")
    within = JoinWindow(before=60, after=60, grace=60)
    stream.join(app.stream(rows), lambda left, right: left + right, within=within, name="joined")
    app.table(rows, versioned=timedelta(minutes=4))
    written = app.table("written", key_type=str, value_type=int, default=int, windowed=Session(90), expires=120)

    @app.agent(topic)
    async def write(events: AgentStream[str, int]) -> None:
        async for key, value in events.items():
            written[key] += value

    return app


def site_of(tmp_path: Path) -> Site:
    site = Site("rocksdb://", tmp_path / "first")
    site.clock = ManualClock(NOW)
    site.broker = MemoryBroker(site.clock, check_interval=None)
    return site


def changelog(table: str) -> TopicPartition:
    return TopicPartition(f"history-{table}-changelog", 0)


def feed(site: Site, minutes: Sequence[int]) -> None:
    """For each minute a record of each key, some of them late by a minute and a half."""
    for minute in minutes:
        times = [THEN + minute * MINUTE + late for late in (0, -90_000, 10_000)]
        for topic in ("in", "rows"):
            site.broker.append(
                TopicPartition(topic, 0), [key.encode() for key in KEYS], [str(minute).encode()] * 3, times, None
            )


async def work(site: Site, running: Running, minutes: range) -> None:
    """Commits each minute; behind that the broker deletes and compacts, by its own clock."""
    for minute in minutes:
        feed(site, [minute])
        await site.settle(running)
        await running.worker.commit()
        await site.settle(running)
        site.broker.clean()


def contents(running: Running) -> dict[str, dict[bytes, bytes]]:
    return {table: dict(running.worker.states(table)[0].logged.store.scan()) for table in TABLES}


def erasures(running: Running) -> dict[str, int]:
    """Before which times the stores hold nothing any more."""
    return {table: running.worker.states(table)[0].logged.erased for table in TABLES}


def kept(stores: dict[str, dict[bytes, bytes]], erased: dict[str, int]) -> dict[str, dict[bytes, bytes]]:
    """Without what had been erased before: nobody asks for it."""
    return {
        table: {key: raw for key, raw in rows.items() if not key or int.from_bytes(key[:8], "big") >= erased[table]}
        for table, rows in stores.items()
    }


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_they_come_back_from_changelogs_that_the_broker_has_cleaned(guarantee: str, tmp_path: Path) -> None:
    site, app = site_of(tmp_path), history(guarantee)
    first, life = await site.begin(app)
    await work(site, first, range(40))
    before, erased = contents(first), erasures(first)
    assert all(erased.values())
    assert all(len(rows) > 1 for rows in before.values())
    await kill(first, life)

    site.data_dir = tmp_path / "second"
    second, life = await begin_after_death(site, app)
    await site.settle(second)
    assert kept(contents(second), erased) == before
    for key in KEYS:
        assert await second.windows("windows", key, None, None)
        assert await second.windows("written", key, None, None)
    await work(site, second, range(40, 42))
    await ended(second, life, site.clock)


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_changelogs_do_not_grow_with_the_history(guarantee: str, tmp_path: Path) -> None:
    site, app = site_of(tmp_path), history(guarantee)
    running, life = await site.begin(app)
    await work(site, running, range(30))
    lengths = {}
    for table in TABLES:
        log = site.broker.log(changelog(table))
        assert log.begin > 0
        lengths[table] = len(log)
    await work(site, running, range(30, 60))
    for table, length in lengths.items():
        assert len(site.broker.log(changelog(table))) < 1.5 * length, table
    await ended(running, life, site.clock)


async def test_what_is_not_committed_deletes_nothing(tmp_path: Path) -> None:
    """Years go by in one record, and the worker dies before it commits that."""
    site, app = site_of(tmp_path), history("at_least_once")
    running, life = await site.begin(app)
    await work(site, running, range(10))
    begins = {table: site.broker.log(changelog(table)).begin for table in TABLES}
    feed(site, [10**6])
    await site.settle(running)
    await kill(running, life)
    assert {table: site.broker.log(changelog(table)).begin for table in TABLES} == begins

    site.data_dir = tmp_path / "second"
    second, life = await begin_after_death(site, app)
    await work(site, second, range(10**6 + 1, 10**6 + 3))
    for table, begin in begins.items():
        log = site.broker.log(changelog(table))
        assert begin < log.begin < log.end
    await ended(second, life, site.clock)


class CutTransport(MemoryTransport):
    """Once a restore knows where a log begins, it loses its first records."""

    def __init__(self, broker: MemoryBroker, cut: dict[TopicPartition, int]) -> None:
        super().__init__(broker)
        self.cut = cut

    def reader(self, *, read_committed: bool = False) -> Reader:
        return CutReader(self, read_committed)


class CutReader(MemoryReader):
    def __init__(self, transport: CutTransport, read_committed: bool) -> None:
        super().__init__(transport.broker, read_committed)
        self._transport = transport

    async def poll(self, timeout: float) -> list[RawBatch]:
        while self._transport.cut:
            place, offset = self._transport.cut.popitem()
            self._transport.broker.log(place).delete_before(offset)
        return await super().poll(timeout)


async def test_a_restore_goes_on_from_where_the_log_begins_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(purge, "EVERY", 10**9)
    site, app = site_of(tmp_path), history("at_least_once")
    first, life = await site.begin(app)
    await work(site, first, range(40))
    before, erased = contents(first), erasures(first)
    states = {changelog(table): first.worker.states(table)[0] for table in TABLES}
    cut = {place: site.broker.log(place).at(purge.oldest(state)) for place, state in states.items()}
    assert all(cut.values())
    await kill(first, life)

    site.data_dir = tmp_path / "second"
    second, life = await begin_after_death(site, app, transport=CutTransport(site.broker, cut))
    await site.settle(second)
    assert "restoring from the beginning" in caplog.text
    assert {table: site.broker.log(changelog(table)).begin > 0 for table in TABLES} == dict.fromkeys(TABLES, True)
    assert kept(contents(second), erased) == before
    await ended(second, life, site.clock)
