"""Stores whose keys begin with a time: segments, the moment kept beside them, and what expires."""

from pathlib import Path

import pytest

from streamz_actors.serde.schema import schema_for
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.logged import NEVER, LoggedStore
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.rocksdb import RocksBackend
from streamz_actors.stores.segments import SHORTEST, Segments, key_of, time_of, timed_key


@pytest.fixture(params=["memory", "rocksdb"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return MemoryBackend() if request.param == "memory" else RocksBackend(tmp_path)


def opened(backend: Backend) -> LoggedStore:
    schema = schema_for(int)
    store = backend.open("task", {"windows": "mine"}).stores["windows"]
    return LoggedStore(store, schema.encode, schema.encode_all, schema.decode, immutable=True, integers=True)


def committed(logged: LoggedStore) -> None:
    logged.apply(*logged.begin_flush(), None)
    logged.end_flush()


def test_what_has_expired_goes_with_the_commit_and_the_moment_stays(backend: Backend) -> None:
    logged = opened(backend)
    for start in (0, 60_000, 120_000):
        logged.put(timed_key(start, b"k"), start + 1, start)
    logged.note(125_000)
    logged.expire(timed_key(60_000, b""))
    assert logged.get(timed_key(0, b"k")) == 1
    committed(logged)
    assert [time_of(key) for key, _ in logged.store.scan(b"\x00")] == [60_000, 120_000]
    backend.close()
    again = opened(backend)
    assert again.moment == 125_000
    assert again.get(timed_key(60_000, b"k")) == 60_001
    assert again.get(timed_key(0, b"k")) is None
    backend.close()


def test_what_expires_during_a_commit_stays_until_the_next_for_a_restart_needs_it(backend: Backend) -> None:
    logged = opened(backend)
    logged.put(timed_key(0, b"k"), 1, 0)
    taken = logged.begin_flush()
    logged.expire(timed_key(60_000, b""))  # by records whose offsets this commit does not have
    logged.apply(*taken, None)
    logged.end_flush()
    assert [time_of(key) for key, _ in logged.store.scan(b"\x00")] == [0]
    committed(logged)
    assert list(logged.store.scan(b"\x00")) == []
    backend.close()


def test_the_moment_is_known_before_during_and_after_a_commit(backend: Backend) -> None:
    logged = opened(backend)
    assert logged.moment == NEVER
    logged.note(7)
    assert logged.moment == 7
    taken = logged.begin_flush()
    assert logged.moment == 7
    logged.apply(*taken, None)
    logged.end_flush()
    assert logged.moment == 7
    assert logged.flushes == 1
    backend.close()


def test_a_kept_value_is_encoded_as_it_stands_at_the_commit() -> None:
    backend = MemoryBackend()
    schema = schema_for(list[int])
    store = backend.open("task", {"buckets": "mine"}).stores["buckets"]
    logged = LoggedStore(store, schema.encode, schema.encode_all, schema.decode, immutable=True)
    held = [1]
    logged.keep(b"k", held, 5)
    held.append(2)
    committed(logged)
    logged.drop()
    assert logged.get(b"k") == [1, 2]


def test_the_segments_that_a_stretch_of_time_touches() -> None:
    backend = MemoryBackend()
    segments = Segments(opened(backend), 600_000)
    assert segments.length == 300_000
    assert [time_of(key) for key in segments.keys(b"k", 250_000, 650_000)] == [0, 300_000, 600_000]
    assert [time_of(key) for key in segments.keys(b"k", -90_000, 10)] == [0]
    assert segments.keys(b"k", 301_000, 302_000) == [segments.key(b"k", 599_999)]
    assert key_of(segments.key(b"k", 1)) == b"k"
    assert Segments(opened(MemoryBackend()), 10).length == SHORTEST


def test_segments_go_once_all_of_them_is_too_old() -> None:
    backend = MemoryBackend()
    logged = opened(backend)
    segments = Segments(logged, 600_000)
    for time in (0, 299_999, 300_000):
        logged.put(segments.key(b"k%d" % time, time), 1, time)
    segments.expire(899_999)
    committed(logged)
    assert len(list(logged.store.scan())) == 3
    segments.expire(900_000)
    logged.note(900_000)
    assert logged.erased == 0
    committed(logged)
    assert logged.erased == 300_000
    assert [key_of(key) for key, _ in logged.store.scan(b"\x00")] == [b"k300000"]
