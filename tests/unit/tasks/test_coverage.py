"""Marks on changelog records and notes beside offsets: written, read, and left alone where they are not ours."""

import pytest

from streamz_actors.tasks.coverage import (
    CLOSES,
    LONGEST,
    OPENS,
    Coverage,
    Note,
    coverages,
    headers,
    openings,
    read_note,
)
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import Headers, TopicPartition

SINCE, UNTIL = {TopicPartition("in", 3): 5}, {TopicPartition("in", 3): 9, TopicPartition("other", 3): 1}
COVERAGE = Coverage("w-1", ("a-changelog", "b-changelog"), UNTIL, SINCE, 4, 70)


def batch(given: list[Headers] | None) -> RawBatch:
    size = 3 if given is None else len(given)
    return RawBatch("a-changelog", 3, [b"k"] * size, [b"v"] * size, [0] * size, range(size), given, size)


def test_a_flush_says_what_it_covers_in_its_first_and_its_last_record() -> None:
    opens, closes = headers(COVERAGE)
    raw = batch([opens, (), closes])
    assert list(openings(raw)) == [(0, COVERAGE)]
    assert list(coverages(raw)) == [(2, COVERAGE)]


def test_a_flush_of_one_record_opens_and_closes_with_it() -> None:
    opens, closes = headers(COVERAGE)
    raw = batch([opens + closes])
    assert list(openings(raw)) == list(coverages(raw)) == [(0, COVERAGE)]


def test_records_without_headers_say_nothing() -> None:
    assert not list(openings(batch(None)))
    assert not list(coverages(batch(None)))


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b"3", b'{"id": "w", "stores": 3}'])
def test_what_no_release_of_this_format_wrote_is_a_header_like_any_other(content: bytes) -> None:
    raw = batch([((OPENS, content), (CLOSES, content), ("mine", b"1"))])
    assert not list(openings(raw))
    assert not list(coverages(raw))


def test_a_note_says_where_changelogs_ended_and_for_which_offsets() -> None:
    note = Note({"in": 9}, {"a-changelog": 7, "b-changelog": 0})
    assert read_note(note.write()) == note


@pytest.mark.parametrize("text", ["", "mine", "[]", "{}", "1", '{"at": {"in": "x"}, "ends": {}}', '{"at": 1}'])
def test_somebody_elses_note_is_none(text: str) -> None:
    assert read_note(text) is None


def test_a_note_that_is_longer_than_brokers_take_is_not_kept() -> None:
    assert Note({"in": 9}, {f"changelog-{number}": 7 for number in range(LONGEST // 10)}).write() == ""
