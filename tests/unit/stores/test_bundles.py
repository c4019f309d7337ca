"""Bundles of overlapping windows: how they are written, what of them is looked up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import EncodeError
from streamz_actors.serde.packed import packed_by_column
from streamz_actors.serde.schema import schema_for
from streamz_actors.stores.bundles import WIDTH, BundledWindows, Bundles
from streamz_actors.stores.logged import SMALL, LoggedStore
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.segments import timed_key

INTEGERS = Bundles(schema_for(int), 60, 20)
TEXTS = Bundles(schema_for(str, "str"), 60, 20)
LISTS = Bundles(schema_for(list[int]), 60, 20)


def bundle(bundles: Bundles, values: dict[int, Any]) -> list[Any]:
    """With a value in some slots, under times that say which."""
    made = bundles.new()
    for slot, value in values.items():
        made[slot], made[bundles.slots + slot] = bundles.content(value), 1_000 + slot
    return made


def rows(bundles: Bundles, of: list[Any]) -> list[tuple[int, Any, int]]:
    return list(bundles.windows(0, of, 0, bundles.length))


def test_a_bundle_has_room_for_the_windows_of_several_records() -> None:
    assert INTEGERS.slots == 3 * WIDTH
    assert Bundles(schema_for(int), 61, 20).slots == 4 * WIDTH
    assert INTEGERS.length == INTEGERS.slots * 20


slots = st.integers(0, INTEGERS.slots - 1)


@given(st.lists(st.dictionaries(slots, st.integers(-(2**62), 2**62)), max_size=4))
def test_integers_come_back_as_they_were(given: list[dict[int, int]]) -> None:
    made = [bundle(INTEGERS, values) for values in given]
    for values, of, raw in zip(given, made, INTEGERS.pack(made), strict=True):
        assert (raw is None) == (not values)
        if raw is not None:
            back = INTEGERS.unpack(raw)
            assert rows(INTEGERS, back) == rows(INTEGERS, of)
            assert rows(INTEGERS, of) == [(20 * slot, values[slot], 1_000 + slot) for slot in sorted(values)]
            assert INTEGERS.pack([back]) == [raw]


@given(st.dictionaries(slots, st.text()))
def test_texts_come_back_as_they_were_the_empty_one_too(values: dict[int, str]) -> None:
    made = bundle(TEXTS, values)
    (raw,) = TEXTS.pack([made])
    back = TEXTS.new() if raw is None else TEXTS.unpack(raw)
    assert rows(TEXTS, back) == rows(TEXTS, made)


def test_what_can_be_changed_in_place_is_decoded_at_each_look() -> None:
    content = LISTS.content([1, 2])
    LISTS.read(content).append(3)
    assert LISTS.read(content) == [1, 2]


def test_a_value_that_its_schema_refuses_fails_at_once() -> None:
    with pytest.raises(EncodeError):
        INTEGERS.content("many")
    assert INTEGERS.content(SMALL) == (SMALL, b"%d" % SMALL)


def test_windows_are_those_that_begin_in_a_range() -> None:
    made = bundle(INTEGERS, {slot: slot for slot in range(INTEGERS.slots)})
    stretch = 4 * INTEGERS.length
    assert [start - stretch for start, _, _ in INTEGERS.windows(stretch, made, stretch + 1, stretch + 40)] == [20]
    assert [start - stretch for start, _, _ in INTEGERS.windows(stretch, made, stretch + 20, stretch + 41)] == [20, 40]
    assert list(INTEGERS.windows(stretch, made, stretch - 100, stretch)) == []


def filled(moment: int, *starts: int) -> LoggedStore:
    """With windows of one key that begin at these times."""
    store = MemoryBackend().open("task", {"t": "test"}).stores["t"]
    schema = packed_by_column("test", INTEGERS.pack, INTEGERS.unpack)
    logged = LoggedStore(store, schema.encode, schema.encode_all, schema.decode, immutable=True)
    for start in starts:
        key = timed_key(start - start % INTEGERS.length, b"k")
        made = logged.get(key) or INTEGERS.new()
        slot = start % INTEGERS.length // INTEGERS.advance
        made[slot], made[INTEGERS.slots + slot] = start + 1, start + 5
        logged.keep(key, made, start)
    logged.note(moment)
    return logged


def committed(logged: LoggedStore) -> LoggedStore:
    logged.apply(*logged.begin_flush(), None)
    logged.end_flush()
    logged.drop()
    return logged


def test_windows_of_a_key_come_oldest_first_from_all_its_bundles() -> None:
    layout = BundledWindows(INTEGERS, 60, 10_000)
    expected = [(start, start + 60, start + 1, start + 5) for start in (0, 20, 100, 120, 500)]
    for logged in (filled(510, 0, 20, 100, 120, 500), committed(filled(510, 0, 20, 100, 120, 500))):
        assert layout.windows(logged, b"k", None, None) == expected
        assert layout.windows(logged, b"k", 1, 120) == expected[1:3]
        assert layout.windows(logged, b"other", None, None) == []


def test_what_is_older_than_the_retention_is_not_shown_even_while_it_is_still_stored() -> None:
    layout = BundledWindows(INTEGERS, 60, 100)
    assert [row[0] for row in layout.windows(filled(119, 0, 20, 100), b"k", None, None)] == [20, 100]
    assert layout.windows(filled(-1), b"k", None, None) == []


def test_a_bundle_without_a_window_is_deleted() -> None:
    logged = filled(10, 0)
    committed(logged)
    key = timed_key(0, b"k")
    logged.keep(key, INTEGERS.new(), 10)
    assert committed(logged).store.get(key) is None
