"""Everything that leaves: by partition, once a turn, with every delivery checked."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import ProduceError, StreamzError, TopologyError
from streamz_actors.serde.windowed import bounds
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.transport.abc import Delivery, Producer
from streamz_actors.types import Headers, TopicPartition, partition_of

COUNTS = {"one": 1, "three": 3}


class Sent(Producer):
    """Keeps what it is given; the test delivers, refuses or cancels it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, list[bytes | None], list[Headers] | None]] = []
        self.futures: list[asyncio.Future[Delivery]] = []

    async def start(self) -> None: ...

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> "asyncio.Future[Delivery]":
        assert len(keys) == len(values) == len(timestamps) > 0
        self.calls.append((topic, partition, list(values), None if headers is None else list(headers)))
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]

    @property
    def pending(self) -> int:
        return 0

    async def flush(self) -> None: ...

    async def stop(self) -> None: ...

    def deliver(self, index: int = -1) -> None:
        topic, partition, values, _ = self.calls[index]
        self.futures[index].set_result(Delivery(topic, partition, ((0, len(values)),)))


def collecting() -> tuple[Sent, RecordCollector, list[StreamzError]]:
    sent, failures = Sent(), list[StreamzError]()
    return sent, RecordCollector(sent, COUNTS, failures.append), failures


async def test_what_is_added_in_one_turn_leaves_as_one_batch_for_each_partition() -> None:
    sent, collector, _ = collecting()
    collector.add("one", [b"a"], [b"1"], [0])
    collector.add("one", [b"b"], [b"2"], [0])
    future = collector.send("one", None, b"3", 7)
    assert sent.calls == []
    assert not collector.idle
    await asyncio.sleep(0)
    assert sent.calls == [("one", 0, [b"1", b"2", b"3"], None)]
    assert collector.outstanding == 3
    sent.deliver()
    metadata = await future
    assert (metadata.offset, metadata.timestamp) == (2, 7)
    assert collector.idle
    assert collector.sent == {"one": 3}


async def test_headers_of_some_rows_leave_the_others_without() -> None:
    sent, collector, _ = collecting()
    collector.add("one", [b"a"], [b"1"], [0])
    collector.send("one", b"b", b"2", 0, (("h", b"x"),))
    collector.add("one", [b"c"], [b"3"], [0])
    collector.add("three", [b"a", b"a"], [b"4", b"5"], [0, 0], [(("h", b"y"),), ()])
    collector.flush()
    assert sent.calls[0] == ("one", 0, [b"1", b"2", b"3"], [(), (("h", b"x"),), ()])
    assert sent.calls[1][2:] == ([b"4", b"5"], [(("h", b"y"),), ()])


@given(st.lists(st.one_of(st.none(), st.binary(max_size=3)), max_size=50))
def test_every_row_goes_to_the_partition_of_its_key_in_order(keys: list[bytes | None]) -> None:
    async def run() -> None:
        sent, collector, _ = collecting()
        values: list[bytes | None] = [b"%d" % number for number in range(len(keys))]
        for start in range(0, len(keys), 7):
            rows = slice(start, start + 7)
            collector.add("three", keys[rows], values[rows], [0] * len(keys[rows]))
        collector.flush()
        found = {value: partition for _, partition, column, _ in sent.calls for value in column}
        assert sorted(found, key=repr) == sorted(values, key=repr)
        for key, value in zip(keys, values, strict=True):
            if key is not None:
                assert found[value] == partition_of(key, 3)
        for _, _, column, _ in sent.calls:
            numbers = [int(value or b"") for value in column]
            assert numbers == sorted(numbers)

    asyncio.run(run())


async def test_windowed_keys_go_where_their_keys_without_the_window_do() -> None:
    sent = Sent()
    collector = RecordCollector(sent, COUNTS, list[StreamzError]().append, windowed={"three"})
    keys = [f"key{number}".encode() + bounds(start, start + 10) for number in range(20) for start in (0, 10)]
    values: list[bytes | None] = [b"%d" % number for number in range(20) for _ in range(2)]
    collector.add("three", keys, values, [0] * 40)
    collector.send("three", keys[0], b"0", 0)
    collector.flush()
    found = {(value, partition) for _, partition, column, _ in sent.calls for value in column}
    assert found == {(b"%d" % number, partition_of(b"key%d" % number, 3)) for number in range(20)}


async def test_records_without_a_key_change_their_partition_from_turn_to_turn() -> None:
    sent, collector, _ = collecting()
    for _ in range(3):
        collector.send("three", None, b"x", 0)
        collector.flush()
    assert {partition for _, partition, _, _ in sent.calls} == {0, 1, 2}


async def test_a_place_that_does_not_exist_is_refused() -> None:
    _, collector, _ = collecting()
    with pytest.raises(TopologyError, match="'other' is not one of the application's"):
        collector.send("other", None, b"", 0)
    with pytest.raises(ProduceError, match="no partition 3"):
        collector.send("three", None, b"", 0, partition=3)
    collector.send("three", b"k", b"", 0, partition=2).cancel()


async def test_a_send_that_nobody_waits_for_fails_the_worker_once_and_every_drain() -> None:
    sent, collector, failures = collecting()
    for _ in range(2):
        collector.add("one", [b"a"], [b"1"], [0])
        collector.flush()
    for future in sent.futures:
        future.set_exception(ProduceError("refused"))
    for _ in range(2):
        with pytest.raises(ProduceError, match="refused"):
            await collector.drain()
    assert len(failures) == 1


async def test_a_send_that_somebody_waits_for_fails_there_only() -> None:
    sent, collector, failures = collecting()
    waiting, gone = collector.send("one", b"a", b"1", 0), collector.send("one", b"a", b"2", 0)
    gone.cancel()
    collector.flush()
    sent.futures[0].cancel()
    with pytest.raises(ProduceError, match="stopped"):
        await waiting
    await collector.drain()
    assert failures == []


async def test_a_drain_waits_for_what_was_added_before_it_and_for_nothing_after() -> None:
    sent, collector, _ = collecting()
    collector.add("one", [b"a"], [b"1"], [0])
    draining = asyncio.create_task(collector.drain())
    await asyncio.sleep(0)
    collector.add("one", [b"a"], [b"2"], [0])
    await asyncio.sleep(0)
    assert len(sent.calls) == 2
    assert not draining.done()
    sent.deliver(0)
    await draining
    assert collector.outstanding == 1


async def test_a_changelog_is_sent_at_once_and_is_its_callers_to_check() -> None:
    sent, collector, _ = collecting()
    future = collector.log(TopicPartition("one", 0), [b"a"], [b"1"], [0])
    assert len(sent.calls) == 1
    sent.deliver()
    assert (await future).next_offset == 1
    assert collector.idle


async def test_who_a_refused_row_came_from_is_told_of_their_row_and_no_one_else() -> None:
    sent, collector, failures = collecting()
    told: list[tuple[str, int]] = []

    def tell(name: str, row: int, error: ProduceError) -> None:
        told.append((name, row))

    keys = [b"%d" % number for number in range(30)]
    waiting = collector.send("three", keys[0], b"", 0)
    for name in ("first", "second"):
        collector.add("three", keys, keys, [0] * 30, None, partial(tell, name))
    collector.flush()
    mine = partition_of(keys[7], 3)
    (index,) = [number for number, call in enumerate(sent.calls) if call[1] == mine]
    values = sent.calls[index][2]
    rows = [row for row, value in enumerate(values) if value == keys[7]]
    runs = tuple((-1 if row in rows else row, 1) for row in range(len(values)))
    sent.futures[index].set_exception(ProduceError("refused", dict.fromkeys(rows, "bad"), runs))
    for number in {0, 1, 2} - {index}:
        sent.deliver(number)
    await collector.drain()
    assert told == [("first", 7), ("second", 7)]
    assert (await waiting).topic == "three"
    assert failures == []
