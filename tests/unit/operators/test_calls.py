"""User functions over columns: order, failures named by record, coroutines that nobody awaits."""

from functools import partial
from typing import Any

import pytest

from streamz_actors.dataflow.calls import over_columns
from streamz_actors.errors import DecodeError, HandlerError
from tests.unit.operators.bench import batch_of

BATCH = batch_of([("a", 1, 10), ("b", 0, 11), ("c", 2, 12)])


async def divided(key: str, value: int) -> float:
    return 6 / value


def inline(key: str, value: int) -> float:
    return 6 / value


@pytest.mark.parametrize("function", [inline, divided, partial(inline)])
async def test_a_failure_names_function_and_record(function: Any) -> None:
    call = over_columns(function, "map 'x'")
    with pytest.raises(HandlerError, match=r"map 'x' failed at topic 'in', partition 0, offset 101: Zero") as caught:
        await call(BATCH, BATCH.keys, BATCH.values)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_async_functions_are_awaited_in_order() -> None:
    seen: list[str] = []

    async def note(key: str) -> str:
        seen.append(key)
        return key.upper()

    assert await over_columns(note, "note")(BATCH, BATCH.keys) == ["A", "B", "C"]
    assert seen == ["a", "b", "c"]


def misread(value: int) -> None:
    raise DecodeError("no number")


async def misread_slowly(value: int) -> None:
    raise DecodeError("no number")


@pytest.mark.parametrize("function", [misread, misread_slowly])
async def test_errors_of_the_framework_pass_through(function: Any) -> None:
    with pytest.raises(DecodeError, match="no number"):
        await over_columns(function, "map")(BATCH, BATCH.values)


async def test_stop_iteration_does_not_cut_a_column_short() -> None:
    def first(value: int) -> int:
        return next(iter([value] if value else []))

    with pytest.raises(HandlerError, match="offset 101: StopIteration"):
        await over_columns(first, "map")(BATCH, BATCH.values)


async def test_a_coroutine_that_would_stay_unawaited_is_an_error() -> None:
    with pytest.raises(HandlerError, match="make it `async def`"):
        await over_columns(lambda key, value: divided(key, value), "map")(BATCH, BATCH.keys, BATCH.values)
