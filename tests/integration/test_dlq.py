"""`app dlq ls|show|replay` on a real Kafka: a poisoned record, what is told of it, and how it is done in the end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streamz_actors.dataflow import dead_letters
from streamz_actors.transport.abc import RawBatch, Transport
from streamz_actors.types import Headers, TopicPartition, partition_of
from tests.integration.kafka_contents import contents
from tests.integration.processes import ROOT, Child, worker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

APP = "tests.integration.dlq_app"
AT = 1_700_000_000_000
OWN: Headers = (("trace", b"t-1"), ("odd", b"\xff\x00"))
PLACE = TopicPartition("poisoned-in", partition_of(b"alice", 4))


@pytest.fixture(autouse=True)
async def nothing_poisoned(kafka: Transport) -> None:
    names = [topic.name for topic in await kafka.admin.list_topics()]
    await kafka.admin.delete([name for name in names if name.startswith("poisoned-")])
    await kafka.admin.delete_group("poisoned")


async def dlq(kafka_url: str, *arguments: str) -> str:
    """What a command says; it must succeed."""
    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "streamz_actors", "-A", APP, "dlq", *arguments],
        cwd=ROOT, env=os.environ | {"STREAMZ_BROKER": kafka_url},
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return str(result.stdout)


@contextmanager
def working(kafka_url: str, folder: Path, name: str, **settings: str) -> Iterator[Child]:
    with worker(APP, kafka_url, folder, name, **settings) as child:
        child.until_it_says("ready: ")
        yield child
        child.popen.send_signal(signal.SIGTERM)
        assert child.wait() == 0, child.said()


async def bills(kafka: Transport) -> list[Any]:
    return [value for _, value in await contents(kafka, "poisoned-out")]


async def until_billed(kafka: Transport, *values: float) -> None:
    async with asyncio.timeout(60):
        while await bills(kafka) != list(values):  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.1)


async def letter(kafka: Transport) -> RawBatch:
    """The only one, as it is in its topic."""
    place = TopicPartition("poisoned-dead-letters", 0)
    reader = kafka.reader(read_committed=True)
    await reader.start()
    try:
        reader.assign({place: 0})
        async with asyncio.timeout(30):
            while not (batches := await reader.poll(1.0)):
                pass
    finally:
        await reader.stop()
    (batch,) = batches
    assert len(batch.values) == 1
    return batch


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_a_poisoned_record_is_told_of_and_comes_back_to_the_repaired_application(
    kafka: Transport, kafka_url: str, tmp_path: Path, guarantee: str
) -> None:
    settings = {"STREAMZ_PROCESSING_GUARANTEE": guarantee}
    with working(kafka_url, tmp_path, "poisoned", **settings):
        producer = kafka.producer("orders")
        await producer.start()
        sent = [
            await producer.send(*PLACE, [b"alice"], [b"%d" % value], [AT + value], [OWN])
            for value in (5, -2, 7)
        ]
        await producer.stop()
        await until_billed(kafka, 5.0, 12.0)

    # The letter: the record as it came, and why it is there.
    found = await letter(kafka)
    assert (found.keys, found.values, list(found.timestamps)) == ([b"alice"], [b"-2"], [AT - 2])
    assert found.headers is not None
    (headers,) = found.headers
    assert dead_letters.own(headers) == OWN
    said = {name: value.decode() for name, value in headers if name.startswith("streamz-")}
    stack = said.pop("streamz-stack")
    assert said == {
        "streamz-topic": PLACE.topic,
        "streamz-partition": str(PLACE.partition),
        "streamz-offset": str(sent[1].offset(0)),
        "streamz-timestamp": str(AT - 2),
        "streamz-what": "agent 'charge'",
        "streamz-error": "ValueError: a negative order: -2.0",
        "streamz-attempts": "3",
    }
    assert "dlq_app.py" in stack
    assert stack.rstrip().endswith("ValueError: a negative order: -2.0")

    # What people are told of it.
    (kind,) = json.loads(await dlq(kafka_url, "ls", "--json"))
    assert {name: kind[name] for name in ("topic", "what", "error", "count", "replayed")} == {
        "topic": PLACE.topic,
        "what": "agent 'charge'",
        "error": "ValueError: a negative order: -2.0",
        "count": 1,
        "replayed": 0,
    }
    line = await dlq(kafka_url, "ls", "--each")
    for text in (kind["id"], PLACE.topic, "agent 'charge'", "ValueError: a negative order: -2.0"):
        assert text in line
    shown = await dlq(kafka_url, "show", kind["id"])
    for text in ("key:       alice", "value:     -2", "attempts:  3", f"timestamp: {AT - 2}", "header     trace: t-1"):
        assert text in shown
    assert f"offset:    {sent[1].offset(0)}" in shown
    assert "dlq_app.py" in shown

    # And back.
    assert await dlq(kafka_url, "replay", "--all", "--dry-run") != ""
    assert await dlq(kafka_url, "replay", kind["id"]) == "1 replayed\n"
    assert await dlq(kafka_url, "replay", "--all") == "0 replayed, 1 were before\n"
    with working(kafka_url, tmp_path, "repaired", **settings, REPAIRED="1"):
        await until_billed(kafka, 5.0, 12.0, 10.0)
    (kind,) = json.loads(await dlq(kafka_url, "ls", "--json"))
    assert (kind["count"], kind["replayed"]) == (1, 1)
