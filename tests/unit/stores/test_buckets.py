"""Rows of keys are found by time, in chunks or not, and never when they are too old."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.stores import buckets
from streamz_actors.stores.buckets import FULL, Buckets, Row
from streamz_actors.stores.logged import Held, LoggedStore
from streamz_actors.stores.memory import MemoryBackend
from tests.unit.stores.test_timebuffer import commit


def over(store: Any) -> LoggedStore:
    return LoggedStore(store, buckets.write, _written, _read, immutable=True)


def _written(values: Any) -> list[bytes | None]:
    return [buckets.write(value) if value else b"" for value in values]


def _read(raw: bytes | None) -> Any:
    return None if raw is None else buckets.read(raw)


def add(rows: Buckets, key: bytes, time: int, payload: bytes) -> bool:
    return rows.add(rows.place(key, time), time, payload)


def found(rows: Buckets, key: bytes, earliest: int, latest: int) -> list[Row]:
    """Asked for with the place of a time in between as without."""
    middle = max(0, (earliest + latest) // 2)
    given = list(rows.between(key, earliest, latest, rows.place(key, middle), middle))
    assert given == list(rows.between(key, earliest, latest))
    return given


def logged() -> LoggedStore:
    return over(MemoryBackend().open("task", {"kept": "test"}).stores["kept"])


def test_rows_are_found_by_time_and_those_of_one_time_as_they_came() -> None:
    rows = Buckets(logged(), 100)
    for time, payload in ((5, b"x"), (3, b"y"), (5, b"z"), (4, b"w")):
        assert add(rows, b"a", time, payload)
    add(rows, b"b", 4, b"other")
    assert found(rows, b"a", 0, 9) == [(3, b"y"), (4, b"w"), (5, b"x"), (5, b"z")]
    assert found(rows, b"a", 4, 4) == [(4, b"w")]
    assert found(rows, b"a", 6, 9) == []
    assert found(rows, b"a", 9, 6) == []
    assert found(rows, b"nobody", 0, 9) == []


def test_what_is_older_than_the_retention_is_neither_taken_nor_found() -> None:
    rows = Buckets(logged(), 10)
    assert rows.places([b"a", None, b"b"], [5, 5, 60_001]) == [rows.place(b"a", 5), None, rows.place(b"b", 60_001)]
    add(rows, b"a", 91, b"just")
    add(rows, b"a", 90, b"gone")
    add(rows, b"b", 100, b"newest")
    assert rows.oldest == 91
    assert not add(rows, b"a", 90, b"late")
    assert found(rows, b"a", 0, 200) == [(91, b"just")]


def test_a_key_with_much_writes_little_at_a_commit() -> None:
    store = logged()
    rows, payload = Buckets(store, 10_000), b"x" * 100
    for time in range(1_000):
        add(rows, b"a", time, payload)
    commit(store)
    add(rows, b"a", 1_000, payload)
    keys, values, _ = store.begin_flush()
    assert len(keys) == 1
    assert len(values[0] or b"") < 3 * FULL  # one chunk, and where the others are
    assert len(found(rows, b"a", 0, 2_000)) == 1_001


def test_whole_segments_go_with_the_time() -> None:
    store = logged()
    rows = Buckets(store, 1_000)
    add(rows, b"a", 5, b"x")
    rows.settle()
    commit(store)
    add(rows, b"a", 200_000, b"y")
    rows.settle()
    commit(store)
    assert [key for key, _ in store.store.scan(b"\0")] == [(180_000).to_bytes(8, "big") + b"a" + bytes(4)]


class Asked(LoggedStore):
    """Remembers what was looked for in the store itself."""

    def __init__(self, store: Any) -> None:
        super().__init__(store, buckets.write, _written, _read, immutable=True)
        self.asked: list[bytes] = []

    def find(self, key: bytes) -> Held:
        self.asked.append(key)
        return super().find(key)


def test_the_store_is_not_asked_for_segments_that_began_under_our_eyes() -> None:
    store = Asked(logged().store)
    rows = Buckets(store, 10_000)
    for time in range(0, 300_000, 1_000):
        add(rows, b"%d" % (time % 7), time, b"x")
        assert not rows.between(b"nobody", time - 10_000, time)
        if time % 40_000 == 0:
            rows.settle()
            commit(store)
        if time % 100_000 == 0:
            store.age()
    assert not store.asked


def test_the_store_is_asked_once_two_generations_have_gone_and_after_a_restart() -> None:
    store = Asked(logged().store)
    rows = Buckets(store, 100_000)
    add(rows, b"a", 5, b"x")
    rows.settle()
    commit(store)
    for _ in range(2):
        store.age()
        assert not rows.between(b"c", 0, 9)
        assert found(rows, b"a", 0, 9) == [(5, b"x")]
        add(rows, b"b", 70_000, b"y")  # in a later segment, of which all is at hand
        assert not rows.between(b"c", 70_000, 80_000)
    assert set(store.asked) == {rows.place(b"a", 5), rows.place(b"c", 5)}
    again = Asked(store.store)
    assert found(Buckets(again, 100_000), b"a", 0, 9) == [(5, b"x")]
    assert again.asked


def test_rows_stay_in_order_when_a_short_chunk_becomes_a_long_one() -> None:
    store = logged()
    rows = Buckets(store, 10_000)
    for time in (50, 10, 30, 30, 20, 60, 40):
        add(rows, b"a", time, b"%d" % time * 40)
        commit(store)
    assert [time for time, _ in found(rows, b"a", 0, 100)] == [10, 20, 30, 30, 40, 50, 60]


Move = tuple[str, bytes, int, int]
moves: st.SearchStrategy[list[Move]] = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "commit", "age", "restart"]),
        st.sampled_from([b"a", b"ab"]),
        st.one_of(st.integers(0, 100), st.integers(59_990, 60_100), st.integers(0, 130_000)),
        st.integers(0, 600),
    ),
    max_size=60,
)


@pytest.mark.parametrize("retention", [50, 60_000, 200_000])
@given(moves)
def test_what_is_found_is_what_a_list_holds(retention: int, moves: list[Move]) -> None:
    store = logged()
    rows = Buckets(store, retention)
    model: list[tuple[bytes, int, bytes]] = []
    for number, (what, key, time, size) in enumerate(moves):
        if what == "add":
            payload = b"%d" % number + b"." * size
            newest = max((time for _, time, _ in model), default=-1)
            taken = time > newest - retention
            assert add(rows, key, time, payload) == taken
            if taken:
                model.append((key, time, payload))
        elif what == "age":
            store.age()
        else:
            rows.settle()
            commit(store)
            if what == "restart":
                store = over(store.store)
                rows = Buckets(store, retention)
        oldest = max((time for _, time, _ in model), default=-1) - retention + 1
        its = sorted(((then, held) for mine, then, held in model if mine == key), key=lambda row: row[0])
        for earliest, latest in ((0, 200_000), (time - 40, time + 3)):
            wanted = [row for row in its if max(earliest, oldest) <= row[0] <= latest]
            assert found(rows, key, earliest, latest) == wanted
