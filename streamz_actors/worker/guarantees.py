"""How a worker sends and commits, as its guarantee asks for."""

from collections import Counter
from collections.abc import Callable, Container, Mapping

from streamz_actors.errors import StreamzError
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.transport.abc import TransactionalProducer, Transport
from streamz_actors.worker.at_least_once import AtLeastOnce
from streamz_actors.worker.committing import Committing, Parts
from streamz_actors.worker.exactly_once import TRANSACTION, ExactlyOnce


class Sending:
    """`inside` is what tasks send with, and a commit waits for it. `outside` is for everything else: timers, pages,
    agents on channels; under exactly-once it is no part of the transaction, and visible at once.

    `transactional_id` is "" under at-least-once, where both are the same. `failed` hears of a send that nobody waits
    for and that was not delivered.
    """

    def __init__(
        self,
        transport: Transport,
        name: str,
        transactional_id: str,
        counts: Mapping[str, int],
        windowed: Container[str],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._transport, self.transactional_id = transport, transactional_id
        self._plain = transport.producer(name)
        self.outside = self.inside = RecordCollector(self._plain, counts, failed, windowed)
        self._transactional: TransactionalProducer | None = None
        self._committing: ExactlyOnce | None = None
        if transactional_id:
            self._transactional = transport.transactional_producer(name, transactional_id, timeout=TRANSACTION)
            self.inside = RecordCollector(self._transactional, counts, self._ruined, windowed, transactional=True)

    def _ruined(self, error: StreamzError) -> None:
        assert self._committing is not None
        self._committing.ruin(error)

    def committing(self, parts: Parts) -> Committing:
        """Who ends what is sent inside."""
        if self._transactional is None:
            return AtLeastOnce(parts)
        self._committing = ExactlyOnce(parts, self._transactional, self._transport)
        return self._committing

    async def start(self) -> None:
        await self._plain.start()

    @property
    def sent(self) -> dict[str, int]:
        """Records by topic."""
        if self.inside is self.outside:
            return self.inside.sent
        return dict(Counter(self.inside.sent) + Counter(self.outside.sent))

    @property
    def unacknowledged(self) -> int:
        return self.inside.outstanding + (self.outside.outstanding if self.inside is not self.outside else 0)

    @property
    def idle(self) -> bool:
        return self.inside.idle and self.outside.idle

    async def stop(self) -> None:
        """An open transaction is aborted."""
        if self._transactional is not None:
            await self._transactional.stop()
        await self._plain.stop()
