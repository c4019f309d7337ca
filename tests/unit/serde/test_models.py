"""Records: fields, defaults, copies, JSON; and types told by name and by JSON Schema."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NewType, Optional

import pydantic
import pytest

from streamz_actors.errors import ConfigError, DecodeError, EncodeError
from streamz_actors.serde.describe import describe, json_schema
from streamz_actors.serde.models import Record


class Address(Record):
    city: str
    zip: str = ""


class Order(Record):
    account: str
    amount: float
    currency: str = "EUR"
    tags: list[str] = []
    address: Address | None = None


class Rush(Order):
    hours: int = 1


class Point(Record, frozen=True):
    x: int
    y: int


class Tree(Record):
    label: str
    kids: "list[Tree]" = []


class Model(pydantic.BaseModel):
    x: int


def test_fields_are_positional_and_have_defaults() -> None:
    order = Order("alice", 5.0)
    assert (order.account, order.amount, order.currency, order.tags) == ("alice", 5.0, "EUR", [])
    assert order == Order("alice", 5.0, currency="EUR")
    assert order != Order("alice", 6.0)
    assert repr(Address("Bern")) == "Address(city='Bern', zip='')"
    with pytest.raises(TypeError, match="Missing required argument 'amount'"):
        Order("alice")  # type: ignore[call-arg]


def test_mutable_defaults_are_not_shared() -> None:
    one, other = Order("a", 1.0), Order("b", 1.0)
    one.tags.append("x")
    assert other.tags == []


def test_subclasses_add_fields() -> None:
    rush = Rush("alice", 5.0, hours=3)
    assert Rush.loads(rush.dumps()) == rush
    assert isinstance(rush, Order)


def test_frozen_records_are_hashable_and_cannot_be_changed() -> None:
    assert {Point(1, 2): "a"}[Point(1, 2)] == "a"
    with pytest.raises(AttributeError):
        Point(1, 2).x = 3  # type: ignore[misc]


def test_records_do_not_occupy_the_garbage_collector_unless_they_ask_to() -> None:
    class Cyclic(Record, gc=True):
        other: Any = None

    assert not Order.__struct_config__.gc
    assert not Rush.__struct_config__.gc
    assert Cyclic.__struct_config__.gc


def test_asdict_takes_nested_records_apart_and_copies_containers() -> None:
    class Basket(Record):
        orders: list[Order]
        by_city: dict[str, Address]
        points: set[Point]
        pair: tuple[Point, int]
        when: datetime

    when = datetime(2026, 1, 2)
    basket = Basket([Order("a", 1.0)], {"Bern": Address("Bern")}, set(), (Point(1, 2), 3), when)
    assert basket.asdict() == {
        "orders": [{"account": "a", "amount": 1.0, "currency": "EUR", "tags": [], "address": None}],
        "by_city": {"Bern": {"city": "Bern", "zip": ""}},
        "points": set(),
        "pair": ({"x": 1, "y": 2}, 3),
        "when": when,
    }
    basket.asdict()["orders"].clear()
    assert len(basket.orders) == 1


def test_derive_copies_with_changes() -> None:
    order = Order("alice", 5.0)
    assert order.derive(amount=6.0) == Order("alice", 6.0)
    assert order.amount == 5.0
    with pytest.raises(TypeError):
        order.derive(nothing=1)


def test_dumps_and_loads_are_inverse() -> None:
    order = Order("alice", 5.0, tags=["x"], address=Address("Bern"))
    raw = order.dumps()
    assert raw == b'{"account":"alice","amount":5.0,"currency":"EUR","tags":["x"],"address":{"city":"Bern","zip":""}}'
    assert Order.loads(raw) == Order.loads(raw.decode()) == order
    assert Tree.loads(b'{"label": "a", "kids": [{"label": "b"}]}') == Tree("a", [Tree("b")])


def test_unknown_fields_are_ignored() -> None:
    assert Address.loads(b'{"city": "Bern", "canton": "BE"}') == Address("Bern")


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b'{"amount": 5}', "$.account", "missing required field `account`"),
        (b'{"account": "a", "amount": "5"}', "$.amount", "Expected `float`, got `str`"),
        (b'{"account": "a", "amount": 5, "tags": [1]}', "$.tags[0]", "Expected `str`, got `int`"),
        (b'{"account": "a", "amount": 5, "address": {}}', "$.address.city", "missing required field `city`"),
        (b"[]", "", "Expected `object`, got `array`"),
        (b'{"account', "", "truncated"),
        (b'{"account": "\xff", "amount": 5}', "", "not readable as json: UnicodeDecodeError"),
    ],
)
def test_what_cannot_be_read_names_field_and_reason(raw: bytes, field: str, reason: str) -> None:
    with pytest.raises(DecodeError) as raised:
        Order.loads(raw)
    assert raised.value.field == field
    assert reason in raised.value.reason


def test_not_a_number_is_not_written_as_null() -> None:
    for amount, said in ((float("nan"), "nan"), (float("-inf"), "-inf")):
        with pytest.raises(EncodeError, match=rf"Order: field \$\.amount: JSON has no {said}"):
            Order("alice", amount).dumps()
    with pytest.raises(EncodeError, match="cannot be encoded"):
        Order("alice", object()).dumps()  # type: ignore[arg-type]


def test_validate_checks_every_field() -> None:
    Order("alice", 5.0).validate()
    with pytest.raises(EncodeError, match=r"Order: field \$\.amount: Expected `float`, got `str`"):
        Order("alice", "5").validate()  # type: ignore[arg-type]
    with pytest.raises(EncodeError, match="JSON has no nan"):
        Order("alice", float("nan")).validate()


def test_schema_is_a_json_schema() -> None:
    schema = Order.schema()
    assert schema["$ref"] == "#/$defs/Order"
    assert schema["$defs"]["Order"]["required"] == ["account", "amount"]
    assert set(schema["$defs"]) == {"Order", "Address"}


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (Order, "Order"),
        (str, "str"),
        (None, "None"),
        (Any, "Any"),
        (dict, "dict"),
        (list[Order], "list[Order]"),
        (dict[str, Any], "dict[str, Any]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Mapping[str, int], "Mapping[str, int]"),
        (Optional[Order], "Order | None"),  # noqa: UP045
        (int | str, "int | str"),
        (Annotated[int, "metres"], "int"),
        (Literal["a", 1], "Literal['a', 1]"),
        (NewType("Metres", int), "Metres"),
        ("Later", "Later"),
    ],
)
def test_types_have_short_names(annotation: Any, name: str) -> None:
    assert describe(annotation) == name


def test_json_schemas_of_all_kinds_of_types() -> None:
    @dataclasses.dataclass
    class Holder:
        model: Model

    assert json_schema(None) == {}
    assert json_schema(list[int]) == {"type": "array", "items": {"type": "integer"}}
    assert json_schema(Model)["properties"] == {"x": {"title": "X", "type": "integer"}}
    assert json_schema(Holder)["$defs"]["Holder"]["properties"]["model"]["title"] == "Model"
    with pytest.raises(ConfigError, match=r"list\[complex\] has no JSON Schema"):
        json_schema(list[complex])
