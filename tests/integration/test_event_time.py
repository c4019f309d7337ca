"""Every operator over event time gives the same on both transports and in both stores, with a restart in the middle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from streamz_actors.clock import ManualClock, SystemClock
from streamz_actors.config import override
from streamz_actors.running import Running
from streamz_actors.stores.select import make_backend
from streamz_actors.transport.abc import TopicSpec, Transport
from streamz_actors.transport.kafka.transport import KafkaTransport
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.integration.event_time import UNORDERED, Row, make, rows
from tests.kafka_server import FOREVER
from tests.scenarios.support import Site, ended

Written = tuple[bytes | None, bytes | None, int]
Connect = Callable[[], Transport]
"""Makes a client of the one broker."""


@dataclass(frozen=True)
class Place:
    """Where an application runs."""

    connect: Connect
    store: str
    data_dir: Path


async def fed(connect: Connect, given: Sequence[Row]) -> None:
    """Sends rows in their order, JSON as the application reads it; makes the topics."""
    async with connect() as transport:
        await transport.admin.create([TopicSpec(name, 1, None, FOREVER) for name in ("left", "right")])
        producer = transport.producer("feeder")
        await producer.start()
        for topic, key, value, timestamp in given:
            encoded = None if value is None else str(value).encode()
            await producer.send(topic, 0, [key.encode()], [encoded], [timestamp])
        await producer.stop()


async def run_to_the_end(place: Place) -> None:
    """A worker's whole life: it begins where the last one ended, and ends where the topics do."""
    app = make()
    settings = override(app.settings, {"web_enabled": False, "cache_max_bytes": 0})
    backend = make_backend(place.store, place.data_dir, app.id)
    clock = SystemClock()
    await Running(app.spec(settings), place.connect(), backend, clock, app.link, name="one", bounded=True).run()


async def written(connect: Connect) -> dict[str, list[Written]]:
    """What stands in the output topics."""
    async with connect() as transport:
        names = [topic.name for topic in await transport.admin.list_topics() if topic.name.startswith("out-")]
        ends = await transport.admin.end_offsets([TopicPartition(name, 0) for name in names])
        reader = transport.reader()
        await reader.start()
        found: dict[str, list[Written]] = {name.removeprefix("out-"): [] for name in names}
        reader.assign(dict.fromkeys(ends, 0))
        while any(reader.position(place) < end for place, end in ends.items()):
            for raw in await reader.poll(1.0):
                columns = zip(raw.keys, raw.values, raw.timestamps, strict=True)
                found[raw.topic.removeprefix("out-")].extend(columns)
        await reader.stop()
    return {name: sorted(rows, key=repr) if name in UNORDERED else rows for name, rows in found.items()}


async def emptied(connect: Connect) -> None:
    """No topic that this application reads or writes is left, nor what it has committed of it."""
    async with connect() as transport:
        names = [topic.name for topic in await transport.admin.list_topics()]
        await transport.admin.delete([name for name in names if name.startswith(("out-", "every-", "left", "right"))])


async def without_a_restart() -> dict[str, list[Written]]:
    site = Site()
    connect = partial(MemoryTransport, site.broker)
    given = rows()
    await fed(connect, given[: len(given) // 2])
    running, life = await site.begin(make(), cache_max_bytes=0)
    await site.settle(running)
    await fed(connect, given[len(given) // 2 :])
    await site.settle(running)
    await ended(running, life, site.clock)
    return await written(connect)


@pytest.mark.kafka
@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["memory://", "rocksdb://"])
@pytest.mark.parametrize("where", ["memory", "kafka"])
async def test_a_restart_changes_nothing_wherever_it_runs(
    kafka_url: str, where: str, store: str, tmp_path: Path
) -> None:
    embedded = partial(MemoryTransport, MemoryBroker(ManualClock(), check_interval=None))
    connect: Connect = embedded if where == "memory" else partial(KafkaTransport, kafka_url)
    given = rows()
    place = Place(connect, store, tmp_path)
    await emptied(connect)
    await fed(connect, given[: len(given) // 2])
    await run_to_the_end(place)
    await fed(connect, given[len(given) // 2 :])
    await run_to_the_end(place)
    expected = await without_a_restart()
    found = await written(connect)
    assert {name: rows for name, rows in found.items() if rows != expected[name]} == {}
    assert min(map(len, expected.values())) > 0
    assert found.keys() == expected.keys()
