"""Columns of raw batches: offsets, gaps, headers, positions inside a batch, control records, aborted transactions."""

import gc
import struct
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.transport.abc import RawBatch
from streamz_actors.transport.kafka.records import Fetched, Response
from streamz_actors.types import TopicPartition

PARTITION = TopicPartition("orders", 3)
Written = list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]


def batch(first: int, records: Written, compression: int = 0, transactional: bool = False, producer: int = -1) -> bytes:
    """A record batch with the first offset `first`; a record's own offset is relative to it, its timestamp 1000 on."""
    builder = DefaultRecordBatchBuilder(2, compression, int(transactional), producer, 0, 0, 1 << 20)
    for offset, key, value, headers in records:
        assert builder.append(offset, 1_000 + offset, key, value, headers) is not None
    built = bytearray(builder.build())
    struct.pack_into(">q", built, 0, first)  # outside the checksum
    return bytes(built)


def plain(count: int) -> Written:
    return [(n, b"k%d" % n, b"v%d" % n, []) for n in range(count)]


def foreign(data: bytes, position: int = 0, isolation: int = READ_UNCOMMITTED, aborted: Any = None) -> Any:
    return PartitionRecords(PARTITION, Fetched(data), aborted, position, None, None, True, isolation)


def response(data: bytes, position: int = 0, isolation: int = READ_UNCOMMITTED, aborted: Any = None) -> Response:
    return Response(PARTITION, foreign(data, position, isolation, aborted))


def test_batches_become_columns_with_a_range_of_offsets() -> None:
    read = response(batch(10, plain(3)) + batch(13, plain(2))).take(100)
    assert read == RawBatch(
        "orders",
        3,
        [b"k0", b"k1", b"k2", b"k0", b"k1"],
        [b"v0", b"v1", b"v2", b"v0", b"v1"],
        [1000, 1001, 1002, 1000, 1001],
        range(10, 15),
        None,
        15,
    )


def test_gaps_that_compaction_left_are_kept() -> None:
    read = response(batch(0, [(1, b"a", b"1", []), (4, b"b", None, [])])).take(100)
    assert read.offsets == [1, 4]
    assert read.next_offset == 5


def test_only_records_with_headers_fill_the_column() -> None:
    records: Written = [(0, b"a", b"1", []), (1, b"b", b"2", [("x", b"1"), ("x", None)])]
    read = response(batch(0, records)).take(100)
    assert read.headers == [(), (("x", b"1"), ("x", b""))]


@pytest.mark.parametrize("position", [0, 1, 3, 5])
def test_what_lies_before_the_position_is_left_out(position: int) -> None:
    headers: Written = [(n, b"k%d" % n, None, [("n", b"%d" % n)]) for n in range(5)]
    read = response(batch(0, headers), position).take(100)
    assert list(read.offsets) == list(range(position, 5))
    assert read.keys == [b"k%d" % n for n in range(position, 5)]
    assert read.headers == ([(("n", b"%d" % n),) for n in range(position, 5)] or None)
    assert read.next_offset == 5


def test_a_run_ends_with_a_whole_batch() -> None:
    waiting = response(batch(0, plain(5)) + batch(5, plain(5)) + batch(10, plain(5)))
    assert waiting.end == 15
    assert [(len(waiting.take(6)), waiting.empty), (len(waiting.take(6)), waiting.empty)] == [(10, False), (5, True)]


@pytest.mark.parametrize("implementation", ["c", "python"])
def test_a_wrong_checksum_is_noticed(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google_crc32c.implementation", implementation)
    whole = batch(0, plain(3))
    damaged = bytearray(whole + batch(3, plain(5)))
    damaged[-1] ^= 1
    waiting = response(bytes(damaged))
    assert len(waiting.take(1)) == 3
    with pytest.raises(CorruptRecordException):
        waiting.take(1)


def test_aborted_batches_only_move_the_position_for_a_committed_reader() -> None:
    data = batch(0, plain(2), transactional=True, producer=7) + batch(2, plain(2))
    assert len(response(data).take(100)) == 4
    read = response(data, 0, READ_COMMITTED, [(7, 0)]).take(100)
    assert (list(read.offsets), read.next_offset) == ([2, 3], 4)
    nothing = response(batch(0, plain(2), transactional=True, producer=7), 0, READ_COMMITTED, [(7, 0)]).take(100)
    assert (len(nothing), nothing.next_offset) == (0, 2)


def rows(read: Sequence[Any]) -> list[Any]:
    return [(r.offset, r.timestamp, r.key, r.value, tuple((k, v or b"") for k, v in r.headers)) for r in read]


@given(
    sizes=st.lists(st.integers(min_value=1, max_value=20), min_size=1, max_size=6),
    start=st.integers(min_value=0, max_value=40),
    run=st.integers(min_value=1, max_value=30),
    compression=st.integers(min_value=0, max_value=4),
    gap=st.integers(min_value=0, max_value=3),
)
def test_all_is_as_aiokafka_reads_it(sizes: list[int], start: int, run: int, compression: int, gap: int) -> None:
    data, first = b"", 0
    for size in sizes:
        records: Written = [(n * (gap + 1), b"%d" % n, b"v" * n, [("h", b"1")] * (n % 3)) for n in range(size)]
        data += batch(first, records, compression)
        first += (size - 1) * (gap + 1) + 1
    start = min(start, first - 1)
    stock = foreign(data, start)
    expected = rows(list(stock))
    waiting, found = response(data, start), []
    while not waiting.empty:
        read = waiting.take(run)
        headers = read.headers or [()] * len(read)
        found += list(zip(read.offsets, read.timestamps, read.keys, read.values, headers, strict=True))
    assert found == expected
    assert waiting.end == stock.next_fetch_offset


def test_a_response_is_gone_when_it_is_let_go() -> None:
    """Its megabyte must not wait for the garbage collector, which has little to collect here and so comes seldom."""
    records = foreign(batch(0, plain(3)))
    waiting, alive = Response(PARTITION, records), weakref.ref(records)
    waiting.take(100)
    gc.disable()
    try:
        del records, waiting
        assert alive() is None
    finally:
        gc.enable()
