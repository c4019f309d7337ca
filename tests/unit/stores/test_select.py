"""The setting `store`: which backend it names, and what it refuses."""

from pathlib import Path

import pytest

from streamz_actors.errors import ConfigError
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.rocksdb import RocksBackend
from streamz_actors.stores.select import make_backend


def test_memory(tmp_path: Path) -> None:
    assert isinstance(make_backend("memory://", tmp_path, "app"), MemoryBackend)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["rocksdb://", "rocksdb:", "rocksdb://?block_cache_mb=8&write_buffer_mb=4&read_cache_mb=2"])
def test_rocksdb_lives_below_the_app_in_the_data_directory(tmp_path: Path, url: str) -> None:
    backend = make_backend(url, tmp_path, "app")
    assert isinstance(backend, RocksBackend)
    backend.open("task", {"s": "identity"})
    backend.close()
    assert (tmp_path / "app" / "task" / "CURRENT").exists()


def test_how_much_is_kept_for_reading_may_be_said(tmp_path: Path) -> None:
    backend = make_backend("rocksdb://?read_cache_mb=2", tmp_path, "app")
    stores = [backend.open(task, {"s": "identity"}).stores["s"] for task in ("0", "1")]
    assert stores[0].bound is stores[1].bound
    assert stores[0].bound.limit == 2 << 20
    backend.close()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "not known"),
        ("sqlite://", "not known"),
        ("memory", "not known"),
        ("rocksdb:///var/lib/app", "data_dir"),
        ("rocksdb://host", "data_dir"),
        ("memory://?block_cache_mb=1", "'block_cache_mb' is not known"),
        ("rocksdb://?cache=1", "'cache' is not known"),
        ("rocksdb://?block_cache_mb=", "whole number"),
        ("rocksdb://?block_cache_mb=0", "whole number"),
        ("rocksdb://?write_buffer_mb=-1", "whole number"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, url: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as raised:
        make_backend(url, tmp_path, "app")
    assert repr(url) in str(raised.value)
