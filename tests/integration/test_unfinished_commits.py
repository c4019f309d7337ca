"""A worker that dies in a commit, on a real Kafka: what came of it is told from what belongs to the offsets."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from streamz_actors import App
from streamz_actors.clock import SystemClock
from streamz_actors.config import override
from streamz_actors.errors import TransportError
from streamz_actors.running import Running
from streamz_actors.stores.select import make_backend
from streamz_actors.transport.abc import Delivery, Producer, Transport
from streamz_actors.transport.kafka.producer import KafkaProducer
from streamz_actors.transport.kafka.transport import KafkaTransport
from streamz_actors.types import Headers
from tests.integration.kafka_contents import table
from tests.kafka_server import FOREVER

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

KEYS = [f"k{number % 7}" for number in range(40)]


class CutTransport(KafkaTransport):
    """Of a worker whose sends to changelogs come only as long as there are some `left`, if that is not None."""

    left: int | None = None

    def producer(self, client_id: str) -> Producer:
        producer = super().producer(client_id)
        assert isinstance(producer, KafkaProducer)
        send = producer.send

        def cut(
            topic: str,
            partition: int,
            keys: Sequence[bytes | None],
            values: Sequence[bytes | None],
            timestamps: Sequence[int],
            headers: Sequence[Headers] | None = None,
        ) -> "asyncio.Future[Delivery]":
            if self.left is not None and topic.endswith("-changelog"):
                if not self.left:
                    return asyncio.get_running_loop().create_future()
                self.left -= 1
            return send(topic, partition, keys, values, timestamps, headers)

        producer.send = cut  # type: ignore[method-assign]
        return producer


def counting(name: str) -> App:
    app = App(name, store="rocksdb://")
    stream = app.stream(app.topic(f"{name}-in", key_type=str, value_type=int, partitions=1, config=FOREVER))
    stream.group_by_key().count("all")
    stream.filter(lambda key, value: value % 2 == 1).group_by_key().count("odd")
    return app


def worker(app: App, url: str, place: Path, transport: KafkaTransport) -> "tuple[Running, asyncio.Task[None]]":
    settings = override(app.settings, {"web_enabled": False, "commit_interval": 1e6, "broker": url})
    clock, backend = SystemClock(), make_backend("rocksdb://", place, app.id)
    running = Running(app.spec(settings), transport, backend, clock, app.link, name=place.name)
    return running, asyncio.create_task(running.run())


async def until(done: Callable[[], object]) -> None:
    while not done():  # noqa: ASYNC110  # nobody tells; the test's own limit ends it
        await asyncio.sleep(0.02)


async def feed(running: Running, app: App, first: int, last: int) -> None:
    for number in range(first, last):
        running.worker.collector.send(f"{app.id}-in", KEYS[number].encode(), b"%d" % number, number)
    (task,) = running.worker.tasks.values()
    await until(lambda: last in task.positions.values())


@pytest.mark.parametrize("left", range(7))
async def test_a_commit_that_did_not_end_counts_nothing_twice(
    left: int, kafka: Transport, kafka_url: str, tmp_path: Path
) -> None:
    app = counting(f"cut-{uuid.uuid4().hex[:8]}")
    transport = CutTransport(kafka_url)
    running, life = worker(app, kafka_url, tmp_path / "first", transport)
    await running.worker.ready.wait()
    await feed(running, app, 0, 20)
    await running.worker.commit()
    await feed(running, app, 20, 30)
    transport.left = left
    committing = asyncio.create_task(running.worker.commit())
    await until(lambda: committing.done() if left == 6 else transport.left == 0)
    await asyncio.sleep(0.2)  # what was sent comes
    await die(running, life, committing)

    running, life = worker(app, kafka_url, tmp_path / "second", KafkaTransport(kafka_url))
    await running.worker.ready.wait()
    await feed(running, app, 30, 40)
    running.stop()
    await life
    held = {name: await table(kafka, f"{app.id}-{name}-changelog") for name in ("all", "odd")}
    assert held == {"all": Counter(KEYS), "odd": Counter(KEYS[1::2])}


async def die(running: Running, life: "asyncio.Task[None]", committing: "asyncio.Task[None]") -> None:
    """Nothing is committed any more; the group is told, so that nobody need wait for the session's end."""
    committing.cancel()
    consumer = running.worker.members.consumer
    assert consumer is not None
    await consumer.stop()
    running.worker.wake()
    with pytest.raises(TransportError, match="not running"):
        await life
