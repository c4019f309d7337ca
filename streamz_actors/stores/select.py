"""From the setting `store` to the backend it names: the one place that knows both adapters."""

from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from streamz_actors.errors import ConfigError
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.rocksdb import RocksBackend

MIB = 1 << 20


def make_backend(url: str, data_dir: Path, app_id: str) -> Backend:
    """`memory://`, or `rocksdb://` with its state under `<data_dir>/<app_id>/`.

    `rocksdb://?block_cache_mb=256&write_buffer_mb=128&read_cache_mb=128` sets what all tasks of the process share, in
    MiB. Raises ConfigError for anything else.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        _sizes(url, parts, {})
        return MemoryBackend()
    if parts.scheme == "rocksdb":
        sizes = _sizes(url, parts, {"block_cache_mb": 256, "write_buffer_mb": 128, "read_cache_mb": 128})
        return RocksBackend(
            data_dir / app_id,
            block_cache_bytes=sizes["block_cache_mb"] * MIB,
            write_buffer_bytes=sizes["write_buffer_mb"] * MIB,
            read_cache_bytes=sizes["read_cache_mb"] * MIB,
        )
    raise ConfigError(f"store {url!r} is not known: use rocksdb:// or memory://")


def _sizes(url: str, parts: SplitResult, defaults: dict[str, int]) -> dict[str, int]:
    if parts.netloc or parts.path.strip("/") or parts.fragment:
        raise ConfigError(f"store {url!r} names a place: where state is kept is the setting data_dir")
    sizes = dict(defaults)
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in defaults:
            raise ConfigError(f"store {url!r}: {name!r} is not known; known here: {', '.join(defaults) or 'nothing'}")
        if not text.isdecimal() or int(text) == 0:
            raise ConfigError(f"store {url!r}: {name} must be a whole number of MiB above 0, not {text!r}")
        sizes[name] = int(text)
    return sizes
