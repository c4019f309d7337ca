"""`app worker` and `app run`: a worker in this process, from its banner to its last commit."""

import asyncio
import importlib.util
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from streamz_actors.cli.application import Application
from streamz_actors.cli.garbage import settle
from streamz_actors.cli.options import settings_options
from streamz_actors.cli.progress import Restores, at_terminal, banner
from streamz_actors.cli.session import Session, pass_session
from streamz_actors.cli.signals import stop_on_signals
from streamz_actors.config import Settings
from streamz_actors.telemetry.logs import setup
from streamz_actors.worker.worker import Worker

logger = logging.getLogger("streamz_actors.cli")

LOOK = 0.1
"""Seconds between two looks at how far the start is."""

LEVELS = ("debug", "info", "warning", "error")


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What both commands take."""
    level = click.option(
        "--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="The least that is logged."
    )
    loop = click.option(
        "--uvloop/--no-uvloop", "fast_loop", default=True, help="Use uvloop, where it is installed. Default: yes."
    )
    return level(loop(settings_options()(function)))


@click.command()
@_options
@pass_session
def worker(session: Session, overrides: dict[str, str], log_level: str, fast_loop: bool) -> None:
    """Run a worker until it is stopped.

    SIGINT (Ctrl-C) and SIGTERM let it finish what is in hand, commit and leave; a second one ends it at once.
    """
    _serve(session, overrides, log_level, fast_loop=fast_loop, bounded=False)


@click.command()
@click.option("--bounded", is_flag=True, help="To the end that the topics have now, then exit.")
@_options
@pass_session
def run(session: Session, overrides: dict[str, str], log_level: str, fast_loop: bool, bounded: bool) -> None:
    """Run a worker; with --bounded until everything that the topics hold now is done."""
    _serve(session, overrides, log_level, fast_loop=fast_loop, bounded=bounded)


def _serve(session: Session, overrides: dict[str, str], log_level: str, *, fast_loop: bool, bounded: bool) -> None:
    application, settings = session.prepare(overrides)
    setup(settings.log_format, log_level)
    if settings.log_format == "json":
        session.report = logger.critical
    with asyncio.Runner(loop_factory=_loop_factory(fast_loop)) as runner:
        runner.run(_work(application, settings, overrides, bounded))


def _loop_factory(fast: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loops, where they are wanted and there."""
    if not fast or importlib.util.find_spec("uvloop") is None:
        return None
    from uvloop import new_event_loop

    return new_event_loop


async def _work(application: Application, settings: Settings, overrides: dict[str, str], bounded: bool) -> None:
    """The worker, and beside it what tells of its start. Raises what makes the worker fail."""
    running = application.worker(bounded=bounded, **overrides)
    with stop_on_signals(running.stop):
        ready = asyncio.create_task(running.ready(), name="ready")
        telling = asyncio.create_task(_tell(application, settings, running.worker, ready), name="start")
        try:
            await running.run()
        finally:
            if not ready.done():
                ready.cancel()
                telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
    logger.info("stopped: everything in hand is committed")


async def _tell(application: Application, settings: Settings, worker: Worker, ready: "asyncio.Task[None]") -> None:
    """Announces the worker, shows how its tables are restored, and settles the process once it is ready."""
    watched = at_terminal() and settings.log_format == "plain"
    bars = Restores()
    announced = False
    try:
        while not ready.done():
            if not announced and (worker.address or not settings.web_enabled):
                announced = True
                _announce(application, settings, worker, watched=watched)
            if watched:
                bars.show(worker.assigned.restorer.progress)
            await asyncio.wait((ready,), timeout=LOOK)
    finally:
        bars.close()
    if not announced:
        _announce(application, settings, worker, watched=watched)
    settle()
    if worker.spare:
        logger.info("ready as a spare: another worker has the partitions")
    else:
        logger.info("ready: %d tasks", len(worker.tasks))


def _announce(application: Application, settings: Settings, worker: Worker, *, watched: bool) -> None:
    tables = [table.name for table in application.topology().tables]
    local = settings.store_url.startswith("memory:")
    facts = {
        "application": application.id,
        "broker": settings.broker,
        "state": settings.store_url if local else f"{settings.store_url} in {settings.data_dir}",
        "web": worker.address or "off",
        "tables": ", ".join(tables) or "none",
    }
    if watched:
        banner(facts)
    else:
        logger.info("; ".join(f"{name}: {fact}" for name, fact in facts.items()))
