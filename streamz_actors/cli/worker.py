"""`app worker` and `app run`: a worker in this process, from its banner to its last commit; or several beside it."""

import asyncio
import importlib.util
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from streamz_actors.cli.application import Application
from streamz_actors.cli.child import Child
from streamz_actors.cli.control import Place, Seat
from streamz_actors.cli.garbage import settle
from streamz_actors.cli.options import settings_options
from streamz_actors.cli.processes import supervise
from streamz_actors.cli.progress import Audience, People
from streamz_actors.cli.session import Session, pass_session
from streamz_actors.cli.signals import stop_on_hangup, stop_on_signals
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
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
    help="Worker processes, supervised and behind one web port. They need a Kafka that they share.",
)
@_options
@pass_session
def worker(session: Session, overrides: dict[str, str], log_level: str, fast_loop: bool, processes: int) -> None:
    """Run a worker until it is stopped.

    SIGINT (Ctrl-C) and SIGTERM let it finish what is in hand, commit and leave; a second one ends it at once. SIGHUP,
    as of a closed terminal, does what the first does (under nohup it is ignored). A supervisor that gets it replaces
    its processes one after the other.

    Where no broker answers at its start it ends with an error; but if it has run here before and left state of its
    tables, it waits for one: it tries every few seconds, and says why it has not begun.
    """
    seat = Seat.taken()
    if seat is not None:
        child = Child(seat)
        _serve(session, overrides, log_level, fast_loop=fast_loop, bounded=False, child=child)
        child.hang_up()
    elif processes > 1:
        supervise(session, overrides, log_level, processes)
    else:
        _serve(session, overrides, log_level, fast_loop=fast_loop, bounded=False)


@click.command()
@click.option("--bounded", is_flag=True, help="To the end that the topics have now, then exit.")
@_options
@pass_session
def run(session: Session, overrides: dict[str, str], log_level: str, fast_loop: bool, bounded: bool) -> None:
    """Run a worker; with --bounded until everything that the topics hold now is done.

    A bounded run ends with an error if no broker answers.
    """
    _serve(session, overrides, log_level, fast_loop=fast_loop, bounded=bounded)


def _serve(
    session: Session,
    overrides: dict[str, str],
    log_level: str,
    *,
    fast_loop: bool,
    bounded: bool,
    child: Child | None = None,
) -> None:
    if child is not None:
        session.report, overrides = child.report, overrides | child.overrides
    application, settings = session.prepare(overrides)
    setup(settings.log_format, log_level, None if child is None else child.number)
    if child is None and settings.log_format == "json":
        session.report = logger.critical
    with asyncio.Runner(loop_factory=_loop_factory(fast_loop)) as runner:
        runner.run(_work(application, settings, overrides, bounded, child))


def _loop_factory(fast: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loops, where they are wanted and there."""
    if not fast or importlib.util.find_spec("uvloop") is None:
        return None
    from uvloop import new_event_loop

    return new_event_loop


async def _work(
    application: Application, settings: Settings, overrides: dict[str, str], bounded: bool, child: Child | None
) -> None:
    """The worker, and beside it what tells of its start. Raises what makes the worker fail, and what it could not
    commit when it was stopped.
    """
    running = application.worker(bounded=bounded, siblings=None if child is None else child.siblings, **overrides)
    audience: Audience = People(application, settings) if child is None else child

    def stop() -> None:
        running.stop()
        if child is not None:
            child.dismiss()

    with stop_on_signals(stop), stop_on_hangup(stop):
        ready = asyncio.create_task(running.ready(), name="ready")
        telling = asyncio.create_task(_tell(audience, settings, running.worker, ready), name="start")
        following = None if child is None else asyncio.create_task(child.follow(stop), name="supervisor")
        try:
            if child is not None and not await _its_turn(child, running.worker):
                return
            await running.run()
        finally:
            if child is not None:
                child.done()
            if not ready.done():
                ready.cancel()
                telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
            if following is not None:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
    if running.worker.undone is not None:
        raise running.worker.undone
    logger.info("stopped: everything in hand is committed")


async def _its_turn(child: Child, worker: Worker) -> bool:
    """Whether it is to begin, once everything that can go wrong beforehand has gone well."""
    settings = worker.spec.settings

    def placed(member: str) -> None:
        transactional = worker.members.transactional_id or None
        child.placed(Place(worker.spec.app_id, member, settings.group_instance_id, transactional))

    worker.members.placed = placed
    child.loaded()
    return await child.begins()


async def _tell(audience: Audience, settings: Settings, worker: Worker, ready: "asyncio.Task[None]") -> None:
    """Says where the worker answers and how its tables are restored, and settles the process once it is ready."""
    serving = False
    try:
        while not ready.done():
            if not serving and (worker.address or not settings.web_enabled):
                serving = True
                audience.serving(worker)
            audience.restoring(worker.assigned.restorer.progress)
            await asyncio.wait((ready,), timeout=LOOK)
    finally:
        audience.close()
    if not serving:
        audience.serving(worker)
    settle()
    audience.ready()
    if worker.spare:
        logger.info("ready as a spare: another worker has the partitions")
    else:
        logger.info("ready: %d tasks", len(worker.tasks))
