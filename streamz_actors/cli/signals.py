"""Signals: the first that ends asks a worker to finish, the second ends the process at once; SIGHUP asks, or rolls."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger("streamz_actors.cli")

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(stop: Callable[[], None], kill: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While the block runs, the first SIGINT or SIGTERM calls `stop` in the running loop, the next exits: 130, 143.

    Before it exits it calls `kill`, which must not wait for anything. The handlers are Python's own and not the loop's,
    so that the second works while a function blocks the loop.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def first() -> None:
        logger.info("stopping: finishing what is in hand; once more ends it at once")
        stop()

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            kill()
            sys.stderr.flush()
            os._exit(128 + number)
        asked = True
        loop.call_soon_threadsafe(first)

    with _handled(dict.fromkeys(ENDING, handle)):
        yield


@contextmanager
def stop_on_hangup(stop: Callable[[], None]) -> Iterator[None]:
    """While the block runs, SIGHUP calls `stop` in the running loop, once: shells and terminals may send several, and
    service managers one behind a SIGTERM. None of them is taken for the second signal that ends at once.
    """
    asked = False

    def first() -> None:
        nonlocal asked
        if not asked:
            asked = True
            logger.info("stopping, for SIGHUP has come: finishing what is in hand")
            stop()

    with _on_hangup(first):
        yield


@contextmanager
def roll_on_hangup(roll: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """While the block runs, SIGHUP calls `roll` in the running loop; `stop` if it comes as the terminal is gone."""
    at_terminal = sys.stderr.isatty()

    def called() -> None:
        gone = at_terminal and not sys.stderr.isatty()
        (stop if gone else roll)()

    with _on_hangup(called):
        yield


@contextmanager
def _on_hangup(call: Callable[[], None]) -> Iterator[None]:
    """Where the signal was to be ignored (nohup), it is."""
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)

    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    with _handled({} if ignored else {signal.SIGHUP: handle}):
        yield


@contextmanager
def _handled(handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], None]]) -> Iterator[None]:
    before: dict[signal.Signals, Any] = {number: signal.signal(number, handle) for number, handle in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
