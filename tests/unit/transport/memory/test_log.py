"""The log of one partition: offsets, slices, retention and compaction."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamz_actors.transport.memory.log as log_module
from streamz_actors.errors import OffsetOutOfRange, ProduceError, TransportError
from streamz_actors.transport.memory.log import PartitionLog
from streamz_actors.transport.memory.settings import TopicSettings
from streamz_actors.types import TopicPartition

PARTITION = TopicPartition("t", 0)


def new_log(**config: str) -> PartitionLog:
    named = {name.replace("_", "."): value for name, value in config.items()}
    return PartitionLog(PARTITION, TopicSettings.parse("t", named))


def put(log: PartitionLog, *pairs: tuple[bytes | None, bytes | None], at: int = 0) -> None:
    log.append([key for key, _ in pairs], [value for _, value in pairs], [at] * len(pairs), None, at)


def contents(log: PartitionLog, limit: int = 3) -> list[tuple[int, bytes | None, bytes | None]]:
    """All records as (offset, key, value), read in small batches."""
    found: list[tuple[int, bytes | None, bytes | None]] = []
    position = log.begin
    while (batch := log.read(position, limit)) is not None:
        found.extend(zip(batch.offsets, batch.keys, batch.values, strict=True))
        assert len(batch) <= limit
        assert batch.next_offset > position
        position = batch.next_offset
    assert position == log.end
    return found


def test_offsets_of_a_log_without_gaps_are_a_range() -> None:
    log = new_log()
    put(log, *[(None, b"%d" % number) for number in range(5)])
    batch = log.read(1, 3)
    assert batch is not None
    assert batch.offsets == range(1, 4)
    assert batch.next_offset == 4


def test_headers_are_a_column_only_where_a_record_has_some() -> None:
    log = new_log()
    put(log, (b"a", b"1"))
    log.append([b"b"], [b"2"], [0], [(("h", b"x"),)], 0)
    put(log, (b"c", b"3"))
    assert [batch.headers for offset in range(3) if (batch := log.read(offset, 1))] == [None, [(("h", b"x"),)], None]
    whole = log.read(0, 3)
    assert whole is not None
    assert whole.headers == [(), (("h", b"x"),), ()]
    log.append([b"d"], [b"4"], [0], [(("h", b"y"),)], 0)
    last = log.read(3, 1)
    assert last is not None
    assert last.headers == [(("h", b"y"),)]


def test_log_append_time_replaces_the_timestamps() -> None:
    log = new_log(message_timestamp_type="LogAppendTime")
    log.append([None], [b"v"], [5], None, 77)
    batch = log.read(0, 1)
    assert batch is not None
    assert batch.timestamps == [77]


@pytest.mark.parametrize("headers", [None, [(), (("big", b"x" * 60),)]])
def test_one_record_too_large_refuses_the_whole_call(headers: list[tuple[tuple[str, bytes], ...]] | None) -> None:
    log = new_log(max_message_bytes="50")
    value = b"v" if headers else b"v" * 60
    with pytest.raises(ProduceError, match=r"number 1 .* max.message.bytes of 50"):
        log.append([b"a", b"b"], [b"v", value], [0, 0], headers, 0)
    assert log.end == 0
    put(log, *[(b"key", b"x" * 40) for _ in range(10)])
    assert len(log) == 10


def test_retention_by_time_stops_at_the_first_young_record() -> None:
    log = new_log(retention_ms="100")
    for stamp in (10, 20, 950, 30):
        log.append([None], [b"%d" % stamp], [stamp], None, stamp)
    log.retain(1_000)
    assert (log.begin, contents(log)) == (2, [(2, None, b"950"), (3, None, b"30")])
    log.retain(10_000)
    assert (log.begin, log.end, len(log)) == (4, 4, 0)


def test_retention_by_size_keeps_at_least_the_given_bytes() -> None:
    log = new_log(retention_bytes="25")
    put(log, *[(None, b"x" * 10) for _ in range(2)])
    log.retain(0)
    assert log.begin == 0
    put(log, *[(None, b"x" * 10) for _ in range(4)])
    log.retain(0)
    assert log.begin == 3
    log.retain(0)
    assert log.begin == 3


def test_no_retention_limit_keeps_everything() -> None:
    log = new_log(retention_ms="-1")
    put(log, (None, b"old"))
    log.clean(10**15)
    assert len(log) == 1


def test_compaction_keeps_the_last_record_of_each_key_at_its_offset() -> None:
    log = new_log(cleanup_policy="compact")
    put(log, (b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", b"1"))
    log.clean(0)
    put(log, (b"b", b"2"), (b"d", b"1"))
    assert contents(log) == [(1, b"b", b"1"), (2, b"a", b"2"), (3, b"c", b"1"), (4, b"b", b"2"), (5, b"d", b"1")]
    log.clean(0)
    assert contents(log) == [(2, b"a", b"2"), (3, b"c", b"1"), (4, b"b", b"2"), (5, b"d", b"1")]
    assert (log.begin, log.end) == (0, 6)


def test_compaction_can_leave_the_newest_records_as_they_are() -> None:
    log = new_log(cleanup_policy="compact")
    put(log, (b"a", b"1"), (b"a", b"2"), (b"b", b"1"), (b"a", b"3"))
    log.compact(0, below=-5)
    log.compact(0, below=3)
    assert contents(log) == [(1, b"a", b"2"), (2, b"b", b"1"), (3, b"a", b"3")]
    log.compact(0, below=1)
    assert len(contents(log)) == 3
    log.compact(0)
    assert contents(log) == [(2, b"b", b"1"), (3, b"a", b"3")]


def test_compaction_keeps_headers_and_timestamps_with_their_records() -> None:
    log = new_log(cleanup_policy="compact")
    log.append([b"a", b"a", b"b"], [b"1", b"2", b"3"], [1, 2, 3], [(), (("h", b"x"),), ()], 0)
    log.compact(0)
    batch = log.read(0, 9)
    assert batch is not None
    assert (batch.timestamps, batch.headers, list(batch.offsets)) == ([2, 3], [(("h", b"x"),), ()], [1, 2])


def test_a_tombstone_goes_only_after_its_time_and_the_position_moves_over_it() -> None:
    log = new_log(cleanup_policy="compact", delete_retention_ms="100")
    put(log, (b"a", b"1"), (b"b", b"1"), (b"a", None))
    log.compact(1_000)
    assert contents(log) == [(1, b"b", b"1"), (2, b"a", None)]
    log.compact(1_099)
    assert contents(log) == [(1, b"b", b"1"), (2, b"a", None)]
    log.compact(1_100)
    assert contents(log) == [(1, b"b", b"1")]
    assert log.end == 3
    tail = log.read(2, 5)
    assert tail is not None
    assert (len(tail), tail.next_offset) == (0, 3)


def test_a_long_dirty_tail_is_compacted_by_the_append(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "DIRTY_RECORDS", 10)
    log = new_log(cleanup_policy="compact")
    for number in range(25):
        put(log, (b"k", b"%d" % number))
    assert len(log) < 15
    assert contents(log)[-1] == (24, b"k", b"24")


def test_deleting_records_of_a_topic_that_only_compacts_is_refused() -> None:
    log = new_log(cleanup_policy="compact")
    put(log, (b"a", b"1"))
    with pytest.raises(TransportError, match="cleanup"):
        log.delete_before(1)


def test_deleting_up_to_a_place_beyond_the_end_is_refused() -> None:
    log = new_log()
    put(log, (b"a", b"1"))
    log.delete_before(0)
    with pytest.raises(OffsetOutOfRange):
        log.delete_before(2)
    log.delete_before(1)
    assert (log.begin, log.end) == (1, 1)


def test_watchers_are_told_of_each_append_until_they_stop() -> None:
    log, calls = new_log(), list[int]()

    def seen() -> None:
        calls.append(log.end)

    log.watch(seen)
    put(log, (b"a", b"1"), (b"a", b"2"))
    log.unwatch(seen)
    log.unwatch(seen)
    put(log, (b"a", b"3"))
    assert calls == [2]


@dataclass
class Model:
    """A log as it is told in the documentation: a list of (offset, key, value)."""

    begin: int = 0
    end: int = 0
    rows: list[tuple[int, bytes | None, bytes | None]] = field(default_factory=list)

    def append(self, pairs: list[tuple[bytes, bytes]]) -> None:
        for key, value in pairs:
            self.rows.append((self.end, key, value))
            self.end += 1

    def compact(self) -> None:
        last = {key: offset for offset, key, _ in self.rows}
        self.rows = [row for row in self.rows if last[row[1]] == row[0]]

    def delete_before(self, offset: int) -> None:
        self.begin = max(self.begin, offset)
        self.rows = [row for row in self.rows if row[0] >= self.begin]


pairs = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.binary(max_size=2)), min_size=1, max_size=8)
steps = st.lists(
    st.one_of(
        pairs.map(lambda given: ("append", given)),
        st.just(("compact", [])),
        st.integers(0, 100).map(lambda percent: ("delete", percent)),
    ),
    max_size=12,
)


@given(steps=steps, limit=st.integers(1, 5))
def test_a_log_equals_its_model_at_every_position(steps: list[tuple[str, object]], limit: int) -> None:
    log, model = new_log(cleanup_policy="compact,delete", retention_ms="-1"), Model()
    for step, argument in steps:
        if isinstance(argument, int):
            offset = model.begin + (model.end - model.begin) * argument // 100
            log.delete_before(offset)
            model.delete_before(offset)
        elif step == "compact":
            log.clean(0)
            model.compact()
        elif isinstance(argument, list):
            put(log, *argument)
            model.append(argument)
        assert (log.begin, log.end) == (model.begin, model.end)
        assert contents(log, limit) == model.rows
    for position in range(model.begin, model.end):
        batch = log.read(position, 1)
        assert batch is not None
        found = list(zip(batch.offsets, batch.keys, batch.values, strict=True))
        assert found == [row for row in model.rows if row[0] >= position][:1]
    for outside in (model.begin - 1, model.end + 1):
        with pytest.raises(OffsetOutOfRange, match="t-0"):
            log.read(outside, 1)
