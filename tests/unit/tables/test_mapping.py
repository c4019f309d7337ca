"""One partition of a table: which bytes a key has, what a handler's write leaves behind, and who may write a key."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.dataflow.context import Context
from streamz_actors.errors import EncodeError, WrongPartition
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.tables.mapping import State
from streamz_actors.types import partition_of
from tests.unit.operators.bench import batch_of, spec_of, state_of


def at(state: State, event_key: str = "a", timestamp: int = 10) -> Context:
    """As if an agent were at one event."""
    context = Context("agent 'x'", state.partition, {state.spec.name: state})
    context.batch = batch_of([(event_key, 0, timestamp)])
    return context


def undo(context: Context) -> None:
    for state, raw, before, written in reversed(context.journal):
        state.undo(raw, before, written)
    context.journal.clear()


def commit(state: State) -> dict[bytes, bytes | None]:
    keys, values, timestamps = state.logged.begin_flush()
    state.logged.apply(keys, values, timestamps, None)
    state.logged.end_flush()
    return dict(zip(keys, values, strict=True))


def key_of_another_partition(state: State) -> str:
    return next(key for key in map(str, range(99)) if partition_of(key.encode(), state.partitions) != state.partition)


@pytest.mark.parametrize("key_type", [list[int], Any])
def test_a_key_that_was_changed_after_it_was_read_is_another_key(key_type: Any) -> None:
    state = state_of(spec_of("t", key_type))
    key = [1]
    assert state.get(key) is None
    key.append(2)
    state.write(at(state), key, 5)
    assert (state.get([1]), state.get([1, 2])) == (None, 5)


def test_keys_that_python_holds_equal_are_told_apart_in_an_untyped_table() -> None:
    state = state_of(spec_of("t", Any))
    keys: list[Any] = [1, True, "1", 0, False, "0"]
    for number, key in enumerate(keys):
        state.write(at(state), key, number)
        assert state.get(key) == number
    assert [state.get(key) for key in keys] == list(range(6))


def test_none_is_no_key() -> None:
    state = state_of(spec_of("t", str | None))
    for use in (lambda: state.get(None), lambda: state.write(at(state), None, 1)):
        with pytest.raises(KeyError, match="None is no key"):
            use()


@pytest.mark.parametrize(("value_type", "value"), [(int, "text"), (float, float("nan")), (str, "\ud800"), (int, True)])
def test_a_value_that_is_refused_fails_at_the_write_and_leaves_no_trace(value_type: Any, value: Any) -> None:
    state = state_of(spec_of("t", str, value_type))
    state.write(context := at(state), "a", value_type(7))
    with pytest.raises(EncodeError):
        state.write(context, "a", value)
    assert len(context.journal) == 1
    assert state.get("a") == value_type(7)


@given(st.integers())
def test_integers_come_back_from_the_store_as_they_were_written_however_big(number: int) -> None:
    state = state_of(spec_of("t"))
    try:
        state.write(at(state), "a", number)
    except EncodeError:
        assert not state.logged.dirty
        return
    assert state.get("a") == number
    commit(state)
    state.logged.drop()
    assert state.get("a") == number


steps = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(1, 9))), max_size=4),
        st.sampled_from(["done", "failed"]),
        st.sampled_from(["", "commit"]),
    ),
    max_size=15,
)


@given(steps)
def test_events_that_fail_leave_nothing_and_those_that_do_not_leave_all(events: list[tuple[Any, str, str]]) -> None:
    state = state_of(spec_of("t"))
    expected: dict[str, int] = {}
    for writes, end, after in events:
        context, tried = at(state), dict(expected)
        for key, add in writes:
            assert state.get(key) == tried.get(key)
            if add is None:
                tried.pop(key, None)
            else:
                tried[key] = tried.get(key, 0) + add
            state.write(context, key, tried.get(key))
        if after:
            commit(state)
        if end == "done":
            expected = tried
        else:
            undo(context)
        assert dict(state.items()) == expected
        assert [state.get(key) for key in "abc"] == [expected.get(key) for key in "abc"]


def test_a_key_of_another_partition_is_refused_unless_the_table_is_one_per_partition() -> None:
    spec = spec_of("t")
    store = MemoryBackend().open("task", {"t": "test"}).stores["t"]
    state = State(spec, store, 0, 4)
    key = key_of_another_partition(state)
    with pytest.raises(WrongPartition, match="belongs to partition"):
        state.write(context := at(state), key, 1)
    assert context.journal == []
    assert state.get(key) is None
    state.write(at(state, event_key=key), key, 1)  # the event's own key, wherever its writer has put it
    assert state.get(key) == 1
    mine = State(replace(spec, per_partition=True), store, 0, 4)
    mine.write(at(mine), key, 2)
    assert mine.get(key) == 2
