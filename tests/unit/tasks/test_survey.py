"""What counts of what stands in changelogs behind a commit, and what is left out."""

from collections.abc import Sequence
from dataclasses import replace

from streamz_actors.tasks.coverage import Coverage, headers
from streamz_actors.tasks.survey import Tail, Verdict, follow, judge
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import Headers, TopicPartition

IN = TopicPartition("in", 0)
A, B = "a", "b"


def flush(name: str, since: int | None, until: int, stores: tuple[str, ...] = (A, B), rows: int = 3) -> Coverage:
    return Coverage(name, stores, {IN: until}, {} if since is None else {IN: since}, rows)


def records(coverage: Coverage, rows: int | None = None) -> list[Headers]:
    """The headers of a flush's records, of its first `rows` if only those have come."""
    opens, closes = headers(coverage)
    column: list[Headers] = [()] * coverage.rows
    column[0] += opens
    column[-1] += closes
    return column[:rows]


def tail(*parts: Sequence[Headers], begin: int = 10) -> Tail:
    column = [told for part in parts for told in part]
    found = Tail(begin, begin + len(column))
    found.add(raw(column, begin))
    return found


def raw(column: list[Headers], begin: int) -> RawBatch:
    size = len(column)
    keys: list[bytes | None] = [b"%d" % (begin + row) for row in range(size)]
    return RawBatch(A, 0, keys, [b""] * size, [0] * size, range(begin, begin + size), column, begin + size)


def verdict(a: Tail, b: Tail, at: int | None = 5) -> Verdict:
    return judge({A: a, B: b}, {} if at is None else {IN: at}, counts=True)


def test_a_flush_that_is_whole_in_all_its_changelogs_counts() -> None:
    found = verdict(tail(records(flush("x", 5, 9))), tail(records(flush("x", 5, 9))))
    assert (found.covered, found.left_out) == ({IN: 9}, {})


def test_one_that_is_missing_in_one_of_them_is_left_out_and_its_keys_are_known() -> None:
    found = verdict(tail(records(flush("x", 5, 9))), tail())
    assert (found.covered, found.left_out) == ({IN: 5}, {A: [range(10, 13)]})
    assert found.keys == {A: dict.fromkeys([b"10", b"11", b"12"], 0)}


def test_one_that_has_come_in_part_is_left_out_everywhere() -> None:
    found = verdict(tail(records(flush("x", 5, 9))), tail(records(flush("x", 5, 9), 2)))
    assert (found.covered, found.left_out) == ({IN: 5}, {A: [range(10, 13)], B: [range(10, 12)]})


def test_one_that_another_table_has_no_part_in_needs_it_not() -> None:
    found = verdict(tail(records(flush("x", 5, 9, (A,)))), tail())
    assert (found.covered, found.left_out) == ({IN: 9}, {})


def test_what_is_no_part_of_a_flush_counts_where_there_is_no_part_of_one() -> None:
    good = records(flush("x", 5, 9))
    found = verdict(tail([()] * 4, good, [()]), tail(good, begin=0))
    assert (found.covered, found.left_out) == ({IN: 9}, {})
    found = verdict(tail([()] * 4), tail([()], records(flush("x", 5, 9), 1), begin=0))
    assert (found.covered, found.left_out) == ({IN: 5}, {B: [range(2)]})


def test_whole_flushes_stand_between_parts_of_others() -> None:
    broken, good = flush("x", 5, 9), flush("y", 5, 7)
    found = verdict(tail(records(broken, 2), records(good), records(broken)[2:]), tail(records(good)))
    assert (found.covered, found.left_out) == ({IN: 7}, {A: [range(10, 12), range(15, 16)]})


def test_of_two_workers_that_do_not_know_of_one_another_the_first_counts() -> None:
    """One at 5 that has worked ahead of its offsets, one that has got to 9: their states are not of one another."""
    here, there = replace(flush("x", 5, 9, (A,)), at=10), replace(flush("y", 5, 5, (A,)), at=10)
    found = verdict(tail(records(here), records(there)), tail())
    assert (found.covered, found.left_out) == ({IN: 9}, {A: [range(13, 16)]})
    found = verdict(tail(records(there), records(here)), tail())
    assert (found.covered, found.left_out) == ({IN: 5}, {A: [range(13, 16)]})
    after = replace(there, at=13)
    found = verdict(tail(records(here), records(replace(after, since={IN: 9}, offsets={IN: 11}))), tail())
    assert (found.covered, found.left_out) == ({IN: 11}, {})


def test_of_two_workers_none_counts_where_each_was_the_first_somewhere() -> None:
    one, other = flush("x", 5, 9), flush("y", 5, 7)
    a = tail(records(replace(one, at=10)), records(replace(other, at=10)))
    b = tail(records(replace(other, at=10)), records(replace(one, at=10)))
    found = verdict(a, b)
    assert found.covered == {IN: 5}
    assert sum(map(len, found.left_out[A])) == sum(map(len, found.left_out[B])) == 6


def test_flushes_that_came_into_one_another_are_left_out() -> None:
    one, other = records(flush("x", 5, 9)), records(flush("y", 5, 7))
    mixed = [row for pair in zip(one, other, strict=True) for row in pair]
    found = verdict(tail(mixed), tail(one, other))
    assert (found.covered, found.left_out) == ({IN: 5}, {A: [range(10, 16)], B: [range(10, 13), range(13, 16)]})


def test_flushes_that_go_on_from_one_another_all_count() -> None:
    both = [*records(flush("x", 5, 9)), *records(flush("y", 9, 12))]
    assert verdict(tail(both), tail(both)).covered == {IN: 12}


def test_of_two_from_the_same_place_the_one_that_goes_further_counts() -> None:
    both = [*records(flush("x", 5, 9)), *records(flush("y", 5, 12))]
    found = verdict(tail(both), tail(both))
    assert (found.covered, found.left_out) == ({IN: 12}, {A: [range(10, 13)], B: [range(10, 13)]})


def test_one_of_a_worker_that_stood_still_is_left_out_as_the_group_has_gone_on() -> None:
    late = records(flush("x", 3, 9))
    found = verdict(tail(late), tail(late))
    assert (found.covered, found.left_out) == ({IN: 5}, {A: [range(10, 13)], B: [range(10, 13)]})


def test_what_timers_wrote_counts_with_what_came_of_records_behind_it() -> None:
    both = [*records(flush("x", 5, 5)), *records(flush("y", 5, 9))]
    found = verdict(tail(both), tail(both))
    assert (found.covered, found.left_out) == ({IN: 9}, {})


def test_nothing_counts_where_state_is_kept_that_no_changelog_holds() -> None:
    found = judge({A: tail(records(flush("x", 5, 9, (A,))))}, {IN: 5}, counts=False)
    assert (found.covered, found.left_out) == ({IN: 5}, {A: [range(10, 13)]})


def test_a_topic_of_which_nothing_was_committed_is_the_same_as_one_of_which_nothing_is() -> None:
    first = records(flush("x", None, 9))
    assert verdict(tail(first), tail(first), at=None).covered == {IN: 9}
    assert verdict(tail(first), tail(first), at=0).covered == {IN: 0}


def test_following_ends_however_often_a_place_is_come_to() -> None:
    flushes = [flush(f"x{number}", 5, 5) for number in range(5)]
    assert [chosen.id for chosen in follow(flushes, {IN: 5})] == ["x0", "x1", "x2", "x3", "x4"]


def test_a_tail_is_read_in_pieces_and_no_further_than_its_end() -> None:
    column = [*records(flush("x", 5, 9, rows=5)), *records(flush("y", 9, 11))]
    whole, pieces = Tail(10, 15), Tail(10, 15)
    whole.add(raw(column, 10))
    for start in range(0, len(column), 2):
        pieces.add(raw(column[start : start + 2], 10 + start))
    assert whole.whole() == pieces.whole() == {"x": range(10, 15)}
    assert whole.keys_in(range(11, 14)) == pieces.keys_in(range(11, 14)) == dict.fromkeys([b"11", b"12", b"13"], 0)


def test_the_end_of_a_flush_that_began_before_others_went_on_is_left_out() -> None:
    late, good = flush("x", 3, 9, rows=6), flush("y", 5, 7)
    found = verdict(tail(records(late)[4:], records(good), begin=20), tail(records(good)))
    assert (found.covered, found.left_out) == ({IN: 7}, {A: [range(20, 22)]})
    found = verdict(tail(records(good), records(late)[4:]), tail(records(good)))
    assert (found.covered, found.left_out) == ({IN: 7}, {A: [range(13, 15)]})
