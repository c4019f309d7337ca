"""JSON for people: everything goes out, typed values come in."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from streamz_actors.errors import DecodeError
from streamz_actors.serde.models import Record
from streamz_actors.serde.plain import reader, to_json


class Order(Record):
    account: str
    tags: set[str] = set()
    counts: dict[int, int] = {}


@dataclass
class Point:
    x: int
    seen: datetime


class Model(BaseModel):
    name: str


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


class Colour(Enum):
    RED = "red"


NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Order("a", {"z", "b"}), '{"account":"a","tags":["b","z"],"counts":{}}'),
        (Order("a", set(), {2: 1}), '{"account":"a","tags":[],"counts":{"2":1}}'),
        (Point(1, NOON), '{"x":1,"seen":"2013-01-01T12:00:00Z"}'),
        (Model(name="n"), '{"name":"n"}'),
        ([Model(name="n")], '[{"name":"n"}]'),
        (b"\x00\xff", '"AP8="'),
        ({3, 10, 2}, "[2,3,10]"),
        (frozenset({"a", 1}), '["a",1]'),
        ({"b": 1, "a": {"d": 1, "c": 2}}, '{"b":1,"a":{"d":1,"c":2}}'),
        ({1: "i", 1.5: "f", None: "n", ("a", 1): "t", b"\xff": "b", NOON: "d", Colour.RED: "e"},
         '{"1":"i","1.5":"f","null":"n","[\\"a\\",1]":"t","/w==":"b","2013-01-01T12:00:00Z":"d","red":"e"}'),
        ({True: 1}, '{"true":1}'),
        ((1, (2,)), "[1,[2]]"),
        (float("nan"), "null"),
        (2**70, str(2**70)),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Odd(), '"<odd>"'),
        ({"x": [Odd()]}, '{"x":["<odd>"]}'),
    ],
)  # fmt: skip
def test_a_value_as_json(value: object, text: str) -> None:
    assert to_json(value).decode() == text


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
))  # fmt: skip
def test_what_json_has_comes_back(value: object) -> None:
    assert json.loads(to_json(value)) == value


def test_values_are_read_by_their_type() -> None:
    assert reader(Order)(b'{"account": "a", "tags": ["x"]}') == Order("a", {"x"})
    assert reader(bytes)(b'"AP8="') == b"\x00\xff"
    assert reader(datetime)(b'"2013-01-01T12:00:00Z"') == NOON
    assert reader(Any)(b"[1, 2]") == [1, 2]
    assert reader(Any, key=True)(b"[1, 2]") == (1, 2)


def test_null_is_none_for_every_type() -> None:
    assert reader(Order)(b" null ") is None


def test_a_wrong_value_names_its_field() -> None:
    with pytest.raises(DecodeError, match=r"\$\.tags"):
        reader(Order)(b'{"account": "a", "tags": 3}')


def test_a_type_without_json_is_read_as_plain_json() -> None:
    assert reader(Odd)(b'{"a": 1}') == {"a": 1}
