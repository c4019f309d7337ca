"""What waits leaves in the order of time; a commit, a restart and a removal are all the same to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.timebuffer import TimeBuffer, Waiting, unnumbered


def logged() -> LoggedStore:
    store = MemoryBackend().open("task", {"waiting": "test"}).stores["waiting"]
    return over(store)


def over(store: Any) -> LoggedStore:
    return LoggedStore(store, str.encode, lambda values: [value.encode() for value in values], _decoded, immutable=True)


def _decoded(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


def commit(store: LoggedStore) -> int:
    """Gives how many keys it wrote."""
    keys, values, times = store.begin_flush()
    store.apply(keys, values, times, None)
    store.end_flush()
    return len(keys)


def drained(buffer: TimeBuffer) -> list[Waiting]:
    return [buffer.pop() for _ in range(len(buffer))]


def test_what_waits_leaves_by_time_and_then_by_tail() -> None:
    buffer = TimeBuffer(logged())
    for time, tail in ((7, b"b"), (3, b"z"), (7, b"a"), (5, b"m")):
        buffer.put(time, tail, tail.decode(), time + 1)
    assert (buffer.first, buffer.earliest, buffer.latest) == ((3, b"z"), 3, 7)
    assert drained(buffer) == [(3, b"z", "z", 4), (5, b"m", "m", 6), (7, b"a", "a", 8), (7, b"b", "b", 8)]
    assert (buffer.first, buffer.earliest, buffer.latest) == (None, None, None)
    with pytest.raises(IndexError, match="nothing waits"):
        buffer.pop()


def test_one_place_holds_one_value() -> None:
    buffer = TimeBuffer(logged())
    buffer.put(1, b"a", "old", 1)
    buffer.put(1, b"a", "new", 2)
    assert len(buffer) == 1
    assert buffer.get(1, b"a") == "new"
    assert buffer.get(2, b"a") is None
    assert buffer.remove(1, b"a")
    assert not buffer.remove(1, b"a")
    assert buffer.get(1, b"a") is None


def test_added_entries_stand_beside_each_other_in_the_order_they_came_also_after_a_restart() -> None:
    store = logged()
    buffer = TimeBuffer(store)
    for value in ("first", "second"):
        buffer.add(1, b"a", value, 1)
    commit(store)
    again = TimeBuffer(over(store.store))
    again.add(1, b"a", "third", 1)
    rows = drained(again)
    assert [(row.value, unnumbered(row.tail)) for row in rows] == [("first", b"a"), ("second", b"a"), ("third", b"a")]


def test_what_was_added_before_a_restart_keeps_its_place_when_the_buffer_is_looked_at_first() -> None:
    store = logged()
    TimeBuffer(store).add(5, b"a", "before", 5)
    commit(store)
    buffer = TimeBuffer(over(store.store))
    assert buffer.earliest == 5
    buffer.add(5, b"a", "after", 5)
    assert [row.value for row in drained(buffer)] == ["before", "after"]


def test_what_comes_and_goes_between_two_commits_is_not_written() -> None:
    store = logged()
    buffer = TimeBuffer(store)
    buffer.put(1, b"a", "a", 1)
    buffer.put(2, b"b", "b", 2)
    buffer.remove(1, b"a")
    assert commit(store) == 1
    buffer.remove(2, b"b")
    buffer.put(2, b"b", "again", 2)
    buffer.remove(2, b"b")
    assert commit(store) == 1
    assert list(TimeBuffer(over(store.store)).entries()) == []


def test_the_stream_time_beside_it_is_no_entry() -> None:
    store = logged()
    store.note(5)
    commit(store)
    assert len(TimeBuffer(over(store.store))) == 0


def test_the_first_behind_a_place_is_found() -> None:
    buffer = TimeBuffer(logged())
    for time in (1, 3, 3, 9):
        buffer.put(time, b"k%d" % len(buffer), "v", time)
    buffer.remove(9, b"k3")
    assert buffer.time_from(0) == 1
    assert buffer.time_from(3, b"k1\0") == 3
    assert buffer.time_from(3, b"k2\0") is None
    assert buffer.latest == 3


kinds = st.sampled_from(["put", "put", "remove", "pop", "commit", "restart"])
moves = st.lists(st.tuples(kinds, st.integers(0, 6), st.binary(max_size=1)), max_size=60)


@given(moves)
def test_it_holds_what_a_sorted_dict_holds(moves: list[tuple[str, int, bytes]]) -> None:
    store = logged()
    buffer = TimeBuffer(store)
    model: dict[tuple[int, bytes], str] = {}
    for number, (what, time, tail) in enumerate(moves):
        if what == "put":
            buffer.put(time, tail, str(number), number)
            model[time, tail] = str(number)
        elif what == "remove":
            assert buffer.remove(time, tail) == (model.pop((time, tail), None) is not None)
        elif what == "pop" and model:
            first = min(model)
            row = buffer.pop()
            assert ((row.time, row.tail), row.value) == (first, model.pop(first))
        elif what in ("commit", "restart"):
            commit(store)
            if what == "restart":
                store = over(store.store)
                buffer = TimeBuffer(store)
        assert len(buffer) == len(model)
        assert buffer.first == min(model, default=None)
        assert buffer.latest == max((time for time, _ in model), default=None)
        later = [place for place in model if place >= (time, tail)]
        assert buffer.time_from(time, tail) == min((time for time, _ in later), default=None)
    assert [(row.time, row.tail, row.value) for row in buffer.entries()] == [
        (*place, value) for place, value in sorted(model.items())
    ]
