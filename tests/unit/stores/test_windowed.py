"""How windows of one size lie in a store, and what of them can be looked up."""

from streamz_actors.serde.schema import schema_for
from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.segments import timed_key
from streamz_actors.stores.windowed import AlignedWindows, OneWindow
from streamz_actors.windows.definitions import FOREVER

INTEGERS = schema_for(int)


def logged_store() -> LoggedStore:
    store = MemoryBackend().open("task", {"t": "test"}).stores["t"]
    schema = INTEGERS
    return LoggedStore(store, schema.encode, schema.encode_all, schema.decode, immutable=True, integers=True)


def filled(moment: int, *starts: int) -> LoggedStore:
    logged = logged_store()
    for start in starts:
        logged.put(timed_key(start, b"k"), start + 1, start + 5)
    logged.note(moment)
    return logged


def test_windows_of_a_key_come_oldest_first_with_their_bounds_and_times() -> None:
    layout = AlignedWindows(INTEGERS, 20, 10, 1_000)
    logged = filled(35, 0, 10, 30)
    assert layout.windows(logged, b"k", None, None) == [(0, 20, 1, 5), (10, 30, 11, 15), (30, 50, 31, 35)]
    assert layout.windows(logged, b"other", None, None) == []


def test_a_range_is_one_of_starts() -> None:
    layout = AlignedWindows(INTEGERS, 20, 10, 1_000)
    logged = filled(35, 0, 10, 20, 30)
    assert [start for start, *_ in layout.windows(logged, b"k", 1, 30)] == [10, 20]
    assert [start for start, *_ in layout.windows(logged, b"k", -7, 1)] == [0]


def test_what_is_older_than_the_retention_is_not_shown_even_while_it_is_still_stored() -> None:
    layout = AlignedWindows(INTEGERS, 10, 10, 25)
    assert [start for start, *_ in layout.windows(filled(39, 0, 10, 20, 30), b"k", None, None)] == [10, 20, 30]
    assert [start for start, *_ in layout.windows(filled(40, 0, 10, 20, 30), b"k", None, None)] == [20, 30]


def test_before_the_first_record_there_are_none() -> None:
    assert AlignedWindows(INTEGERS, 10, 10, 25).windows(logged_store(), b"k", None, None) == []


def test_very_many_possible_windows_are_looked_up_in_parts() -> None:
    layout = AlignedWindows(INTEGERS, 1, 1, 10_000)
    logged = filled(5_000, 3, 2_500, 4_999)
    assert [start for start, *_ in layout.windows(logged, b"k", None, None)] == [3, 2_500, 4_999]


def test_the_one_window_without_an_end() -> None:
    layout = OneWindow(INTEGERS, 100)
    logged = filled(500, 100)
    assert layout.windows(logged, b"k", None, None) == [(100, FOREVER, 101, 105)]
    assert layout.windows(logged, b"k", 101, None) == layout.windows(logged, b"k", None, 100) == []
    assert layout.windows(logged, b"other", None, None) == []
