"""Read-your-writes over a store that holds only what is committed."""

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import EncodeError
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.stores.abc import Store
from streamz_actors.stores.bound import ROW, Bound
from streamz_actors.stores.logged import CHUNK, COLD, LoggedStore, stamp, unstamp
from streamz_actors.stores.memory import MemoryBackend, MemoryStore, _Content
from streamz_actors.stores.segments import timed_key


def fresh_store(bound: int = 100_000) -> Store:
    store = MemoryBackend().open("task-0", {"t": "here"}).stores["t"]
    store.bound = Bound(bound)
    return store


def logged(schema: Schema[Any] | None = None, store: Store | None = None) -> LoggedStore:
    schema = schema_for(int) if schema is None else schema
    return LoggedStore(
        fresh_store() if store is None else store,
        schema.encode,
        schema.encode_all,
        schema.decode,
        immutable=schema.immutable,
        integers=schema.type is int,
        floats=schema.type is float,
    )


def commit(state: LoggedStore, offset: int | None = None) -> dict[bytes, bytes | None]:
    keys, values, timestamps = state.begin_flush()
    for start in range(0, len(keys), CHUNK):
        rows = slice(start, start + CHUNK)
        state.apply(keys[rows], values[rows], timestamps[rows], offset)
    state.end_flush()
    return dict(zip(keys, values, strict=True))


def test_a_write_is_read_before_and_after_the_commit_and_reaches_the_store_only_with_it() -> None:
    state = logged()
    state.put(b"k", 5, 100)
    assert state.get(b"k") == 5
    assert state.store.get(b"k") is None
    assert commit(state, 7) == {b"k": b"5"}
    assert state.get(b"k") == 5
    assert state.store.get(b"k") == stamp(100, b"5")
    assert state.store.offset == 7


def test_a_key_written_many_times_is_flushed_once_with_its_last_value() -> None:
    state = logged()
    for number in range(100):
        state.put(b"k", number, number)
    assert commit(state) == {b"k": b"99"}
    assert commit(state) == {}


def test_deleting_hides_the_stored_value_and_flushes_a_tombstone() -> None:
    state = logged()
    state.put(b"k", 1, 0)
    commit(state)
    state.put(b"k", None, 5)
    assert state.get(b"k") is None
    assert commit(state) == {b"k": None}
    assert state.get(b"k") is None
    assert state.store.get(b"k") is None


def test_writes_during_a_commit_belong_to_the_next() -> None:
    state = logged()
    state.put(b"a", 1, 0)
    keys, values, timestamps = state.begin_flush()
    state.put(b"a", 2, 1)
    state.put(b"b", 3, 1)
    assert state.get(b"a") == 2
    state.apply(keys, values, timestamps, 1)
    state.end_flush()
    assert (state.get(b"a"), state.get(b"b")) == (2, 3)
    assert state.store.get(b"a") == stamp(0, b"1")
    assert commit(state) == {b"a": b"2", b"b": b"3"}


def test_changing_a_value_that_was_read_is_not_a_write() -> None:
    state = logged(schema_for(dict[str, int]))
    state.put(b"k", {"n": 1}, 0)
    state.get(b"k")["n"] = 99
    assert state.get(b"k") == {"n": 1}
    commit(state)
    state.get(b"k")["n"] = 99
    assert state.get(b"k") == {"n": 1}


def test_a_value_that_its_schema_refuses_fails_where_it_is_written() -> None:
    state = logged()
    with pytest.raises(EncodeError):
        state.put(b"k", "text", 0)
    assert state.dirty == 0


def test_dropping_forgets_what_is_not_committed() -> None:
    state = logged()
    state.put(b"k", 1, 0)
    commit(state)
    state.put(b"k", 2, 0)
    state.begin_flush()
    state.put(b"k", 3, 0)
    state.drop()
    assert state.get(b"k") == 1


def test_a_scan_merges_the_overlay_with_the_store() -> None:
    state = logged()
    for key in (b"a", b"c", b"e"):
        state.put(key, ord(key), 0)
    commit(state)
    state.put(b"b", 1, 0)
    state.put(b"c", None, 0)
    state.put(b"e", 2, 0)
    found = [(key, state.value(entry)) for key, entry in state.scan(b"a", b"z")]
    assert found == [(b"a", 97), (b"b", 1), (b"e", 2)]
    assert [key for key, _ in state.scan(reverse=True)] == [b"e", b"b", b"a"]
    assert [key for key, _ in state.scan(b"b", b"e")] == [b"b"]


def test_undoing_puts_back_what_was_there() -> None:
    state = logged()
    state.put(b"k", 1, 0)
    before = state.find(b"k")
    state.undo(b"k", before, state.put(b"k", 2, 5))
    assert state.get(b"k") == 1
    state.undo(b"new", state.find(b"new"), state.put(b"new", 3, 5))
    assert state.get(b"new") is None


@pytest.mark.parametrize("commits", [0, 1])
def test_what_was_written_since_is_not_undone_even_if_it_is_equal(commits: int) -> None:
    state = logged(schema_for(str))
    before = state.find(b"k")
    written = state.put(b"k", "x", 5)
    state.put(b"k", "x", 5)
    for _ in range(commits):
        commit(state)
    state.undo(b"k", before, written)
    assert state.get(b"k") == "x"


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_write_can_be_undone_after_its_commit(forgotten: bool) -> None:
    state = logged(schema_for(str))
    state.put(b"gone", "y", 1)
    commit(state)
    nothing, before = state.find(b"k"), state.find(b"gone")
    written, deleted = state.put(b"k", "x", 5), state.put(b"gone", None, 5)
    commit(state)
    if forgotten:
        state.drop()
    state.undo(b"k", nothing, written)
    state.undo(b"gone", before, deleted)
    assert (state.get(b"k"), state.get(b"gone")) == (None, "y")


def keys(numbers: range) -> list[bytes]:
    return [str(number).encode() for number in numbers]


class Asked(MemoryStore):
    """A store that remembers for which keys it was asked, and in how many calls."""

    def __init__(self, bound: int) -> None:
        content = _Content("here")
        super().__init__(content, "a store", Bound(bound))
        self.one_by_one: list[bytes] = []
        self.together: list[set[bytes]] = []
        found = content.pairs.get

        def get(key: bytes) -> bytes | None:
            self.one_by_one.append(key)
            return found(key)

        self.get = get  # type: ignore[method-assign]

    def get_many(self, keys: Collection[bytes]) -> list[bytes | None]:
        self.together.append(set(keys))
        return [self._content.pairs.get(key) for key in keys]


def test_the_cache_is_bounded_and_never_wrong() -> None:
    store = Asked(20 * ROW)
    state = logged(store=store)
    for number, key in enumerate(keys(range(50))):
        state.put(key, number, 0)
    commit(state)
    for _ in range(3):
        assert [state.get(key) for key in keys(range(50))] == list(range(50))
    assert len(store.one_by_one) > 100
    assert [state.get(key) for key in keys(range(47, 50))] == [47, 48, 49]
    assert len(store.one_by_one) < 150, "what was read last is still at hand"


def test_one_bound_holds_for_all_tables_and_those_that_nobody_reads_give_way() -> None:
    bound = Bound(100 * ROW)
    stores = [Asked(0) for _ in range(3)]
    states = []
    for store in stores:
        store.bound = bound
        states.append(logged(store=store))
    for state in states:
        for key in keys(range(20)):
            state.get(key)
    for store in stores:
        store.one_by_one.clear()
    for key in keys(range(20)):
        states[0].get(key)
    assert stores[0].one_by_one == []
    for key in keys(range(200)):
        states[1].get(key)
    for key in keys(range(20)):
        states[0].get(key)
    assert stores[0].one_by_one == keys(range(20))


def test_what_is_being_flushed_is_read_although_the_cache_has_turned_over() -> None:
    state = logged(store=fresh_store(2 * ROW))
    state.put(b"k", 5, 0)
    state.begin_flush()
    for key in keys(range(20)):
        state.get(key)
    assert state.get(b"k") == 5
    assert state.store.get(b"k") is None


def test_keys_said_beforehand_come_from_the_store_together_once_reads_have_missed() -> None:
    store = Asked(100_000)
    state = logged(store=store)
    for number, key in enumerate(keys(range(300))):
        state.put(key, number, 7)
    commit(state)
    state.drop()
    state.load(keys(range(COLD)))
    assert store.together == [], "nothing has been missed so far"
    for key in keys(range(COLD)):
        state.get(key)
    state.put(b"120", 0, 8)
    state.load([*keys(range(300)), None, b"absent"])
    assert store.together == [{*keys(range(COLD, 300)), b"absent"} - {b"120"}]
    store.one_by_one.clear()
    assert [state.get(key) for key in keys(range(119, 122))] == [119, 0, 121]
    assert state.get(b"absent") is None
    state.load([b"absent"])
    state.load([b"more"])
    assert store.one_by_one == []
    assert len(store.together) == 1, "the last run has shown that everything is at hand"


def test_a_write_withdrawn_under_another_does_not_come_back_when_that_one_is_taken_back_too() -> None:
    state = logged()
    state.put(b"k", 1, 0)
    stood = state.find(b"k")
    first = state.put(b"k", 2, 1)
    second = state.put(b"k", 3, 2)
    state.undo(b"k", stood, first)
    assert state.get(b"k") == 3
    state.undo(b"k", first, second)
    assert state.get(b"k") == 1


def test_finite_floats_wait_for_the_commit_and_others_are_refused_at_once() -> None:
    state = logged(schema_for(float))
    state.put(b"k", 0.1, 5)
    assert state.find(b"k") == (0.1, None, 5)
    for wrong in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(EncodeError):
            state.put(b"k", wrong, 6)
    commit(state)
    assert state.store.get(b"k") == stamp(5, b"0.1")
    assert state.get(b"k") == 0.1


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=20))
def test_a_stamp_comes_back_as_it_was(timestamp: int, raw: bytes) -> None:
    assert unstamp(stamp(timestamp, raw)) == (timestamp, raw)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 6), st.one_of(st.none(), st.integers(-5, 5), st.just(2**60))),
        st.tuples(st.just("commit"), st.just(0), st.none()),
        st.tuples(st.just("load"), st.just(0), st.none()),
        st.tuples(st.just("drop"), st.just(0), st.none()),
    ),
    max_size=40,
)


@given(operations)
def test_it_behaves_as_a_dict_that_forgets_uncommitted_writes_when_dropped(
    steps: list[tuple[str, int, int | None]],
) -> None:
    state = logged(store=fresh_store(4 * ROW))
    now: dict[bytes, int] = {}
    saved: dict[bytes, int] = {}
    for step, number, value in steps:
        key = bytes([number])
        if step == "commit":
            commit(state)
            saved = dict(now)
        elif step == "load":
            state._missed = COLD
            state.load([bytes([number]) for number in range(7)])
        elif step == "drop":
            state.drop()
            now = dict(saved)
        elif value is None:
            state.put(key, None, 0)
            now.pop(key, None)
        else:
            state.put(key, value, 0)
            now[key] = value
        assert {key: state.value(entry) for key, entry in state.scan()} == now
        assert [state.get(bytes([number])) for number in range(7)] == [now.get(bytes([number])) for number in range(7)]


def test_times_that_no_stored_key_begins_with_are_known_until_a_commit_takes_such_keys() -> None:
    state = logged()
    assert state.stored_from(0), "while nobody has told of times, nothing is known"
    state.reach(20)
    assert not state.stored_from(0)
    state.put(timed_key(20, b"k"), 1, 25)
    assert not state.stored_from(20), "the overlay has it"
    state.begin_flush()
    assert state.stored_from(20)
    assert not state.stored_from(21)
    state.reach(10)
    state.reach(40)
    assert not state.stored_from(21), "nothing of that time was given to the store"


def test_what_a_store_holds_from_before_is_asked_for() -> None:
    store = fresh_store()
    before = logged(store=store)
    before.put(timed_key(20, b"k"), 1, 25)
    before.note(25)
    commit(before)
    state = logged(store=store)
    state.reach(5)
    assert state.stored_from(20)
    assert not state.stored_from(21)


def test_of_a_store_with_no_more_than_stream_time_nothing_is_asked_for() -> None:
    store = fresh_store()
    before = logged(store=store)
    before.note(25)
    commit(before)
    state = logged(store=store)
    state.reach(30)
    assert not state.stored_from(0)
