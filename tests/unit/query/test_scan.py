"""Paging: all pages together are the table, in order, whatever is written in between."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.query import scan
from streamz_actors.query.found import Piece
from streamz_actors.query.scan import Bounds, Part, joined, page
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.tables.mapping import State
from streamz_actors.types import partition_of

COUNT = 3


def partitions(key: Schema[Any]) -> dict[int, State]:
    """Empty ones."""
    backend = MemoryBackend()
    spec = StoreSpec("t", key, schema_for(int), None)
    stores = [backend.open(f"t-{number}", {"t": ""}).stores["t"] for number in range(COUNT)]
    return {number: State(spec, store, number, COUNT) for number, store in enumerate(stores)}


def put(states: dict[int, State], key: Any, value: int | None) -> None:
    raw = states[0].spec.key_schema.encode(key)
    assert raw is not None
    states[partition_of(raw, COUNT)].put_raw(raw, value, 0)


def filled(key: Schema[Any], pairs: dict[Any, int]) -> dict[int, State]:
    states = partitions(key)
    for number, (name, value) in enumerate(pairs.items()):
        put(states, name, value)
        if number == len(pairs) // 2:
            commit(states)
    return states


def commit(states: dict[int, State]) -> None:
    for state in states.values():
        logged = state.logged
        logged.apply(*logged.begin_flush(), None)
        logged.end_flush()


def pages(states: dict[int, State], bounds: Bounds, limit: int) -> list[Any]:
    """The keys of all pages."""
    keys: list[Any] = []
    after = None
    while True:
        rows, after = page(states, states[0].spec.key_schema, bounds, limit, after)
        assert len(rows) <= limit
        keys += [key for _, key, _ in rows]
        if after is None:
            return keys


TEXT = st.text(st.sampled_from("ab\xff\U0001f600"), max_size=4)


@given(
    pairs=st.dictionaries(TEXT, st.integers(0, 9), max_size=30),
    prefix=st.none() | TEXT,
    start=st.none() | TEXT,
    stop=st.none() | TEXT,
    limit=st.integers(1, 40),
)
def test_pages_of_text_keys_are_the_wanted_keys_in_order(
    pairs: dict[str, int], prefix: str | None, start: str | None, stop: str | None, limit: int
) -> None:
    states = filled(schema_for(str, key=True), pairs)
    wanted = [
        key
        for key in sorted(pairs)
        if key.startswith(prefix or "") and (start is None or key >= start) and (stop is None or key < stop)
    ]
    assert pages(states, Bounds(prefix, start, stop), limit) == wanted


@given(
    pairs=st.dictionaries(st.integers(-50, 50), st.integers(0, 9), max_size=30),
    start=st.none() | st.integers(-50, 50),
    stop=st.none() | st.integers(-50, 50),
    limit=st.integers(1, 40),
)
def test_pages_of_other_keys_are_the_wanted_keys(
    pairs: dict[int, int], start: int | None, stop: int | None, limit: int
) -> None:
    keys = pages(filled(schema_for(int, key=True), pairs), Bounds(None, start, stop), limit)
    wanted = [key for key in pairs if (start is None or key >= start) and (stop is None or key < stop)]
    assert sorted(keys) == sorted(wanted)


def test_keys_that_cannot_be_compared_are_not_wanted() -> None:
    states = filled(schema_for(Any, key=True), {"a": 1, 2: 1, ("a", 1): 1, "b": 1})
    assert pages(states, Bounds(None, "b", None), 10) == ["b"]
    assert pages(states, Bounds("a", None, None), 10) == ["a"]
    assert pages(states, Bounds(b"a", None, None), 10) == []


def test_writes_between_two_pages_neither_repeat_nor_hide_other_keys() -> None:
    states = filled(schema_for(str, key=True), {"a": 1, "c": 1, "e": 1, "g": 1})
    schema = states[0].spec.key_schema
    first, after = page(states, schema, Bounds(), 2, None)
    put(states, "b", 1)
    put(states, "c", None)
    put(states, "d", 1)
    commit(states)
    second, after = page(states, schema, Bounds(), 2, after)
    third, after = page(states, schema, Bounds(), 2, after)
    assert [[key for _, key, _ in rows] for rows in (first, second, third)] == [["a", "c"], ["d", "e"], ["g"]]
    assert after is None


def test_one_key_in_several_partitions_is_one_row() -> None:
    states = partitions(schema_for(str, key=True))
    states[0].put_raw(b"a", 1, 10)
    states[2].put_raw(b"a", 3, 30)
    ((_, key, held),), _ = page(states, states[0].spec.key_schema, Bounds(), 10, None)
    assert (key, [(number, state.value(entry)) for number, state, entry in held]) == ("a", [(0, 1), (2, 3)])


def test_the_work_for_a_page_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "SCAN", 10)
    states = filled(schema_for(int, key=True), dict.fromkeys(range(95), 1))
    rows, after = page(states, states[0].spec.key_schema, Bounds(None, 1_000), 100, None)
    assert rows == []
    assert after is not None
    assert pages(states, Bounds(None, 90), 3) == [90, 91, 92, 93, 94]


@given(
    keys=st.dictionaries(st.binary(max_size=2), st.sets(st.integers(0, 2), min_size=1), max_size=30),
    cuts=st.lists(st.integers(0, 6), min_size=1),
    limit=st.integers(1, 40),
)
def test_pages_of_several_owners_make_each_row_once_in_order_however_short_they_are(
    keys: dict[bytes, set[int]], cuts: list[int], limit: int
) -> None:
    """Each owner gives as much as it likes of what it has behind the last page, and says how far that goes."""
    turn = 0

    def part(owner: int, after: bytes | None) -> Part:
        nonlocal turn
        mine = sorted(key for key, owners in keys.items() if owner in owners and (after is None or key > after))
        cut = cuts[turn % len(cuts)]
        turn += 1
        given, rest = mine[: cut + 1], mine[cut + 1 :]
        rows = [(key, [Piece(owner, 0, key, str(owner))]) for key in given]
        return Part(rows, given[-1] if rest else None)

    seen: list[tuple[bytes, set[int]]] = []
    after: bytes | None = None
    while True:
        rows, after = joined([part(owner, after) for owner in range(3)], limit)
        assert len(rows) <= limit
        seen += [(key, {piece.partition for piece in pieces}) for key, pieces in rows]
        if after is None:
            break
    assert seen == sorted(keys.items())
