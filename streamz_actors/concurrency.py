"""Coroutines that run beside their owner, and are waited for at its end; and those that run to their end at once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from streamz_actors.errors import UsageError


class Background:
    """Runs coroutines beside their owner until they end or `stop` cancels them. `failed` gets each error, once."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def stop(self) -> None:
        """Cancels what still runs and waits for it; an error that comes out now is told as well."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def at_once(work: Coroutine[Any, Any, None], what: str) -> None:
    """Runs a coroutine that does not suspend. Raises UsageError if it does, which begins with `what`."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise UsageError(f"{what}: a function gave an awaitable but is not `async def`")
