"""User functions over columns: called row after row with nothing in between; a failure is told with its record."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import compress
from types import CoroutineType
from typing import Any, Final

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.guard import STRICT, Guard
from streamz_actors.dataflow.node import is_async
from streamz_actors.errors import HandlerError

GONE: Final = object()
"""In the place of a row's result: it was given up."""


class Call:
    """A user function, spread over rows: `await call(batch, batch.keys, batch.values)` gives the column of its results.

    The columns are as long as the batch, which is there to name the record that failed. One that is `async def` is
    awaited row after row.
    """

    def __init__(self, function: Callable[..., Any], what: str) -> None:
        self._function, self.what = function, what
        self._waits = is_async(function)

    def __call__(self, batch: Batch, *columns: Sequence[Any]) -> Awaitable[Column]:
        """Raises HandlerError for the first failure; errors of the framework itself pass through as they are."""
        return self.column(STRICT, batch, *columns)

    async def kept(self, guard: Guard, batch: Batch, *columns: Sequence[Any]) -> tuple[Batch, Column]:
        """The rows on which it did not fail, and its results."""
        before = guard.failures
        out = await self.column(guard, batch, *columns)
        if guard.failures == before:
            return batch, out
        there = [result is not GONE for result in out]
        return batch.select(there), list(compress(out, there))

    async def column(self, guard: Guard, batch: Batch, *columns: Sequence[Any]) -> Column:
        """Its results; GONE for a row that was given up."""
        return await self._awaited(guard, batch, columns) if self._waits else self._inline(guard, batch, columns)

    def _inline(self, guard: Guard, batch: Batch, columns: Sequence[Sequence[Any]]) -> Column:
        out: Column = []
        results = map(self._function, *columns)
        while True:
            try:
                # What came before an error stays in `out`: so its length is the failing row.
                out.extend(results)
            except Exception as error:
                guard.failed(self.what, batch, len(out), error)
                out.append(GONE)
                continue
            if len(out) == len(batch):
                break
            ended = StopIteration("the function raised StopIteration")
            guard.failed(self.what, batch, len(out), ended)
            out.append(GONE)
        if out and isinstance(out[0], CoroutineType):
            raise failure(self.what, batch, 0, _unawaited(out))
        return out

    async def _awaited(self, guard: Guard, batch: Batch, columns: Sequence[Sequence[Any]]) -> Column:
        out: Column = []
        for row in zip(*columns, strict=True):
            try:
                out.append(await self._function(*row))
            except Exception as error:
                guard.failed(self.what, batch, len(out), error)
                out.append(GONE)
        return out


def over_columns(function: Callable[..., Any], what: str) -> Call:
    """`function` takes one argument for each column; `what` names it in messages."""
    return Call(function, what)


def failure(what: str, batch: Batch, index: int, cause: BaseException) -> HandlerError:
    """The error to raise where user code failed on a row."""
    return HandlerError(what, batch.origin, batch.offsets[index], cause)


def _unawaited(results: Column) -> TypeError:
    for result in results:
        if isinstance(result, CoroutineType):
            result.close()
    return TypeError("the function gave a coroutine instead of a result: make it `async def`, so that it is awaited")
