"""One run of an application: its worker, its queries and its web server, and what declared objects see of them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from streamz_actors.clock import Clock
from streamz_actors.dataflow.context import Collector, Link, Refused, aside, running_inside, sending
from streamz_actors.query.anywhere import Queries
from streamz_actors.stores.abc import Backend
from streamz_actors.tasks.commit import Watcher, unwatched
from streamz_actors.transport.abc import Transport
from streamz_actors.types import Headers, WindowValue
from streamz_actors.web.pages import Page
from streamz_actors.web.server import WebServer
from streamz_actors.web.siblings import Siblings
from streamz_actors.worker.bounded import Bounded
from streamz_actors.worker.spec import Spec
from streamz_actors.worker.worker import Worker

logger = logging.getLogger("streamz_actors.worker")


class Running:
    """Made by `app.worker()`. While it runs, topics can be sent to, agents asked and tables looked up."""

    def __init__(
        self,
        spec: Spec,
        transport: Transport,
        backend: Backend,
        clock: Clock,
        link: Link,
        *,
        name: str,
        pages: Sequence[Page] = (),
        bounded: bool = False,
        watch: Watcher = unwatched,
        patience: float = 1.0,
        ticking: bool = True,
        siblings: Siblings | None = None,
    ) -> None:
        self.worker = Worker(
            spec, transport, backend, clock, name=name, watch=watch, patience=patience, ticking=ticking
        )
        self.queries = Queries(self.worker, backend)
        self.web = WebServer(self.worker, self.queries, pages, siblings) if spec.settings.web_enabled else None
        self._link = link
        self._ticking = ticking
        self._bounded = Bounded(self.worker) if bounded else None
        # At the first start of all, a wrong address is likelier than an outage.
        self.worker.reaching.patient = not bounded and bool(backend.places())

    async def run(self) -> None:
        """Its whole life. Raises what made it fail."""
        outside = running_inside.set((self._link, self))
        try:
            if self.web is not None:
                await self.web.start()
                self.worker.address = self.web.address
            self._link.runtime = self
            if self._ticking:
                self.worker.beside(self.worker.watchdog.watch(), "watchdog")
            if self._bounded is not None:
                self.worker.beside(self._bounded.watch(), "bounded run")
            await self.worker.run()
        finally:
            if self._link.runtime is self:
                self._link.runtime = None
            if self.web is not None:
                await self.web.stop()
            await self.queries.close()
            running_inside.reset(outside)

    async def ready(self) -> None:
        """Returns when partitions are assigned and their tables restored, or when it is known that it is a spare."""
        await self.worker.ready.wait()

    def stop(self) -> None:
        """Asks for the end: what is in hand is finished and committed."""
        self.worker.stop()

    # -- what declared objects see

    @property
    def clock(self) -> Clock:
        return self.worker.clock

    @property
    def collector(self) -> Collector:
        inside = None if aside.get() else sending.get()
        return self.worker.outside if inside is None else inside

    def states(self, table: str) -> Mapping[int, Any]:
        return self.worker.states(table)

    async def lookup(self, table: str, key: Any) -> Any:
        found = await self.queries.get(table, key)
        return None if found is None else found.value

    async def dated(self, table: str, key: Any) -> tuple[Any, int] | None:
        found = await self.queries.get(table, key)
        return None if found is None else (found.value, found.timestamp)

    async def windows(self, table: str, key: Any, start: int | None, stop: int | None) -> list[WindowValue[Any]]:
        found = await self.queries.windows(table, key, start, stop)
        return [] if found is None else list(found.value)

    async def question(self) -> "tuple[Headers, asyncio.Future[bytes | None]]":
        return await self.worker.questions.ask()

    def answer(
        self, topic: str, correlation: bytes, value: bytes | None, headers: Headers, refused: Refused
    ) -> None:
        self.worker.questions.answer(topic, correlation, value, headers, refused)
