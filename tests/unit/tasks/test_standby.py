"""What a copy writes, and what waits: notes beside offsets, tables of topics, logs that moved on, what time forgets."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors import App, Tumbling
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.stores.logged import stamp
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.segments import START
from streamz_actors.tasks import standby
from streamz_actors.tasks.coverage import Note
from streamz_actors.tasks.standby import Copy, StandbyTask
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import TopicPartition

IN = TopicPartition("in", 0)
LOG = TopicPartition("copies-counts-changelog", 0)
HOUR = 3_600_000


def counting() -> SubTopology:
    app = App("copies")
    app.stream(app.topic("in", key_type=str, value_type=int, partitions=1)).group_by_key().count("counts")
    return split(app.frozen(), {}, 1)[0]


def windowed() -> SubTopology:
    app = App("copies")
    stream = app.stream(app.topic("in", key_type=str, value_type=int, partitions=1))
    stream.group_by_key().windowed_by(Tumbling(60)).count("counts", retention=3_600)
    return split(app.frozen(), {}, 1)[0]


def latest() -> SubTopology:
    app = App("copies")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1, compacting=True)
    app.table(topic).to_stream().foreach(lambda key, value: None)
    return split(app.frozen(), {}, 1)[0]


def standby_of(sub: SubTopology, *, committed_only: bool = False, backend: MemoryBackend | None = None) -> StandbyTask:
    shelf = (backend or MemoryBackend()).open("in-0", {spec.name: "here" for spec in sub.stores})
    return StandbyTask(sub, 0, shelf, committed_only=committed_only)


def begun(sub: SubTopology, *, begin: int = 0, end: int = 100, **options: Any) -> tuple[StandbyTask, Copy]:
    task = standby_of(sub, **options)
    task.begin(dict.fromkeys(task.copies, begin), dict.fromkeys(task.copies, end))
    if task.sources == frozenset():
        hear(task, end)
    (copy,) = task.copies.values()
    return task, copy


def hear(task: StandbyTask, end: int, committed: int | None = None, noted: int | None = None, at: int = -1) -> None:
    """The log's end, the group's offset, the end that the note beside it tells; `at`: of the note, if another."""
    offsets = {} if committed is None else {IN: committed}
    notes: Mapping[TopicPartition, str] = {}
    if noted is not None:
        assert committed is not None
        notes = {IN: Note({"in": committed if at < 0 else at}, {LOG.topic: noted}).write()}
    task.hear(dict.fromkeys(task.copies, end), offsets, notes)


def batch(first: int, count: int, place: TopicPartition = LOG, value: bytes = b"v") -> RawBatch:
    offsets = range(first, first + count)
    keys: list[bytes | None] = [b"k%d" % (offset % 7) for offset in offsets]
    values: list[bytes | None] = [value + b"%d" % offset for offset in offsets]
    return RawBatch(*place, keys, values, list(offsets), offsets, None, first + count)


def truth(until: int, value: bytes = b"v") -> dict[bytes, bytes]:
    return {b"k%d" % (offset % 7): stamp(offset, value + b"%d" % offset) for offset in range(until)}


async def pause() -> None:
    """Nobody is in the way."""


def held(copy: Copy) -> dict[bytes, bytes]:
    return dict(copy.store.scan())


async def test_what_is_committed_is_written_and_what_stands_behind_it_waits() -> None:
    task, copy = begun(counting())
    hear(task, 30, committed=9, noted=20)
    copy.take(batch(0, 30))
    await task.write(pause)
    assert (held(copy), copy.store.offset, task.lag) == (truth(20), 20, 0)
    hear(task, 30, committed=12, noted=30)
    await task.write(pause)
    assert (held(copy), copy.store.offset) == (truth(30), 30)


async def test_before_anything_is_committed_everything_waits() -> None:
    task, copy = begun(counting())
    hear(task, 30)
    copy.take(batch(0, 30))
    await task.write(pause)
    assert held(copy) == {}


async def test_a_log_of_a_release_that_notes_nothing_is_written_as_it_comes() -> None:
    task, copy = begun(counting())
    hear(task, 30, committed=9)
    copy.take(batch(0, 30))
    await task.write(pause)
    assert held(copy) == truth(30)


async def test_a_note_of_other_offsets_than_those_that_are_committed_says_nothing() -> None:
    task, copy = begun(counting())
    hear(task, 30, committed=9, noted=10)
    hear(task, 30, committed=12, noted=30, at=11)
    copy.take(batch(0, 30))
    await task.write(pause)
    assert held(copy) == truth(10)


async def test_of_records_that_are_all_committed_nothing_waits() -> None:
    task, copy = begun(counting(), committed_only=True)
    assert task.sources == frozenset()
    hear(task, 30)
    copy.take(batch(0, 30))
    await task.write(pause)
    assert held(copy) == truth(30)


@pytest.mark.parametrize("committed_only", [False, True])
async def test_a_table_of_a_topic_goes_as_far_as_the_group_has_committed(committed_only: bool) -> None:
    task, copy = begun(latest(), committed_only=committed_only)
    assert task.sources == {IN}
    hear(task, 100, committed=10)
    assert task.lag == 10
    copy.take(batch(0, 30, IN))
    await task.write(pause)
    assert (held(copy), copy.store.offset, task.lag) == (truth(10), 10, 0)


async def test_what_is_too_much_to_wait_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "WAITING", 10)
    task, copy = begun(counting())
    hear(task, 40, committed=1, noted=5)
    copy.take(batch(0, 8))
    copy.take(batch(8, 20))
    await task.write(pause)
    assert (copy.store.offset, copy.position, task.reads()) == (5, 5, {})
    copy.take(batch(28, 5))
    assert copy.position == 5, "it rests"
    assert not task.rested()
    hear(task, 40, committed=8, noted=40)
    assert task.reads() == {LOG: 5}
    assert task.rested()
    copy.take(batch(5, 35))
    await task.write(pause)
    assert held(copy) == truth(40)


async def test_it_goes_on_where_its_store_ends() -> None:
    backend, sub = MemoryBackend(), counting()
    task, copy = begun(sub, committed_only=True, backend=backend)
    hear(task, 30)
    copy.take(batch(0, 20))
    await task.write(pause)
    task.shelf.close()
    task, copy = begun(sub, committed_only=True, backend=backend)
    assert task.reads() == {LOG: 20}
    copy.take(batch(10, 20))  # what is there already does no harm
    await task.write(pause)
    assert held(copy) == truth(30)


@pytest.mark.parametrize(("begin", "end"), [(15, 30), (0, 5)])
async def test_one_that_its_log_does_not_continue_is_made_anew(
    begin: int, end: int, caplog: pytest.LogCaptureFixture
) -> None:
    backend, sub = MemoryBackend(), counting()
    task, copy = begun(sub, committed_only=True, backend=backend)
    copy.take(batch(0, 10))
    await task.write(pause)
    task.shelf.close()
    _, copy = begun(sub, begin=begin, end=end, committed_only=True, backend=backend)
    assert (held(copy), copy.position, copy.store.offset) == ({}, begin, None)
    assert "it is made anew" in caplog.text


async def test_positions_move_past_what_has_no_records() -> None:
    task, copy = begun(counting(), committed_only=True)
    hear(task, 5)
    copy.take(RawBatch(*LOG, [], [], [], range(0), None, 5))
    await task.write(pause)
    assert (copy.store.offset, task.lag) == (5, 0)


def entry(time: int, at: int, offset: int) -> RawBatch:
    key = START.pack(time) + b"k"
    return RawBatch(*LOG, [key, b""], [b"1", b""], [time, at], range(offset, offset + 2), None, offset + 2)


async def test_windows_go_long_after_their_task_has_erased_them() -> None:
    task, copy = begun(windowed(), committed_only=True)
    for number, hours in enumerate((0, 1, 3, 8, 20)):
        copy.take(entry(hours * HOUR, hours * HOUR, 2 * number))
        await task.write(pause)
    kept = [START.unpack_from(key)[0] // HOUR for key in held(copy) if key]
    assert kept == [20]
    assert copy.store.offset == 10


async def test_windows_that_their_task_may_still_read_stay() -> None:
    task, copy = begun(windowed(), committed_only=True)
    for number, hours in enumerate((0, 1, 2, 3, 4)):
        copy.take(entry(hours * HOUR, hours * HOUR, 2 * number))
        await task.write(pause)
    assert [START.unpack_from(key)[0] // HOUR for key in held(copy) if key] == [0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 60), st.booleans()), max_size=12))
async def test_it_always_holds_a_prefix_that_is_committed(steps: list[tuple[int, int, bool]]) -> None:
    task, copy = begun(counting())
    read = limit = 0
    for count, noted, listens in steps:
        copy.take(batch(read, count))
        read += count
        if listens:
            limit = max(limit, noted)
            hear(task, read, committed=limit, noted=limit)
        await task.write(pause)
        assert copy.store.offset in (None, min(limit, read))
        assert held(copy) == truth(copy.store.offset or 0)
