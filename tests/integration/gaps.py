"""How long each key had to wait for its next result, as somebody sees it who reads the output."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from streamz_actors.transport.abc import Reader, Transport
from streamz_actors.types import TopicPartition


class Gaps:
    """The longest wait of each key since `begin`, in seconds."""

    def __init__(self) -> None:
        self._last: dict[bytes, float] = {}
        self._longest: dict[bytes, float] = {}

    def begin(self) -> None:
        self._longest.clear()

    def saw(self, keys: Sequence[bytes | None], now: float) -> None:
        for key in keys:
            if key is None:
                continue
            before = self._last.get(key, now)
            self._longest[key] = max(self._longest.get(key, 0.0), now - before)
            self._last[key] = now

    def __str__(self) -> str:
        waits = sorted(self._longest.values())
        if not waits:
            return "no key was seen"
        median, most = waits[len(waits) // 2], waits[-1]
        p99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
        return f"longest wait of a key: median {median:.2f} s, p99 {p99:.2f} s, most {most:.2f} s ({len(waits)} keys)"


@asynccontextmanager
async def gaps_of(kafka: Transport, topic: str, *, committed: bool = False) -> AsyncIterator[Gaps]:
    """Watches a topic from its present end while the block runs; with `committed` only what is committed."""
    info = (await kafka.admin.describe([topic]))[topic]
    places = [TopicPartition(topic, number) for number in range(info.partitions)]
    reader = kafka.reader(read_committed=committed)
    await reader.start()
    reader.assign(await kafka.admin.end_offsets(places))
    gaps = Gaps()
    watching = asyncio.create_task(_watch(reader, gaps))
    try:
        yield gaps
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await reader.stop()


async def _watch(reader: Reader, gaps: Gaps) -> None:
    while True:
        for batch in await reader.poll(1.0):
            gaps.saw(batch.keys, time.monotonic())
