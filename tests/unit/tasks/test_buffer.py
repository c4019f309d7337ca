"""The order in which a task takes what has arrived, and how far it may go."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.dataflow.batch import Batch
from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import schema_for
from streamz_actors.tasks.buffer import Buffer, Idle, Opened, Poison
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import TopicPartition

A, B, C = (TopicPartition(name, 0) for name in "abc")
TEXT = schema_for(str, "str")


def raw(place: TopicPartition, timestamps: Sequence[int], start: int = 0) -> RawBatch:
    count = len(timestamps)
    values: list[bytes | None] = [f"{place.topic}{start + row}".encode() for row in range(count)]
    return RawBatch(
        place.topic,
        place.partition,
        [None] * count,
        values,
        list(timestamps),
        range(start, start + count),
        None,
        start + count,
    )


def open_plain(place: TopicPartition, batch: RawBatch) -> Opened:
    return Batch.from_raw(batch, TEXT, TEXT), None


def drained(buffer: Buffer, limit: int = 1_000) -> list[str]:
    order: list[str] = []
    while (run := buffer.next_run(limit)) is not None:
        order.extend(run.batch.values)
    return order


def test_a_single_partition_is_one_run() -> None:
    buffer = Buffer([A], open_plain)
    buffer.add(raw(A, [5, 3, 9]))
    run = buffer.next_run(100)
    assert run is not None
    assert run.batch.values == ["a0", "a1", "a2"]
    assert run.position == 3
    assert buffer.count == 0


def test_nothing_is_chosen_while_a_partition_without_records_is_known_to_have_more_or_not_known_at_all() -> None:
    lag: dict[TopicPartition, int | None] = {A: 0, B: None}
    buffer = Buffer([A, B], open_plain, lambda place: lag[place])
    buffer.add(raw(A, [1, 2]))
    assert buffer.next_run(10) is None
    assert buffer.awaited() == {B}
    lag[B] = 3
    assert buffer.next_run(10) is None
    buffer.add(raw(B, [0]))
    lag[B] = 2
    assert drained(buffer) == ["b0"]
    lag[B] = 0
    assert drained(buffer) == ["a0", "a1"]
    assert buffer.awaited() == frozenset()


def test_a_task_of_one_partition_waits_for_nothing() -> None:
    buffer = Buffer([A], open_plain, lambda place: None)
    buffer.add(raw(A, [1]))
    assert buffer.awaited() == frozenset()
    assert drained(buffer) == ["a0"]


def test_the_lowest_head_goes_first_and_a_run_ends_where_another_head_is_lower() -> None:
    buffer = Buffer([A, B], open_plain)
    buffer.add(raw(A, [1, 2, 6, 7]))
    buffer.add(raw(B, [3, 4, 8]))
    assert drained(buffer) == ["a0", "a1", "b0", "b1", "a2", "a3", "b2"]


def test_equal_timestamps_go_by_topic() -> None:
    buffer = Buffer([B, A, C], open_plain)
    for place in (C, B, A):
        buffer.add(raw(place, [5, 5]))
    assert drained(buffer) == ["a0", "a1", "b0", "b1", "c0", "c1"]


def test_a_run_is_bounded_and_its_position_is_the_next_record() -> None:
    buffer = Buffer([A], open_plain)
    buffer.add(raw(A, [1, 2, 3], start=10))
    run = buffer.next_run(2)
    assert run is not None
    assert (len(run.batch), run.position, buffer.count) == (2, 12, 1)


def test_an_empty_batch_moves_the_position() -> None:
    buffer = Buffer([A], open_plain)
    buffer.add(RawBatch("a", 0, [], [], [], range(0), None, 17))
    run = buffer.next_run(10)
    assert run is not None
    assert (len(run.batch), run.position) == (0, 17)
    assert buffer.next_run(10) is None


def test_a_poisoned_record_comes_after_those_before_it_and_is_where_the_position_stays() -> None:
    def open_poisoned(place: TopicPartition, batch: RawBatch) -> Opened:
        return Batch.from_raw(batch, TEXT, TEXT).slice(0, 2), Poison(DecodeError("bad"), 2)

    buffer = Buffer([A], open_poisoned)
    buffer.add(raw(A, [1, 2, 3, 4]))
    run = buffer.next_run(10)
    assert run is not None
    assert run.poison is not None
    assert (len(run.batch), run.position) == (2, 2)


def test_clearing_forgets_everything() -> None:
    buffer = Buffer([A], open_plain)
    buffer.add(raw(A, [1, 2]))
    buffer.next_run(1)
    buffer.clear()
    assert buffer.next_run(10) is None
    assert buffer.count == 0


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), min_size=1, max_size=4), st.integers(1, 5))
def test_runs_give_the_same_order_as_choosing_the_lowest_head_for_every_record(
    partitions: list[list[int]], limit: int
) -> None:
    places = [TopicPartition(f"t{number}", 0) for number in range(len(partitions))]
    buffer = Buffer(places, open_plain)
    heads = {place: list(enumerate(timestamps)) for place, timestamps in zip(places, partitions, strict=True)}
    for place, timestamps in zip(places, partitions, strict=True):
        if timestamps:
            buffer.add(raw(place, timestamps))
    expected = []
    while any(heads.values()):
        place = min((place for place in places if heads[place]), key=lambda place: (heads[place][0][1], place))
        expected.append(f"{place.topic}{heads[place].pop(0)[0]}")
    assert drained(buffer, limit) == expected


@pytest.mark.parametrize("limit", [1, 3])
def test_several_batches_of_one_partition_keep_their_order(limit: int) -> None:
    buffer = Buffer([A], open_plain)
    buffer.add(raw(A, [9, 8]))
    buffer.add(raw(A, [1], start=2))
    assert drained(buffer, limit) == ["a0", "a1", "a2"]


def test_a_partition_that_is_waited_for_only_in_case_is_waited_for_until_its_time_is_up() -> None:
    now = 10.0
    lag: dict[TopicPartition, int | None] = {A: 0, B: 0}
    buffer = Buffer([A, B], open_plain, lambda place: lag[place], Idle(2.0, lambda: now))
    assert buffer.idles is None
    buffer.add(raw(A, [5, 6]))
    assert buffer.next_run(10) is None
    assert buffer.idles == pytest.approx(2.0)
    now = 11.5
    assert buffer.next_run(10) is None
    assert buffer.idles == pytest.approx(0.5)
    lag[B] = 1
    assert buffer.next_run(10) is None
    assert buffer.idles is None
    lag[B] = 0
    now = 12.0
    assert drained(buffer) == ["a0", "a1"]
    buffer.add(raw(A, [7], start=2))
    assert drained(buffer) == ["a2"], "it has been waited for"
    buffer.add(raw(B, [8]))
    assert buffer.next_run(10) is None, "A has its own time to come"
    now = 14.0
    assert drained(buffer) == ["b0"]
    buffer.add(raw(A, [9], start=3))
    assert buffer.next_run(10) is None
    assert buffer.idles == pytest.approx(2.0)


def test_below_zero_nothing_is_waited_for() -> None:
    buffer = Buffer([A, B], open_plain, lambda place: None, Idle(-1.0))
    buffer.add(raw(A, [5]))
    assert drained(buffer) == ["a0"]


def test_a_run_ends_before_the_first_record_beyond_the_bound() -> None:
    buffer = Buffer([A], open_plain)
    buffer.add(raw(A, [5, 20, 7, 21, 3]))
    buffer.bound = 20
    assert not buffer.held
    assert drained(buffer) == ["a0", "a1", "a2"]
    assert buffer.held
    assert buffer.count == 2
    buffer.bound = 21
    assert drained(buffer) == ["a3", "a4"], "what comes behind a late record is not looked at before it"


def test_of_several_partitions_those_go_on_whose_heads_are_within_the_bound() -> None:
    buffer = Buffer([A, B], open_plain)
    buffer.add(raw(A, [1, 4, 9]))
    buffer.add(raw(B, [2, 3, 8]))
    buffer.bound = 8
    assert drained(buffer) == ["a0", "b0", "b1", "a1", "b2"]
    buffer.bound = 9
    assert drained(buffer) == ["a2"]


def test_while_nobody_knows_how_far_it_may_go_nothing_is_taken_and_that_is_not_being_held() -> None:
    buffer = Buffer([A], open_plain)
    buffer.add(raw(A, [1]))
    buffer.bound = -math.inf
    assert buffer.next_run(10) is None
    assert not buffer.held


def test_what_has_no_record_left_is_taken_whatever_the_bound() -> None:
    buffer = Buffer([A], open_plain)
    buffer.add(RawBatch("a", 0, [], [], [], range(0), None, 17))
    buffer.bound = -math.inf
    assert buffer.head_time() == -math.inf, "what comes behind may be earlier than all"
    run = buffer.next_run(10)
    assert run is not None
    assert run.position == 17
    assert buffer.head_time() == math.inf


def test_where_it_stands_is_the_lowest_head_unless_more_may_be_on_its_way() -> None:
    lag: dict[TopicPartition, int | None] = {A: 0, B: 0}
    buffer = Buffer([A, B], open_plain, lambda place: lag[place])
    assert buffer.head_time() == math.inf
    lag[A] = None
    assert buffer.head_time() == -math.inf
    buffer.add(raw(A, [7, 3]))
    assert buffer.head_time() == 7
    lag[B] = 2
    assert buffer.head_time() == -math.inf
    buffer.add(raw(B, [4]))
    assert buffer.head_time() == 4


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), min_size=1, max_size=3), st.lists(st.integers(0, 30)))
def test_bounds_that_move_change_no_order_and_keep_back_what_is_beyond_them(
    partitions: list[list[int]], bounds: list[int]
) -> None:
    places = [TopicPartition(f"t{number}", 0) for number in range(len(partitions))]
    bounded, free = Buffer(places, open_plain), Buffer(places, open_plain)
    for place, timestamps in zip(places, partitions, strict=True):
        for buffer in (bounded, free) if timestamps else ():
            buffer.add(raw(place, timestamps))
    order: list[str] = []
    for bound in bounds:
        bounded.bound = bound
        while (run := bounded.next_run(1_000)) is not None:
            assert max(run.batch.timestamps) <= bound
            order.extend(run.batch.values)
        assert bounded.head_time() > bound
    bounded.bound = math.inf
    assert order + drained(bounded) == drained(free)
