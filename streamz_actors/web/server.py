"""The worker's web server: puts the handlers together, and runs them inside the worker's event loop."""

import errno
import socket
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from streamz_actors.errors import ConfigError, NotRunning
from streamz_actors.query.local import LocalQueries
from streamz_actors.telemetry.loop_lag import LoopLag
from streamz_actors.web import pages as user_pages
from streamz_actors.web.agents import Agents
from streamz_actors.web.health import Health
from streamz_actors.web.index import Index
from streamz_actors.web.lag import Lag
from streamz_actors.web.metrics import Metrics
from streamz_actors.web.pages import Page
from streamz_actors.web.problems import problems
from streamz_actors.web.tables import Tables
from streamz_actors.web.topics import Topics
from streamz_actors.web.topology import TopologyPages
from streamz_actors.worker.worker import Worker

GRACE: Final = 2.0
"""Seconds that requests under way get to end in when the server stops."""

EVERYWHERE: Final = ("", "0.0.0.0", "::")
"""Addresses to bind to that are none to connect to."""


class WebServer:
    """Serves from `start` to `stop`, with or without a worker that is ready: readiness is one of its answers."""

    def __init__(self, worker: Worker, queries: LocalQueries, pages: Sequence[Page]) -> None:
        self._settings = worker.spec.settings
        self._loop_lag = LoopLag(worker.clock)
        self._application = self._composed(worker, queries, tuple(pages))
        self._runner: web.AppRunner | None = None

    def _composed(self, worker: Worker, queries: LocalQueries, pages: tuple[Page, ...]) -> web.Application:
        application = web.Application(middlewares=[problems])
        lag = Lag(worker)
        application.add_routes(Health(worker, self._loop_lag).routes())
        application.add_routes(Metrics(worker, queries, lag, self._loop_lag).routes())
        application.add_routes(Tables(queries).routes())
        application.add_routes(TopologyPages(worker).routes())
        application.add_routes(Agents(worker, lag).routes())
        application.add_routes(Topics(worker).routes())
        if all(page.path != "/" for page in pages):
            application.add_routes(Index(worker, [page.path for page in pages if page.plain]).routes())
        application.add_routes(user_pages.routes(pages))
        return application

    async def start(self) -> None:
        """Raises ConfigError, naming address and port, if it cannot bind."""
        host, port = self._settings.web_host, self._settings.web_port
        runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=GRACE)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(
                f"cannot serve HTTP on {host}:{port}: {_reason(error)}; set web_port to a free port, or to 0 for any"
            ) from error
        self._runner = runner
        self._loop_lag.start()

    async def stop(self) -> None:
        """Safe to call twice, and without `start`."""
        await self._loop_lag.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """Where it answers, as others can reach it: bound to every address, under this machine's name."""
        if self._runner is None:
            raise NotRunning("the web server has no address before it is started")
        host, port = self._settings.web_host, self._runner.addresses[0][1]
        if host in EVERYWHERE:
            host = socket.gethostname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reason(error: OSError) -> str:
    return "the port is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
