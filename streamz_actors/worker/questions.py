"""Questions of this process to agents, and their answers: a reply topic of its own, made and read on first use."""

import asyncio
import logging

from streamz_actors.agents.replies import Replies
from streamz_actors.clock import Clock
from streamz_actors.concurrency import Background
from streamz_actors.dataflow.context import Refused, sending
from streamz_actors.errors import UsageError
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.transport.abc import Reader, TopicSpec, Transport
from streamz_actors.types import Headers, TopicPartition

logger = logging.getLogger("streamz_actors.worker")
KEPT = {"cleanup.policy": "delete", "retention.ms": "3600000"}


class Questions:
    """`counts` is the worker's table of partition counts: the reply topic joins it. `collector` is for answers of
    agents on channels; those of tasks leave with what else these send.

    `exact`: an answer of a task is part of its transaction, and heard when that is committed.
    """

    def __init__(
        self,
        transport: Transport,
        collector: RecordCollector,
        background: Background,
        topic: str,
        counts: dict[str, int],
        clock: Clock,
        patience: float,
        *,
        exact: bool,
    ) -> None:
        self._transport, self._collector, self._background, self._counts = transport, collector, background, counts
        self._clock, self._patience, self._exact = clock, patience, exact
        self._replies = Replies(topic)
        self._opening: asyncio.Future[None] | None = None
        self._reader: Reader | None = None

    @property
    def waiting(self) -> int:
        return len(self._replies)

    async def ask(self) -> "tuple[Headers, asyncio.Future[bytes | None]]":
        """Headers for a request, and the future of its answer. Raises UsageError where it could never come."""
        if self._transacted:
            raise UsageError(
                "ask in a handler under exactly-once: the answer comes when the transaction is committed, which waits "
                "for the handler. Send to the agent and let it send on, or ask from a page, a timer or a task"
            )
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)
        return self._replies.new()

    @property
    def _transacted(self) -> bool:
        """Whether the running code belongs to a transaction."""
        return self._exact and sending.get() not in (None, self._collector)

    async def _open(self) -> None:
        topic = self._replies.topic
        place = TopicPartition(topic, 0)
        await self._transport.admin.create([TopicSpec(topic, 1, None, KEPT)])
        self._counts[topic] = 1
        self._reader = self._transport.reader(read_committed=self._exact)
        await self._reader.start()
        self._reader.assign(await self._transport.admin.end_offsets([place]))
        self._background.start(self._read(self._reader), "replies")

    async def _read(self, reader: Reader) -> None:
        while True:
            for raw in await reader.poll(self._patience):
                for index, key in enumerate(raw.keys):
                    headers = raw.headers[index] if raw.headers is not None else ()
                    if key is not None:
                        self._replies.deliver(key, raw.values[index], headers)

    def answer(
        self, topic: str, correlation: bytes, value: bytes | None, headers: Headers, refused: Refused
    ) -> None:
        """To this process at once, to another through its reply topic; out of a transaction always through that."""
        if topic == self._replies.topic and not self._transacted:
            self._replies.deliver(correlation, value, headers)
            return
        self._counts.setdefault(topic, 1)
        collector = sending.get() or self._collector
        collector.add(topic, [correlation], [value], [self._clock.now()], [headers], refused)

    async def close(self) -> None:
        """Removes the reply topic, if there is one and no answer is on its way: who sends that would wait for the topic
        to come back, and commit nothing meanwhile. The next run of this name that asks removes it.
        """
        if self._reader is None:
            return
        await self._reader.stop()
        if not self._replies.unanswered:
            await self._transport.admin.delete([self._replies.topic])
