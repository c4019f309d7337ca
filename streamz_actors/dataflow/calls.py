"""User functions over columns: called row after row with nothing in between; a failure is told with its record."""

from collections.abc import Awaitable, Callable, Sequence
from types import CoroutineType
from typing import Any, Protocol

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.node import is_async
from streamz_actors.errors import HandlerError, StreamzError


class Call(Protocol):
    """A user function, spread over rows: `await call(batch, batch.keys, batch.values)` gives the column of its results.

    The columns are as long as the batch, which is there to name the record that failed. Raises HandlerError; errors of
    the framework itself pass through as they are.
    """

    def __call__(self, batch: Batch, *columns: Sequence[Any]) -> Awaitable[Column]: ...


def over_columns(function: Callable[..., Any], what: str) -> Call:
    """`function` takes one argument for each column; one that is `async def` is awaited row after row."""
    return _awaited(function, what) if is_async(function) else _inline(function, what)


def failure(what: str, batch: Batch, index: int, cause: BaseException) -> HandlerError:
    """The error to raise where user code failed on a row."""
    return HandlerError(what, batch.origin, batch.offsets[index], cause)


def _inline(function: Callable[..., Any], what: str) -> Call:
    async def call(batch: Batch, *columns: Sequence[Any]) -> Column:
        out: Column = []
        try:
            # What came before an error stays in `out`: so its length is the failing row.
            out.extend(map(function, *columns))
        except StreamzError:
            raise
        except Exception as error:
            raise failure(what, batch, len(out), error) from error
        if len(out) != len(batch):
            raise failure(what, batch, len(out), StopIteration("the function raised StopIteration"))
        if out and isinstance(out[0], CoroutineType):
            raise failure(what, batch, 0, _unawaited(out))
        return out

    return call


def _awaited(function: Callable[..., Any], what: str) -> Call:
    async def call(batch: Batch, *columns: Sequence[Any]) -> Column:
        out: Column = []
        try:
            for row in zip(*columns, strict=True):
                out.append(await function(*row))
        except StreamzError:
            raise
        except Exception as error:
            raise failure(what, batch, len(out), error) from error
        return out

    return call


def _unawaited(results: Column) -> TypeError:
    for result in results:
        if isinstance(result, CoroutineType):
            result.close()
    return TypeError("the function gave a coroutine instead of a result: make it `async def`, so that it is awaited")
