"""Types read from annotations; Any wherever they say nothing that can be used."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pytest

from streamz_actors.serde.schema import schema_for
from streamz_actors.streams.inference import common, item_of, pair_of, returned, schema_of


class Odd:
    def __call__(self) -> int:
        return 1


def plain() -> int:
    return 1


async def slow() -> str:
    return ""


def perhaps() -> int | None: ...
def vague() -> object: ...
def nothing() -> None: ...
def unknown() -> "Nowhere": ...  # type: ignore[name-defined]  # noqa: F821
def bare(): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plain, int), (slow, str), (perhaps, int), (vague, Any), (nothing, Any), (unknown, Any), (bare, Any),
        (lambda: 1, Any), (partial(plain), int), (str, str), (Odd(), Any), (len, Any),
    ],
)
def test_what_a_function_returns(function: Any, expected: Any) -> None:
    assert returned(function) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (tuple[str, int], (str, int)),
        (tuple[str | None, int | None], (str, int)),
        (tuple[int, ...], (Any, Any)),
        (tuple[int, int, int], (Any, Any)),
        (list[int], (Any, Any)),
        (Any, (Any, Any)),
    ],
)
def test_pairs(annotation: Any, expected: Any) -> None:
    assert pair_of(annotation) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (list[int], int), (Iterator[str], str), (Iterable[int | None], int), (tuple[int, ...], int),
        (tuple[int, int], int), (tuple[int, str], Any), (list, Any), (int, Any), (Any, Any), (int | str, Any),
    ],
)
def test_items(annotation: Any, expected: Any) -> None:
    assert item_of(annotation) == expected


def test_a_declared_type_wins_and_an_unusable_annotation_is_unknown() -> None:
    assert schema_of(int, str) == schema_for(int)
    assert schema_of(None, str, key=True) == schema_for(str, key=True)
    assert schema_of(None, Odd) == schema_for(Any)


def test_what_records_of_several_places_have_in_common() -> None:
    number, text = schema_for(int), schema_for(str)
    assert common([number, number]) == number
    assert common([number, text]) == schema_for(Any)
