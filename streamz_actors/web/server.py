"""The worker's web server: puts the handlers together, and runs them inside the worker's event loop."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from streamz_actors.errors import NotRunning
from streamz_actors.query.anywhere import Queries
from streamz_actors.telemetry.loop_lag import LoopLag
from streamz_actors.web import listening
from streamz_actors.web import pages as user_pages
from streamz_actors.web.agents import Agents
from streamz_actors.web.auth import guard
from streamz_actors.web.cluster import Cluster
from streamz_actors.web.gather import gathering
from streamz_actors.web.health import Health
from streamz_actors.web.index import Index
from streamz_actors.web.internal import Internal
from streamz_actors.web.lag import Lag
from streamz_actors.web.metrics import Metrics
from streamz_actors.web.pages import Page
from streamz_actors.web.problems import problems
from streamz_actors.web.siblings import Siblings
from streamz_actors.web.tables import Tables
from streamz_actors.web.topics import Topics
from streamz_actors.web.topology import TopologyPages
from streamz_actors.worker.worker import Worker

GRACE: Final = 2.0
"""Seconds that requests under way get to end in when the server stops."""


class WebServer:
    """Serves from `start` to `stop`, with or without a worker that is ready: readiness is one of its answers.

    With `siblings`, who share the port of the settings, it serves that one and a free port of its own.
    """

    def __init__(
        self, worker: Worker, queries: Queries, pages: Sequence[Page], siblings: Siblings | None = None
    ) -> None:
        self._settings = worker.spec.settings
        self._siblings = siblings
        self._loop_lag = LoopLag(worker.clock)
        self._application = self._composed(worker, queries, tuple(pages))
        self._runner: web.AppRunner | None = None

    def _composed(self, worker: Worker, queries: Queries, pages: tuple[Page, ...]) -> web.Application:
        application = web.Application(middlewares=[problems, *guard(self._settings.web_token)])
        lag = Lag(worker)
        routes = [
            *Health(worker, self._loop_lag).routes(),
            *Metrics(worker, queries.local, lag, self._loop_lag).routes(),
            *Tables(queries).routes(),
            *Internal(worker.spec.app_id, queries).routes(),
            *Cluster(worker, queries.local.access).routes(),
            *TopologyPages(worker).routes(),
            *Agents(worker, lag).routes(),
            *Topics(worker).routes(),
        ]
        application.add_routes(routes if self._siblings is None else gathering(self._siblings, routes))
        if all(page.path != "/" for page in pages):
            application.add_routes(Index(worker, [page.path for page in pages if page.plain]).routes())
        application.add_routes(user_pages.routes(pages))
        return application

    async def start(self) -> None:
        """Raises ConfigError, naming address and port, if it cannot bind."""
        siblings, host = self._siblings, self._settings.web_host
        sockets = listening.listen(host, self._settings.web_port) if siblings is None else siblings.listen(host)
        self._runner = runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=GRACE)
        await runner.setup()
        for sock in sockets:
            await web.SockSite(runner, sock).start()
        if siblings is not None:
            siblings.own = listening.url(host, self._port(), here=True)
            await siblings.serve(runner)
        self._loop_lag.start()

    async def stop(self) -> None:
        """Safe to call twice, and without `start`."""
        await self._loop_lag.stop()
        if self._siblings is not None:
            await self._siblings.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """Where it answers, as others can reach it: bound to every address, under this machine's name."""
        return listening.url(self._settings.web_host, self._port())

    @property
    def address(self) -> str:
        """Where other workers ask it: as the settings advertise it, else its own URL.

        Of an advertised URL that siblings share only the host counts, for each of them answers at a port of its own.
        """
        advertised = self._settings.web_advertised_url
        if advertised is None:
            return self.url
        if self._siblings is None:
            return advertised.rstrip("/")
        parts = urlsplit(advertised)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}:{self._port()}"

    def _port(self) -> int:
        """The first site's: its own."""
        if self._runner is None:
            raise NotRunning("the web server has no address before it is started")
        port: int = self._runner.addresses[0][1]
        return port
