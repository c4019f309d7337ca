"""Signals that end a worker: the first asks it to finish, the second ends the process at once."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
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

    before: dict[signal.Signals, Any] = {number: signal.signal(number, handle) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
