"""Spans in a store: how they are written, whose times are kept beside them, which keys are asked for ahead."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.stores.closing import Closing
from streamz_actors.stores.logged import NEVER, LoggedStore
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.segments import time_of
from streamz_actors.stores.spans import HEADS, Ahead, Span, SpanStore, pack_spans, unpack_spans

MINUTE = 60_000


class Place:
    """A store that outlives what is over it."""

    def __init__(self, value: Schema[Any], *, retention: int = 2 * MINUTE, writers: int = 1) -> None:
        self._store = MemoryBackend().open("task", {"t": "id"}).stores["t"]
        self._value, self._retention, self._writers = value, retention, writers
        self._schema = packed("test", lambda spans: pack_spans(spans, value.encode), unpack_spans)

    def open(self) -> SpanStore:
        schema, value = self._schema, self._value
        logged = LoggedStore(self._store, schema.encode, schema.encode_all, schema.decode, immutable=True)
        return SpanStore(
            logged, self._retention, value.encode, value.decode,
            immutable=value.immutable, integers=value.type is int, writers=self._writers,
        )  # fmt: skip


def commit(store: SpanStore) -> None:
    store.logged.apply(*store.logged.begin_flush(), None)
    store.logged.end_flush()


numbers = st.integers(-(2**62), 2**62)


@given(st.lists(st.tuples(numbers, numbers, st.integers(0, 99))))
def test_spans_come_back_with_their_values_as_bytes(rows: list[tuple[int, int, int]]) -> None:
    value = schema_for(int)
    spans: tuple[Span, ...] = tuple((start, mark, number, None) for start, mark, number in rows)
    back = unpack_spans(pack_spans(spans, value.encode))
    assert back == tuple((start, mark, None, value.encode(number)) for start, mark, number in rows)
    assert pack_spans(back, value.encode) == pack_spans(spans, value.encode)


def test_a_value_is_kept_as_an_object_if_nobody_can_change_it() -> None:
    store = Place(schema_for(int)).open()
    assert store.span(1, 2, 7) == (1, 2, 7, None)
    assert store.span(1, 2, 2**60) == (1, 2, 2**60, str(2**60).encode())
    lists = Place(schema_for(list[int])).open()
    span = lists.span(1, 2, [3])
    assert span == (1, 2, None, b"[3]")
    assert lists.value(span) == [3]
    assert lists.value(span) is not lists.value(span)


def test_none_deletes_and_what_is_not_there_is_nothing() -> None:
    store = Place(schema_for(int)).open()
    key = store.key(0, b"a")
    assert store.at(key) == ()
    store.put(key, (store.span(1, 2, 7),), 2)
    commit(store)
    store.put(key, (), 3)
    assert store.at(key) == ()
    assert list(store.every()) == []


def test_the_times_of_all_writers_survive_and_are_read_once() -> None:
    place = Place(schema_for(int), writers=2)
    store = place.open()
    assert store.read_times()
    assert not store.read_times()
    assert (store.observed, store.newest) == ([NEVER, NEVER], NEVER)
    store.observed[:], store.newest = [70, 50], 60
    store.save_times()
    assert store.logged.moment == 70
    commit(store)
    again = place.open()
    again.read_times()
    assert (again.observed, again.newest) == ([70, 50], 60)


def test_a_writer_that_was_not_there_begins_anew() -> None:
    place = Place(schema_for(int), writers=1)
    store = place.open()
    store.observed[0] = store.newest = 70
    store.save_times()
    commit(store)
    place._writers = 2
    again = place.open()
    again.read_times()
    assert (again.observed, again.newest) == ([70, NEVER], 70)


def test_segments_out_of_retention_go_with_the_commit() -> None:
    store = Place(schema_for(int)).open()
    for minute in range(5):
        store.put(store.key(minute * MINUTE, b"a"), (store.span(minute * MINUTE, 0, 1),), 0)
    store.observed[0] = store.newest = 4 * MINUTE + 5
    store.save_times()
    commit(store)
    assert [spans[0][0] // MINUTE for _, spans in store.every()] == [2, 3, 4]


def test_the_beginnings_of_keys_are_remembered_but_not_for_ever() -> None:
    store = Place(schema_for(int)).open()
    assert [time_of(store.key(number, b"a")) for number in range(3 * HEADS)] == list(range(3 * HEADS))
    assert len(store.heads) <= HEADS + 1


def test_keys_are_asked_for_where_a_row_looks_first() -> None:
    store = Place(schema_for(int)).open()
    ahead = Ahead(store, [b"a", None, b"b"], [MINUTE + 5, 7, MINUTE + 50], before=10)
    wanted = [store.key(MINUTE, b"a"), store.key(0, b"a"), store.key(MINUTE, b"b")]
    assert list(ahead) == wanted
    assert wanted[0] in ahead
    assert b"other" not in ahead
    assert len(ahead) == 3


@pytest.mark.parametrize("restarted", [False, True])
def test_what_closes_comes_by_time_and_each_once(restarted: bool) -> None:
    place = Place(schema_for(int))
    store = place.open()
    spans = {b"a": [(0, 10), (20, 30), (40, 90)], b"b": [(5, 30), (7, 95)]}
    for raw, bounds in spans.items():
        store.put(store.key(0, raw), tuple(store.span(start, mark, 1) for start, mark in bounds), 0)
    if restarted:
        commit(store)
        store = place.open()
    closing = Closing(store, 1)
    closing.read(5)
    assert not closing.waits(10)
    assert closing.waits(11)

    def closed(until: int) -> list[tuple[bytes, int, int]]:
        return [(raw, span[0], span[1]) for raw, span in closing.close(until, [0])]

    assert closed(31) == [(b"a", 0, 10), (b"b", 5, 30), (b"a", 20, 30)]
    assert closed(31) == []
    closing.add(b"a", 92)
    closing.add(b"a", 90)
    assert closed(93) == [(b"a", 40, 90)]
    assert closed(200) == [(b"b", 7, 95)]
    assert not closing.waits(10**9)


def test_what_had_closed_before_is_not_taken_up() -> None:
    store = Place(schema_for(int)).open()
    store.put(store.key(0, b"a"), (store.span(0, 10, 1),), 0)
    closing = Closing(store, 1)
    closing.read(11)
    assert not closing.waits(10**9)
