"""Commits that come to changelogs in part, or too late: no restart counts a record twice, and none is lost."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from streamz_actors import App
from streamz_actors.running import Running
from streamz_actors.tasks.coverage import OPENS
from streamz_actors.transport.abc import Delivery, Producer
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.producer import MemoryProducer
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import Headers, TopicPartition
from tests.scenarios.group import expire, kill
from tests.scenarios.support import Site, ended, turns, until

KEYS = [f"k{number % 7}" for number in range(40)]
IN, OUT = TopicPartition("in", 0), TopicPartition("out", 0)
LOGS = tuple(TopicPartition(f"unfinished-{table}-changelog", 0) for table in ("all", "odd"))


def counting(store: str = "memory://") -> App:
    """Two tables of one task: how often each key came, and how often with an odd number."""
    app = App("unfinished", store=store)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    stream = app.stream(topic)
    app.stream(stream.group_by_key().count("all")).to(out)
    stream.filter(lambda key, value: value % 2 == 1).group_by_key().count("odd")
    return app


class CutProducer(MemoryProducer):
    """Of what goes to changelogs, its transport lets so much through; the rest comes when that says so, or never."""

    def __init__(self, transport: "CutTransport") -> None:
        super().__init__(transport.broker)
        self._transport = transport

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        transport = self._transport
        if not topic.endswith("-changelog") or transport.left is None:
            return super().send(topic, partition, keys, values, timestamps, headers)
        if transport.left:
            transport.left -= 1
            return super().send(topic, partition, keys, values, timestamps, headers)
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

        columns = keys, values, timestamps, headers
        transport.late.append(lambda: super(CutProducer, self).send(topic, partition, *columns))
        return future


class CutTransport(MemoryTransport):
    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.left: int | None = None
        """Sends to changelogs that are still let through; None: all."""
        self.late: list[Callable[[], object]] = []

    def producer(self, client_id: str) -> Producer:
        return CutProducer(self)

    def arrive(self) -> None:
        """What was held back comes now."""
        for each in self.late:
            each()


def feed(site: Site, first: int, last: int) -> None:
    for number in range(first, last):
        site.broker.append(IN, [KEYS[number].encode()], [b"%d" % number], [number], None)


def tables(running: Running) -> tuple[dict[str, int], dict[str, int]]:
    one, two = (dict(running.worker.states(name)[0].items()) for name in ("all", "odd"))
    return one, two


def truth(records: int) -> tuple[dict[str, int], dict[str, int]]:
    return Counter(KEYS[:records]), Counter(KEYS[1:records:2])


async def dead_in_a_commit(site: Site, left: int) -> CutTransport:
    """A worker that has committed 20 records, and dies when `left` sends of the commit of 30 have come."""
    transport = CutTransport(site.broker)
    running, life = await site.begin(counting(), transport=transport)
    feed(site, 0, 20)
    await site.settle(running)
    await running.worker.commit()
    feed(site, 20, 30)
    await site.settle(running)
    transport.left = left
    committing = asyncio.create_task(running.worker.commit())
    await turns(50)
    assert not committing.done()
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    await kill(running, life)
    return transport


async def living(site: Site, **options: object) -> "tuple[Running, asyncio.Task[None]]":
    """A worker that is ready, once the group has given up who died."""
    running = site.worker(counting(), **options)  # type: ignore[arg-type]
    life = asyncio.create_task(running.run())
    await until(lambda: running.worker.members.consumer is not None)
    await expire(site)
    await until(running.worker.ready.is_set)
    return running, life


async def check_from_nothing(site: Site, records: int, elsewhere: Path) -> None:
    """Whoever restores the changelogs from their beginnings finds the truth, now and when they were compacted."""
    for _ in range(2):
        fresh = Site("rocksdb://", elsewhere)
        fresh.clock, fresh.broker = site.clock, site.broker
        running, life = await fresh.begin(counting())
        await fresh.settle(running)
        assert tables(running) == truth(records)
        await ended(running, life, fresh.clock)
        for log in LOGS:
            site.broker.log(log).compact(site.clock.now())
        elsewhere = elsewhere / "again"


@pytest.mark.parametrize("left", range(6))
@pytest.mark.parametrize("kept", ["nothing", "directory"])
async def test_a_flush_that_came_in_part_is_taken_back(left: int, kept: str, tmp_path: Path) -> None:
    site = Site("rocksdb://", tmp_path / "first")
    await dead_in_a_commit(site, left)
    if kept == "nothing":
        site.data_dir = tmp_path / "second"
    running, life = await living(site)
    await site.settle(running)
    assert tables(running) == truth(30)
    feed(site, 30, 40)
    await site.settle(running)
    await ended(running, life, site.clock)
    await check_from_nothing(site, 40, tmp_path / "third")


@pytest.mark.parametrize("kept", ["nothing", "directory"])
async def test_a_flush_that_came_whole_is_taken_for_committed_and_its_records_do_not_come_again(
    kept: str, tmp_path: Path
) -> None:
    site = Site("rocksdb://", tmp_path / "first")
    transport = await dead_in_a_commit(site, 5)
    transport.arrive()
    before = site.broker.log(OUT).end
    if kept == "nothing":
        site.data_dir = tmp_path / "second"
    running, life = await living(site)
    await site.settle(running)
    assert tables(running) == truth(30)
    assert site.broker.log(OUT).end == before
    await running.worker.commit()
    assert site.committed("unfinished", "in") == 30
    feed(site, 30, 40)
    await site.settle(running)
    await ended(running, life, site.clock)
    await check_from_nothing(site, 40, tmp_path / "third")


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("left", range(6))
async def test_a_flush_that_comes_when_its_task_is_anothers_does_no_harm(
    left: int, committed: bool, dies: bool, tmp_path: Path
) -> None:
    site = Site("rocksdb://", tmp_path / "first")
    transport = await dead_in_a_commit(site, left)
    site.data_dir = tmp_path / "second"
    running, life = await living(site)
    feed(site, 30, 35)
    await site.settle(running)
    if committed:
        await running.worker.commit()
    transport.arrive()
    feed(site, 35, 40)
    await site.settle(running)
    if dies:
        await kill(running, life)
        site.data_dir = tmp_path / "third"
        running, life = await living(site)
        await site.settle(running)
    else:
        await running.worker.commit()
        await site.settle(running)
    assert tables(running) == truth(40)
    await ended(running, life, site.clock)
    await check_from_nothing(site, 40, tmp_path / "fourth")


async def test_where_somebody_has_moved_the_offsets_everything_counts(tmp_path: Path) -> None:
    site = Site("rocksdb://", tmp_path)
    transport = await dead_in_a_commit(site, 5)
    transport.arrive()
    site.broker.group("unfinished").offsets.commit({IN: 10}, {})
    running, life = await living(site)
    await site.settle(running)
    counts, _ = tables(running)
    assert counts == Counter([*KEYS[:30], *KEYS[10:30]])
    await ended(running, life, site.clock)


async def test_what_an_older_release_wrote_counts_as_ever(tmp_path: Path) -> None:
    site = Site("rocksdb://", tmp_path)
    running, life = await site.begin(counting())
    await ended(running, life, site.clock)
    site.broker.log(LOGS[0]).append([b"k0", b"k1"], [b"5", b"6"], [0, 0], None, 0)
    site.broker.group("unfinished").offsets.commit({IN: 0}, {})
    feed(site, 0, 7)
    running, life = await site.begin(counting())
    await site.settle(running)
    assert tables(running)[0] == {**dict.fromkeys(KEYS[:7], 1), "k0": 6, "k1": 7}
    await ended(running, life, site.clock)


async def test_a_table_that_nothing_was_written_to_for_long_is_noted_all_the_same(tmp_path: Path) -> None:
    site = Site("rocksdb://", tmp_path / "first")
    running, life = await site.begin(counting())
    feed(site, 0, 1)
    await site.settle(running)
    await ended(running, life, site.clock)
    notes = site.broker.group("unfinished").offsets.notes
    assert set(notes) == {IN}
    assert str(LOGS[1].topic) in notes[IN]
    assert site.broker.log(LOGS[1]).end == 0


def marks(site: Site, log: TopicPartition) -> int:
    raw = site.broker.log(log).read(0, 1_000)
    return 0 if raw is None else str(raw.headers).count(f"'{OPENS}'")


async def test_a_flush_has_two_marks_in_each_changelog_however_large_it_is(tmp_path: Path) -> None:
    site = Site("rocksdb://", tmp_path)
    running, life = await site.begin(counting())
    for commits in range(3):
        feed(site, commits * 10, commits * 10 + 10)
        await site.settle(running)
        await running.worker.commit()
        assert [marks(site, log) for log in LOGS] == [commits + 1, commits + 1]
    await ended(running, life, site.clock)


# -- a changelog that was written in transactions


@pytest.mark.parametrize("ended_by", ["commit", "drop", "fence"])
async def test_a_restore_waits_for_a_transaction_and_leaves_out_one_that_is_aborted(
    ended_by: str, tmp_path: Path
) -> None:
    site = Site("rocksdb://", tmp_path)
    running, life = await site.begin(counting())
    feed(site, 0, 7)
    await site.settle(running)
    await ended(running, life, site.clock)
    transport = MemoryTransport(site.broker)
    writer = transport.transactional_producer("writer", "it")
    await writer.start()
    await writer.send(LOGS[0].topic, 0, [b"k0"], [b"100"], [0])
    running = site.worker(counting(), backend=None)
    life = asyncio.create_task(running.run())
    await until(lambda: running.worker.tasks)
    await turns(200)
    assert not running.worker.ready.is_set()
    if ended_by == "commit":
        await writer.commit({}, running.worker.members.consumer.member)  # type: ignore[union-attr]
    elif ended_by == "fence":
        await transport.fence("it")
    else:
        await writer.drop()
        await expire(site, 61.0)
    await until(running.worker.ready.is_set)
    assert tables(running)[0]["k0"] == (100 if ended_by == "commit" else 1)
    await ended(running, life, site.clock)


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("left", range(6))
async def test_a_changelog_goes_from_one_guarantee_to_the_other_and_back(left: int, dies: bool, tmp_path: Path) -> None:
    site = Site("rocksdb://", tmp_path / "first")
    transport = await dead_in_a_commit(site, left)
    if left == 5:
        transport.arrive()
    running, life = await living(site, processing_guarantee="exactly_once")
    await site.settle(running)
    assert tables(running) == truth(30)
    feed(site, 30, 35)
    await site.settle(running)
    await running.worker.commit()
    feed(site, 35, 37)
    await site.settle(running)
    if dies:
        await kill(running, life)
        site.data_dir = tmp_path / "second"
        running, life = await living(site, processing_guarantee="at_least_once")
    else:
        await ended(running, life, site.clock)
        running, life = await site.begin(counting())
    feed(site, 37, 40)
    await site.settle(running)
    assert tables(running) == truth(40)
    await ended(running, life, site.clock)
    await check_from_nothing(site, 40, tmp_path / "third")
