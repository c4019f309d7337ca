"""The contract of the store port, run on both adapters."""

import logging
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamz_actors.errors import StateError, StoreLocked
from streamz_actors.stores.abc import Backend, Pair, Shelf, Store

IDENTITY = "cluster-1/topic-1"
BINARY_KEYS = [b"", b"\x00", b"\x00\x00", b"\x00about", b"\x00offset", b"\x00\xff", b"\x01", b"a", b"a\x00", b"a\x00b",
               b"ab", b"\xfe", b"\xff", b"\xff\x00", b"\xff\xff", b"\xff" * 40]  # in byte order


@pytest.fixture
def shelf(backend: Backend) -> Shelf:
    return backend.open("task", {"totals": IDENTITY, "other": IDENTITY})


@pytest.fixture
def store(shelf: Shelf) -> Store:
    return shelf.stores["totals"]


def reopened(backend: Backend, shelf: Shelf, identity: str = IDENTITY) -> Shelf:
    shelf.close()
    return backend.open("task", {"totals": identity, "other": IDENTITY})


def content(store: Store) -> dict[bytes, bytes]:
    return dict(store.scan())


class TestReadingAndWriting:
    def test_a_key_never_written_is_absent(self, store: Store) -> None:
        assert store.get(b"k") is None

    def test_what_was_written_is_read(self, store: Store) -> None:
        store.write([(b"k", b"v")])
        assert store.get(b"k") == b"v"

    def test_a_later_write_replaces_an_earlier_one(self, store: Store) -> None:
        store.write([(b"k", b"1")])
        store.write([(b"k", b"2")])
        assert store.get(b"k") == b"2"

    def test_none_deletes(self, store: Store) -> None:
        store.write([(b"k", b"v"), (b"l", b"w")])
        store.write([(b"k", None), (b"absent", None)])
        assert store.get(b"k") is None
        assert content(store) == {b"l": b"w"}

    @pytest.mark.parametrize(
        ("pairs", "value"),
        [
            ([(b"k", b"1"), (b"k", b"2")], b"2"),
            ([(b"k", b"1"), (b"k", None)], None),
            ([(b"k", None), (b"k", b"1")], b"1"),
            ([(b"k", b"1"), (b"k", None), (b"k", b"3")], b"3"),
        ],
    )
    def test_the_last_pair_of_a_key_in_one_write_wins(
        self, store: Store, pairs: list[Pair], value: bytes | None
    ) -> None:
        store.write(pairs)
        assert store.get(b"k") == value

    def test_get_many_answers_in_the_order_asked(self, store: Store) -> None:
        store.write([(b"a", b"1"), (b"b", b"2")])
        assert store.get_many([b"b", b"absent", b"a", b"b"]) == [b"2", None, b"1", b"2"]
        assert store.get_many({b"a": 0}.keys()) == [b"1"]
        assert store.get_many([]) == []

    def test_an_empty_value_is_a_value(self, store: Store) -> None:
        store.write([(b"k", b"")])
        assert store.get(b"k") == b""
        assert content(store) == {b"k": b""}

    def test_any_bytes_are_a_key(self, store: Store) -> None:
        store.write([(key, b"v" + key) for key in reversed(BINARY_KEYS)], 7)
        assert store.get_many(BINARY_KEYS) == [b"v" + key for key in BINARY_KEYS]
        assert list(store.scan()) == [(key, b"v" + key) for key in BINARY_KEYS]
        store.write([(key, None) for key in BINARY_KEYS])
        assert content(store) == {}
        assert store.offset == 7

    def test_a_large_value(self, store: Store) -> None:
        value = bytes(range(256)) * 20_000
        store.write([(b"k", value)])
        assert store.get(b"k") == value

    def test_a_write_of_thousands_of_keys(self, store: Store) -> None:
        store.write(((b"%05d" % n, b"%d" % n) for n in range(5_000)), 4_999)
        assert [key for key, _ in store.scan()] == [b"%05d" % n for n in range(5_000)]

    def test_pairs_that_fail_half_way_leave_nothing(self, store: Store) -> None:
        def failing() -> Iterator[Pair]:
            yield b"k", b"v"
            raise LookupError

        with pytest.raises(LookupError):
            store.write(failing(), 1)
        assert content(store) == {}
        assert store.offset is None

    def test_the_count_is_about_right(self, store: Store) -> None:
        assert store.approximate_count() == 0
        store.write([(b"%d" % n, b"v") for n in range(1_000)], 1_000)
        assert store.approximate_count() == 1_000


class TestScanning:
    @pytest.fixture(autouse=True)
    def five_keys(self, store: Store) -> None:
        store.write([(key, key.upper()) for key in (b"d", b"b", b"a", b"c", b"e")], 1)

    @pytest.mark.parametrize(
        ("start", "stop", "keys"),
        [
            (None, None, b"abcde"),
            (b"b", None, b"bcde"),
            (None, b"d", b"abc"),
            (b"b", b"d", b"bc"),
            (b"bb", b"dd", b"cd"),
            (b"", b"\xff", b"abcde"),
            (b"f", None, b""),
            (None, b"", b""),
            (b"c", b"c", b""),
            (b"d", b"b", b""),
        ],
    )
    def test_bounds_include_start_and_exclude_stop(
        self, store: Store, start: bytes | None, stop: bytes | None, keys: bytes
    ) -> None:
        expected = [(bytes([key]), bytes([key]).upper()) for key in keys]
        assert list(store.scan(start, stop)) == expected
        assert list(store.scan(start, stop, reverse=True)) == expected[::-1]

    def test_a_prefix_is_a_pair_of_bounds(self, store: Store) -> None:
        store.write([(b"b\x00", b"1"), (b"b\xff\xff", b"2")])
        assert [key for key, _ in store.scan(b"b", b"c")] == [b"b", b"b\x00", b"b\xff\xff"]

    def test_a_scan_shows_the_store_as_it_was_when_it_began(self, store: Store) -> None:
        before = store.scan()
        half_read = store.scan(reverse=True)
        assert next(half_read) == (b"e", b"E")
        store.write([(b"a", b"new"), (b"b", None), (b"bb", b"new")])
        assert list(before) == [(b"a", b"A"), (b"b", b"B"), (b"c", b"C"), (b"d", b"D"), (b"e", b"E")]
        assert list(half_read) == [(b"d", b"D"), (b"c", b"C"), (b"b", b"B"), (b"a", b"A")]
        assert [key for key, _ in store.scan()] == [b"a", b"bb", b"c", b"d", b"e"]

    def test_a_scan_outlives_clear(self, store: Store) -> None:
        scan = store.scan()
        store.clear()
        store.write([(b"x", b"y")])
        assert [key for key, _ in scan] == [b"a", b"b", b"c", b"d", b"e"]

    def test_the_store_may_be_written_for_every_pair_scanned(self, store: Store) -> None:
        for key, _ in store.scan():
            store.write([(key, None), (key + b"!", b"")])
        assert [key for key, _ in store.scan()] == [b"a!", b"b!", b"c!", b"d!", b"e!"]

    def test_a_finished_scan_stays_finished(self, store: Store) -> None:
        scan = store.scan()
        assert len(list(scan)) == 5
        assert list(scan) == []

    def test_a_key_deleted_and_written_again_is_seen_once(self, store: Store) -> None:
        assert len(list(store.scan())) == 5
        store.write([(b"c", None)])
        store.write([(b"c", b"again")])
        assert [key for key, _ in store.scan()] == [b"a", b"b", b"c", b"d", b"e"]


class TestOffset:
    def test_there_is_none_before_the_first(self, store: Store) -> None:
        store.write([(b"k", b"v")])
        assert store.offset is None

    def test_it_is_the_last_one_written(self, store: Store) -> None:
        store.write([(b"k", b"v")], 3)
        store.write([(b"k", b"w")])
        assert store.offset == 3
        store.write([], 2**62)
        assert store.offset == 2**62

    def test_it_may_go_back(self, store: Store) -> None:
        store.write([], 3)
        store.write([], 0)
        assert store.offset == 0

    def test_it_is_no_pair(self, store: Store) -> None:
        store.write([], 3)
        assert content(store) == {}
        assert store.approximate_count() == 0

    def test_each_store_has_its_own(self, shelf: Shelf) -> None:
        shelf.stores["totals"].write([(b"k", b"1")], 1)
        shelf.stores["other"].write([(b"k", b"2"), (b"l", b"2")], 2)
        shelf.stores["totals"].write([(b"k", None)], 3)
        assert {name: store.offset for name, store in shelf.stores.items()} == {"totals": 3, "other": 2}
        assert content(shelf.stores["totals"]) == {}
        assert content(shelf.stores["other"]) == {b"k": b"2", b"l": b"2"}


class TestClear:
    def test_it_forgets_pairs_and_offset(self, store: Store) -> None:
        store.write([(b"k", b"v")], 1)
        store.clear()
        assert content(store) == {}
        assert store.get(b"k") is None
        assert store.offset is None
        assert store.approximate_count() == 0

    def test_the_store_goes_on(self, backend: Backend, shelf: Shelf) -> None:
        store = shelf.stores["totals"]
        store.write([(b"k", b"v")], 1)
        store.clear()
        store.write([(b"l", b"w")], 5)
        store = reopened(backend, shelf).stores["totals"]
        assert content(store) == {b"l": b"w"}
        assert store.offset == 5

    def test_other_stores_stay(self, shelf: Shelf) -> None:
        shelf.stores["other"].write([(b"k", b"v")], 1)
        shelf.stores["totals"].clear()
        assert content(shelf.stores["other"]) == {b"k": b"v"}


class TestOpeningAgain:
    def test_pairs_and_offset_are_kept(self, backend: Backend, shelf: Shelf) -> None:
        shelf.stores["totals"].write([(b"a", b"1"), (b"b", b"2")], 4)
        shelf.stores["totals"].write([(b"a", None)], 5)
        shelf = reopened(backend, shelf)
        assert content(shelf.stores["totals"]) == {b"b": b"2"}
        assert shelf.stores["totals"].offset == 5
        assert shelf.stores["other"].offset is None

    def test_closing_the_backend_closes_its_shelves(self, backend: Backend, shelf: Shelf) -> None:
        shelf.stores["totals"].write([(b"k", b"v")], 1)
        backend.close()
        assert content(backend.open("task", {"totals": IDENTITY}).stores["totals"]) == {b"k": b"v"}

    def test_flush_changes_nothing(self, store: Store, shelf: Shelf) -> None:
        store.write([(b"k", b"v")], 1)
        shelf.flush()
        store.write([(b"k", b"w")], 2)
        assert (content(store), store.offset) == ({b"k": b"w"}, 2)

    def test_a_store_of_another_identity_is_emptied_alone_and_with_a_warning(
        self, backend: Backend, shelf: Shelf, caplog: pytest.LogCaptureFixture
    ) -> None:
        for store in shelf.stores.values():
            store.write([(b"k", b"v")], 1)
        shelf = reopened(backend, shelf, identity="cluster-2/topic-1")
        assert (content(shelf.stores["totals"]), shelf.stores["totals"].offset) == ({}, None)
        assert (content(shelf.stores["other"]), shelf.stores["other"].offset) == ({b"k": b"v"}, 1)
        [record] = caplog.records
        assert (record.name, record.levelno) == ("streamz_actors.stores", logging.WARNING)
        for part in ("totals", "task", IDENTITY, "cluster-2/topic-1"):
            assert part in record.getMessage()

    def test_the_new_identity_is_remembered(
        self, backend: Backend, shelf: Shelf, caplog: pytest.LogCaptureFixture
    ) -> None:
        shelf = reopened(backend, shelf, identity="cluster-2/topic-1")
        shelf.stores["totals"].write([(b"k", b"v")], 1)
        caplog.clear()
        shelf = reopened(backend, shelf, identity="cluster-2/topic-1")
        assert content(shelf.stores["totals"]) == {b"k": b"v"}
        assert not caplog.records

    def test_a_store_not_named_is_left_alone(self, backend: Backend, shelf: Shelf) -> None:
        shelf.stores["other"].write([(b"k", b"v")], 1)
        shelf.close()
        shelf = backend.open("task", {"totals": IDENTITY, "third": IDENTITY})
        assert set(shelf.stores) == {"totals", "third"}
        shelf = reopened(backend, shelf)
        assert (content(shelf.stores["other"]), shelf.stores["other"].offset) == ({b"k": b"v"}, 1)

    def test_a_store_may_have_any_name(self, backend: Backend) -> None:
        names = ["default", "store.default", "größe/ß", "a b"]
        shelf = backend.open("task", dict.fromkeys(names, IDENTITY))
        for name in names:
            shelf.stores[name].write([(b"name", name.encode())])
        shelf.close()
        shelf = backend.open("task", dict.fromkeys(names, IDENTITY))
        assert [shelf.stores[name].get(b"name") for name in names] == [name.encode() for name in names]

    def test_tasks_know_nothing_of_each_other(self, backend: Backend, shelf: Shelf) -> None:
        neighbour = backend.open("task-2", {"totals": IDENTITY})
        shelf.stores["totals"].write([(b"k", b"v")], 1)
        assert content(neighbour.stores["totals"]) == {}


class TestErasing:
    def test_a_range_goes_and_what_is_around_it_stays(self, store: Store) -> None:
        store.write([(key, b"v") for key in BINARY_KEYS], 5)
        store.erase(b"\x00", b"a")
        assert [key for key, _ in store.scan()] == [key for key in BINARY_KEYS if not b"\x00" <= key < b"a"]
        assert store.get(b"\x01") is None
        assert store.offset == 5

    def test_bounds_that_cross_erase_nothing(self, store: Store) -> None:
        store.write([(b"b", b"v")])
        store.erase(b"c", b"a")
        assert store.get(b"b") == b"v"

    def test_what_is_written_behind_it_stays(self, store: Store) -> None:
        store.write([(b"a", b"old")])
        store.erase(b"a", b"z")
        store.write([(b"a", b"new")])
        assert list(store.scan()) == [(b"a", b"new")]

    def test_a_scan_goes_on_over_what_it_began_with(self, store: Store) -> None:
        store.write([(b"a", b"1"), (b"b", b"2")])
        scan = store.scan()
        assert next(scan) == (b"a", b"1")
        store.erase(b"a", b"z")
        assert list(scan) == [(b"b", b"2")]


class TestPlace:
    def test_an_open_task_is_locked(self, backend: Backend, shelf: Shelf) -> None:
        with pytest.raises(StoreLocked, match="task"):
            backend.open("task", {"totals": IDENTITY})
        shelf.stores["totals"].write([(b"k", b"v")])
        assert shelf.stores["totals"].get(b"k") == b"v"

    def test_destroy_removes_everything(self, backend: Backend, shelf: Shelf) -> None:
        shelf.stores["totals"].write([(b"k", b"v")], 1)
        shelf.close()
        backend.destroy("task")
        store = backend.open("task", {"totals": IDENTITY}).stores["totals"]
        assert (content(store), store.offset) == ({}, None)

    def test_destroy_of_nothing_is_nothing(self, backend: Backend) -> None:
        backend.destroy("never-opened")

    def test_destroy_refuses_an_open_task(self, backend: Backend, shelf: Shelf) -> None:
        shelf.stores["totals"].write([(b"k", b"v")])
        with pytest.raises(StoreLocked):
            backend.destroy("task")
        assert content(reopened(backend, shelf).stores["totals"]) == {b"k": b"v"}

    def test_closing_twice_is_closing_once(self, backend: Backend, shelf: Shelf) -> None:
        shelf.close()
        again = backend.open("task", {"totals": IDENTITY})
        shelf.close()
        again.stores["totals"].write([(b"k", b"v")])

    def test_an_abandoned_scan_holds_nothing_open(self, backend: Backend, shelf: Shelf) -> None:
        shelf.stores["totals"].write([(b"a", b"1"), (b"b", b"2")])
        begun, unread = shelf.stores["totals"].scan(), shelf.stores["totals"].scan()
        next(begun)
        again = reopened(backend, shelf)
        assert len(content(again.stores["totals"])) == 2
        for scan in (begun, unread):  # and does not look like one that came to its end
            with pytest.raises(StateError, match="closed"):
                next(scan)

    @pytest.mark.parametrize(
        "use",
        [
            lambda store: store.get(b"k"),
            lambda store: store.get_many([b"k"]),
            lambda store: store.scan(),
            lambda store: store.write([(b"k", b"v")], 1),
            lambda store: store.gather([(b"k", b"v")], 1),
            lambda store: store.clear(),
            lambda store: store.approximate_count(),
        ],
        ids=["get", "get_many", "scan", "write", "gather", "clear", "approximate_count"],
    )
    def test_a_closed_store_refuses(self, shelf: Shelf, store: Store, use: Callable[[Store], object]) -> None:
        shelf.close()
        with pytest.raises(StateError, match=r"totals.*closed"):
            use(store)


keys = st.one_of(st.sampled_from(BINARY_KEYS), st.binary(max_size=3))
bound = st.none() | keys
operations = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["write", "gather"]),
            st.lists(st.tuples(keys, st.none() | st.binary(max_size=4)), max_size=8),
            st.none() | st.integers(0, 2**63 - 1),
        ),
        st.tuples(st.just("scan"), bound, bound),
        st.tuples(st.just("get"), keys, st.none()),
        st.tuples(st.just("erase"), keys, keys),
        st.tuples(st.just("clear"), st.none(), st.none()),
        st.tuples(st.just("reopen"), st.none(), st.none()),
    ),
    max_size=20,
)
examples = count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
def test_a_store_is_a_sorted_dict_with_an_offset(backend: Backend, steps: list[tuple[str, object, object]]) -> None:
    task = f"example-{next(examples)}"
    shelf = backend.open(task, {"s": IDENTITY})
    model: dict[bytes, bytes] = {}
    offset: int | None = None
    for name, first, second in steps:
        store = shelf.stores["s"]
        if name in ("write", "gather"):
            assert isinstance(first, list)
            assert second is None or isinstance(second, int)
            getattr(store, name)(first, second)
            for key, value in first:
                model.pop(key, None)
                if value is not None:
                    model[key] = value
            offset = offset if second is None else second
        elif name == "scan":
            assert first is None or isinstance(first, bytes)
            assert second is None or isinstance(second, bytes)
            inside = sorted(k for k in model if (first is None or first <= k) and (second is None or k < second))
            expected = [(key, model[key]) for key in inside]
            assert list(store.scan(first, second)) == expected
            assert list(store.scan(first, second, reverse=True)) == expected[::-1]
        elif name == "get":
            assert isinstance(first, bytes)
            assert store.get(first) == model.get(first)
            assert store.get_many([first, b""]) == [model.get(first), model.get(b"")]
        elif name == "erase":
            assert isinstance(first, bytes)
            assert isinstance(second, bytes)
            store.erase(first, second)
            model = {key: value for key, value in model.items() if not first <= key < second}
        elif name == "clear":
            store.clear()
            model, offset = {}, None
        else:
            shelf.close()
            shelf = backend.open(task, {"s": IDENTITY})
    store = shelf.stores["s"]
    assert content(store) == model
    assert store.get_many([*model, b"\x00never"]) == [*model.values(), model.get(b"\x00never")]
    assert store.offset == offset
    shelf.close()
    backend.destroy(task)
