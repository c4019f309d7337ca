"""`app worker --processes N`: this process supervises, and N of the same command line work."""

import asyncio
import logging
import sys
from contextlib import ExitStack
from functools import partial

from streamz_actors.cli.connect import connected
from streamz_actors.cli.farewell import Farewell
from streamz_actors.cli.progress import announce, facts
from streamz_actors.cli.session import Session
from streamz_actors.cli.signals import roll_on_hangup, stop_on_signals
from streamz_actors.cli.supervisor import Outcome, Supervisor
from streamz_actors.clock import SystemClock
from streamz_actors.config import DEFAULT, Settings
from streamz_actors.errors import ConfigError
from streamz_actors.telemetry.logs import setup
from streamz_actors.web import listening

logger = logging.getLogger("streamz_actors.cli")


def supervise(session: Session, overrides: dict[str, str], log_level: str, count: int) -> None:
    """Runs until it is stopped. Raises ConfigError for what several processes cannot do, exits where they fail."""
    application, settings = session.prepare(overrides)
    setup(settings.log_format, log_level)
    if settings.log_format == "json":
        session.report = logger.critical
    _check(settings, count)
    with ExitStack() as opened:
        listeners = listening.listen(settings.web_host, settings.web_port) if settings.web_enabled else []
        for sock in listeners:
            opened.enter_context(sock)
        address = listening.url(settings.web_host, listeners[0].getsockname()[1]) if listeners else "off"
        announce(facts(application, settings, address) | {"processes": str(count)}, settings)
        connect = partial(connected, settings)
        connect()  # what it imports takes long where it is needed at once
        supervisor = Supervisor(command(), count, listeners, SystemClock(), farewell=Farewell(connect))
        outcome = asyncio.run(_run(supervisor))
    if outcome.code:
        session.report(outcome.message or "not every process has ended well: the lines above say which")
        sys.exit(outcome.code)
    logger.info("stopped: all processes have committed and left")


def command() -> list[str]:
    """The command line of this process, options of the interpreter included."""
    return [sys.executable, *sys.orig_argv[1:]]


def _check(settings: Settings, count: int) -> None:
    if settings.embedded:
        origin = settings.origins.get("broker", DEFAULT)
        raise ConfigError(
            f"--processes {count}: broker {settings.broker!r} ({origin}) is embedded in one process, which others "
            "do not reach; name a Kafka, such as --broker kafka://localhost:9092"
        )


async def _run(supervisor: Supervisor) -> Outcome:
    with stop_on_signals(supervisor.stop, supervisor.kill), roll_on_hangup(supervisor.roll, supervisor.stop):
        return await supervisor.run()
