"""What only the RocksDB store has: a place on disk that crashes, spoils, belongs to one process and has a format."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from streamz_actors.errors import StateError, StoreCorrupted, StoreLocked
from streamz_actors.stores import rocksdb
from streamz_actors.stores.abc import Shelf
from streamz_actors.stores.rocksdb import RocksBackend
from tests.unit.stores.victim import CALM, FLUSHED, STORES, history

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[RocksBackend]:
    made = RocksBackend(tmp_path)
    yield made
    made.close()


@contextmanager
def victim(mode: str, root: Path) -> Iterator[Iterator[str]]:
    """The lines a victim prints; it is killed with SIGKILL at the end."""
    command = [sys.executable, "-m", "tests.unit.stores.victim", mode, str(root)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


def filled(backend: RocksBackend, task: str = "task") -> Shelf:
    shelf = backend.open(task, STORES)
    shelf.stores["busy"].write([(b"%04d" % n, os.urandom(100)) for n in range(1_000)], 1_000)
    shelf.stores["calm"].write([(b"k", b"v")], 7)
    return shelf


class TestCrash:
    @pytest.mark.parametrize("progress", [500, 3_000])
    def test_after_kill_9_each_store_holds_exactly_what_its_offset_says(
        self, backend: RocksBackend, tmp_path: Path, progress: int
    ) -> None:
        with victim("write", tmp_path) as lines:
            while int(next(lines)) < progress:
                pass
        stores = backend.open("task", STORES).stores
        for name, every in (("busy", 1), ("calm", CALM)):
            offset = stores[name].offset
            assert offset is None or offset % every == 0
            assert dict(stores[name].scan()) == history(offset, every)
        assert (stores["busy"].offset or 0) >= FLUSHED - 1

    def test_what_was_flushed_survives_kill_9(self, backend: RocksBackend, tmp_path: Path) -> None:
        with victim("flush", tmp_path) as lines:
            assert any(line == "ready\n" for line in lines)
        stores = backend.open("task", STORES).stores
        assert stores["busy"].offset == FLUSHED - 1
        assert dict(stores["busy"].scan()) == history(FLUSHED - 1)


class TestLock:
    def test_a_task_held_by_another_process_is_locked_until_that_one_dies(
        self, backend: RocksBackend, tmp_path: Path
    ) -> None:
        with victim("hold", tmp_path) as lines:
            assert next(lines) == "ready\n"
            for attempt in (lambda: backend.open("task", STORES), lambda: backend.destroy("task")):
                with pytest.raises(StoreLocked) as raised:
                    attempt()
                assert str(tmp_path / "task") in str(raised.value)
        assert set(backend.open("task", STORES).stores) == set(STORES)

    def test_another_backend_of_the_process_is_locked_out_however_it_spells_the_path(
        self, backend: RocksBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        filled(backend)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(StoreLocked):
            RocksBackend(Path()).open("task", STORES)


def overwrite(path: Path, pattern: str, spoil: Callable[[bytes], bytes]) -> None:
    found = list(path.glob(pattern))
    assert found
    for file in found:
        file.write_bytes(spoil(file.read_bytes()))


def zeroed_inside(old: bytes) -> bytes:
    return old if len(old) < 60_000 else old[:20_000] + bytes(20_000) + old[40_000:]


def remove(path: Path, pattern: str) -> None:
    for file in path.glob(pattern):
        file.unlink()


def replace_by_a_file(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    path.write_text("not a directory")


SPOILT_AT_OPEN: dict[str, Callable[[Path], None]] = {
    "CURRENT is garbage": lambda path: overwrite(path, "CURRENT", lambda _: b"garbage"),
    "CURRENT is empty": lambda path: overwrite(path, "CURRENT", lambda _: b""),
    "the manifest is garbage": lambda path: overwrite(path, "MANIFEST-*", lambda old: b"garbage" * len(old)),
    "the manifest is gone": lambda path: remove(path, "MANIFEST-*"),
    "a table is gone": lambda path: remove(path, "*.sst"),
    "a table is cut": lambda path: overwrite(path, "*.sst", lambda old: old[:100]),
    "a table's first block is garbage": lambda path: overwrite(path, "*.sst", lambda old: bytes(100) + old[100:]),
    "a file stands in its place": replace_by_a_file,
}


class TestCorruption:
    @pytest.mark.parametrize("spoil", SPOILT_AT_OPEN.values(), ids=SPOILT_AT_OPEN)
    def test_at_open_it_is_named_and_destroy_makes_room(
        self, backend: RocksBackend, tmp_path: Path, spoil: Callable[[Path], None]
    ) -> None:
        filled(backend).close()
        spoil(tmp_path / "task")
        with pytest.raises(StoreCorrupted) as raised:
            backend.open("task", STORES)
        assert str(tmp_path / "task") in str(raised.value)
        backend.destroy("task")
        store = backend.open("task", STORES).stores["busy"]
        assert (dict(store.scan()), store.offset) == ({}, None)

    @pytest.mark.parametrize("part", [0.25, 0.5, 0.75, 0.95])
    def test_a_manifest_that_lost_its_end_shows_an_older_state_or_is_named(
        self, backend: RocksBackend, tmp_path: Path, part: float
    ) -> None:
        filled(backend).close()
        overwrite(tmp_path / "task", "MANIFEST-*", lambda old: old[: int(len(old) * part)])
        try:
            store = backend.open("task", STORES).stores["busy"]
        except StoreCorrupted:
            return
        assert (len(dict(store.scan())), store.offset) in {(1_000, 1_000), (0, None)}

    @pytest.mark.parametrize(
        "read",
        [
            lambda store: [store.get(b"%04d" % n) for n in range(1_000)],
            lambda store: store.get_many([b"%04d" % n for n in range(1_000)]),
            lambda store: list(store.scan()),
            lambda store: list(store.scan(reverse=True)),
        ],
        ids=["get", "get_many", "scan", "scan backwards"],
    )
    def test_at_a_read_it_is_named_and_the_place_can_be_made_anew(
        self, backend: RocksBackend, tmp_path: Path, read: Callable[[object], object]
    ) -> None:
        filled(backend).close()
        overwrite(tmp_path / "task", "*.sst", zeroed_inside)
        shelf = backend.open("task", STORES)
        with pytest.raises(StoreCorrupted) as raised:
            read(shelf.stores["busy"])
        assert "busy" in str(raised.value)
        assert str(tmp_path / "task") in str(raised.value)
        shelf.close()
        backend.destroy("task")  # with `raised` and so the traceback's frames still alive
        assert dict(backend.open("task", STORES).stores["busy"].scan()) == {}

    def test_a_place_that_vanished_is_named_and_let_go(self, backend: RocksBackend, tmp_path: Path) -> None:
        shelf = filled(backend)
        shutil.rmtree(tmp_path / "task")
        with pytest.raises(StoreCorrupted, match="busy"):
            shelf.flush()
        with pytest.raises(StoreCorrupted):
            shelf.close()
        shelf.close()
        assert dict(backend.open("task", STORES).stores["busy"].scan()) == {}

    def test_files_that_are_not_rocksdbs_disturb_nobody(self, backend: RocksBackend, tmp_path: Path) -> None:
        filled(backend).close()
        (tmp_path / "task" / "notes.txt").write_text("hello")
        assert backend.open("task", STORES).stores["calm"].get(b"k") == b"v"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("IO error: No space left on device: While appending to file: x.sst", StateError),
            ("IO error: While open a file for appending: x.sst: Too many open files", StateError),
            ("Corruption: block checksum mismatch", StoreCorrupted),
            ("IO error: While lock file: x/LOCK: Resource temporarily unavailable", StoreLocked),
            ("Invalid argument: Column families not opened: store.new", StoreLocked),
        ],
    )
    def test_what_ails_the_machine_is_not_taken_for_corruption(self, text: str, expected: type[Exception]) -> None:
        with pytest.raises(StateError) as raised:
            rocksdb._fail(Exception(text), "store 'x'")
        assert type(raised.value) is expected
        assert "store 'x'" in str(raised.value)

    def test_a_wrong_argument_is_not_taken_for_rocksdbs_answer(self, backend: RocksBackend) -> None:
        store = filled(backend).stores["busy"]
        with pytest.raises(TypeError):
            store.get("text")  # type: ignore[arg-type]


class TestFormat:
    @pytest.mark.parametrize("version", [rocksdb.FORMAT_VERSION - 1, rocksdb.FORMAT_VERSION + 1])
    def test_a_store_of_another_format_is_emptied_with_a_warning(
        self, backend: RocksBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, version: int
    ) -> None:
        with monkeypatch.context() as other_version:
            other_version.setattr(rocksdb, "FORMAT_VERSION", version)
            filled(backend).close()
        stores = backend.open("task", STORES).stores
        assert [(dict(store.scan()), store.offset) for store in stores.values()] == [({}, None), ({}, None)]
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
        assert f"format {version}" in caplog.text

    def test_a_store_without_an_origin_is_emptied_with_a_warning(
        self, backend: RocksBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        database = Rdict(str(tmp_path / "task"), options)
        family = database.create_column_family("store.busy", options)
        family[b"\x01k"] = b"v"
        family.close()
        database.close()
        assert dict(backend.open("task", STORES).stores["busy"].scan()) == {}
        assert "unknown origin" in caplog.text

    def test_a_store_whose_origin_was_lost_with_its_data_is_simply_empty(
        self, backend: RocksBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A kill before the first flush leaves the column family, and nothing in it."""
        with victim("hold", tmp_path) as lines:
            assert next(lines) == "ready\n"
        assert dict(backend.open("task", STORES).stores["busy"].scan()) == {}
        assert not caplog.records


class TestPlaces:
    def test_options_are_kept_on_re_open(self, backend: RocksBackend, tmp_path: Path) -> None:
        filled(backend).close()
        filled(backend).close()
        newest = max((tmp_path / "task").glob("OPTIONS-*"), key=lambda path: int(path.name.split("-")[1]))
        sections = newest.read_text().split("[CFOptions ")
        ours = [section for section in sections if section.startswith('"store.')]
        assert len(ours) == len(STORES)
        for section in ours:
            assert "compression=kLZ4Compression" in section
            assert "filter_policy=bloomfilter" in section
            assert f"write_buffer_size={8 << 20}" in section
            assert "memtable_whole_key_filtering=true" in section

    def test_filters_do_not_live_in_the_block_cache(self, tmp_path: Path) -> None:
        """A filter larger than a shard of the cache would be read anew for each key."""
        backend = RocksBackend(tmp_path, block_cache_bytes=1 << 20)
        shelf = filled(backend)
        shelf.flush()
        assert shelf.stores["busy"].get(b"0500") is not None
        assert (_property(shelf, "rocksdb.estimate-table-readers-mem") or 0) > 1_000 * 10 // 8
        assert (_property(shelf, "rocksdb.block-cache-usage") or 0) < 10_000

    def test_stores_may_be_added_to_a_place(self, backend: RocksBackend) -> None:
        filled(backend).close()
        shelf = backend.open("task", {**STORES, "new": "identity"})
        shelf.stores["new"].write([(b"k", b"v")], 1)
        assert shelf.stores["busy"].offset == 1_000
        shelf.close()
        assert backend.open("task", {"new": "identity"}).stores["new"].get(b"k") == b"v"

    def test_all_tasks_share_one_block_cache(self, tmp_path: Path) -> None:
        backend = RocksBackend(tmp_path, block_cache_bytes=64 << 20)
        for _ in range(2):  # made anew, and found again
            shelves = [filled(backend, task) for task in ("0", "1")]
            for shelf in shelves:
                shelf.flush()
                assert len(list(shelf.stores["busy"].scan())) == 1_000
            usages = {_property(shelf, "rocksdb.block-cache-usage") for shelf in shelves}
            assert len(usages) == 1
            assert usages != {0}
            assert {_property(shelf, "rocksdb.block-cache-capacity") for shelf in shelves} == {64 << 20}
            backend.close()

    @pytest.mark.parametrize("task", ["", ".", "..", "a/b", "/a"])
    def test_a_task_is_named_like_a_directory(self, backend: RocksBackend, task: str) -> None:
        with pytest.raises(ValueError, match="directory"):
            backend.open(task, STORES)

    def test_a_failed_write_keeps_nothing_open(self, backend: RocksBackend) -> None:
        shelf = filled(backend)
        with pytest.raises(TypeError) as raised:
            shelf.stores["busy"].write([("text", b"v")])  # type: ignore[list-item]
        shelf.close()
        assert backend.open("task", STORES).stores["busy"].offset == 1_000
        del raised


def _property(shelf: Shelf, name: str) -> int | None:
    assert isinstance(shelf, rocksdb.RocksShelf)
    return shelf._stores["busy"]._family.property_int_value(name)
