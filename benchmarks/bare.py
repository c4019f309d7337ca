"""W6, the floor: changelog records from raw batches straight into one RocksDB, nothing else. Says when, as JSON lines.

What a restore must do beside this is left out: a database per partition, timestamps, offsets, tombstones, heartbeats.
"""

import asyncio
import gc
import json
import os
import time
from itertools import islice
from typing import Any
from zlib import crc32

import uvloop
from rocksdict import DBCompressionType, Options, Rdict, WriteBatch, WriteOptions

from streamz_actors.clock import SystemClock
from streamz_actors.transport.abc import RawBatch, Reader
from streamz_actors.transport.select import make_transport
from streamz_actors.types import TopicPartition

CHUNK = 2_000
"""Keys in one write, at most."""


def open_database(path: str) -> Rdict:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(16 << 20)  # like ours; larger ones were slower here: more to compare per key
    options.set_max_write_buffer_number(4)
    database = Rdict(path, options)
    unlogged = WriteOptions()
    unlogged.disable_wal = True  # type: ignore[method-assign, assignment]  # a property; the stub says method
    database.set_write_options(unlogged)
    return database


def say(message: str, **more: Any) -> None:
    print(json.dumps({"time": time.time(), "message": message, **more}), flush=True)


def write(database: Rdict, raw: RawBatch) -> None:
    rows = zip(raw.keys, raw.values, strict=True)
    while chunk := list(islice(rows, CHUNK)):
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in chunk:
            put(key, value)  # type: ignore[arg-type]  # a full changelog has no nulls
        database.write(batch)


async def restore(database: Rdict, reader: Reader, ends: dict[TopicPartition, int]) -> None:
    while any(reader.position(place) < end for place, end in ends.items()):
        for raw in await reader.poll(1.0):
            write(database, raw)


async def main() -> None:
    topic, partitions = os.environ["BENCH_INPUT"], int(os.environ["BENCH_PARTITIONS"])
    database = open_database(os.environ["BENCH_DIR"])
    async with make_transport(f"kafka://{os.environ['BENCH_BROKER']}", clock=SystemClock()) as transport:
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        ends = await transport.admin.end_offsets(places)
        gc.collect()
        gc.freeze()
        say("restoring")
        reader = transport.reader()
        await reader.start()
        reader.assign(dict.fromkeys(places, 0))
        await restore(database, reader, ends)
        say("restored")
        await reader.stop()
    count = total = 0
    for key, value in database.items():
        count += 1
        total += crc32(key + value)
    say("checked", count=count, total=total)
    database.close()
    await asyncio.Event().wait()  # the benchmark ends it, like everybody else


if __name__ == "__main__":
    uvloop.run(main())
