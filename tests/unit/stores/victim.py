"""A process to be killed: `python -m tests.unit.stores.victim hold|flush|write ROOT`, with `history` to check it by."""

import sys
import time
from pathlib import Path

from streamz_actors.stores.abc import Pair
from streamz_actors.stores.rocksdb import RocksBackend

STORES = {"busy": "identity", "calm": "identity"}
CALM = 40
"""The calm store is written once in so many batches of the busy one, so that their memtables flush apart."""
FLUSHED = 100
"""Batches before the one flush that is asked for; the others come when memtables are full."""


def batch(offset: int) -> list[Pair]:
    """What the write with this offset holds: 20 keys out of 1,000, three of them deleted."""
    pairs: list[Pair] = [(b"%03d" % ((offset * 7 + n * 13) % 1000), b"%d" % offset * 200) for n in range(20)]
    return pairs + [(key, None) for key, _ in pairs[:3]]


def history(offset: int | None, every: int = 1) -> dict[bytes, bytes]:
    """A store's content after all batches up to and with this offset."""
    content: dict[bytes, bytes] = {}
    for written in range(0, -1 if offset is None else offset + 1, every):
        for key, value in batch(written):
            content.pop(key, None)
            if value is not None:
                content[key] = value
    return content


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def main(mode: str, root: str) -> None:
    shelf = RocksBackend(Path(root), write_buffer_bytes=1 << 20).open("task", STORES)
    busy, calm = shelf.stores["busy"], shelf.stores["calm"]
    offset = 0
    while mode == "write" or (mode == "flush" and offset < FLUSHED):
        busy.write(batch(offset), offset)
        if offset % CALM == 0:
            calm.write(batch(offset), offset)
        if offset % 100 == 0:
            say(str(offset))
        offset += 1
        if offset == FLUSHED:
            shelf.flush()
    say("ready")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
