"""One value at a time: the short way for the declared class refuses, and writes, what the careful one does."""

import dataclasses
from collections.abc import Callable
from enum import Enum
from math import isfinite
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import EncodeError
from streamz_actors.serde.schema import schema_for
from tests.unit.serde.shapes import FORMATS, Derived, Level, Metres, Model, Nested, Order, Plain, Word

NOT_FINITE = (float("nan"), float("inf"), float("-inf"))


class DerivedOrder(Order):
    note: str = ""


class Priced(msgspec.Struct, rename="camel"):
    unit_price: float


@dataclasses.dataclass
class Measured:
    name: str | None
    degrees: float


class Sizes(Enum):
    SMALL = 1


class OwnFloat(float):
    pass


@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize(
    "place",
    [
        lambda bad: Order("a", bad),
        lambda bad: Order("a", 1.0, bad),
        lambda bad: Order("a", OwnFloat(bad)),
        lambda bad: Priced(bad),
        lambda bad: Measured("a", bad),
        lambda bad: Measured(None, bad),
        lambda bad: Nested(None, {"a": bad}),
        lambda bad: Model(x=1, y=bad),
        lambda bad: bad,
    ],
)
@pytest.mark.parametrize("packed", ["", "|zstd"])
@pytest.mark.parametrize("key", [False, True])
def test_a_float_that_json_does_not_have_is_refused_wherever_it_is(
    key: bool, packed: str, place: Any, bad: float
) -> None:
    value = place(bad)
    with pytest.raises(EncodeError):
        schema_for(type(value), f"json{packed}", key=key).encode(value)


def test_a_refused_float_is_named() -> None:
    with pytest.raises(EncodeError, match=r"^Order: field \$\.amount: JSON has no nan$"):
        schema_for(Order).encode(Order("a", float("nan")))
    with pytest.raises(EncodeError, match=r"^Measured: field \$\.degrees: JSON has no inf$"):
        schema_for(Measured).encode(Measured("a", float("inf")))
    with pytest.raises(EncodeError, match=r"^float: field \$: JSON has no -inf$"):
        schema_for(float).encode(float("-inf"))


@pytest.mark.parametrize(
    ("kind", "codec", "value"),
    [
        (Order, None, Plain(1)),
        (Order, None, "a"),
        (Order, None, Order),
        (Measured, None, Order("a", 1.0)),
        (str, "str", 5),
        (str, "str", b"a"),
        (str, None, 5),
        (int, "int", True),
        (int, "int", 1.5),
        (int, "int", 2**63),
        (int, None, True),
        (float, None, "1.5"),
        (float, None, True),
        (bytes, None, "a"),
        (Sizes, None, 1),
        (Order, "msgpack", Plain(1)),
    ],
)
def test_the_wrong_class_is_refused(kind: Any, codec: str | None, value: Any) -> None:
    with pytest.raises(EncodeError):
        schema_for(kind, codec).encode(value)


def test_a_subclass_is_looked_at_and_written_as_a_column_would_be() -> None:
    values: list[tuple[Any, str, Any]] = [
        (Order, "json", DerivedOrder("a", 1.0, note="null")),
        (Plain, "json", Plain(1)),
        (Derived, "json", Derived(1, 2)),
        (int, "json", Level.LOW),
        (int, "int", Level.LOW),
        (str, "str", Word.TEA),
        (float, "json", 5),
        (Metres, "json", 1.5),
        (bytes, "raw", bytearray(b"a")),
    ]
    for kind, codec, value in values:
        schema = schema_for(kind, codec)
        assert schema.encode_all([value]) == [schema.encode(value)]
    with pytest.raises(EncodeError):
        schema_for(Order).encode(DerivedOrder("a", float("nan")))


@pytest.mark.parametrize("kind", [Order, Plain, Measured, Nested, Model, Sizes, str, int, float, bytes, dict, Any])
def test_none_has_no_bytes_whatever_the_type(kind: Any) -> None:
    for key in (False, True):
        assert schema_for(kind, key=key).encode(None) is None


def test_a_value_that_cannot_be_written_is_refused_once_and_with_its_cause() -> None:
    unfinished = Order("a", 1.0)
    del unfinished.amount
    for value in (unfinished, Order(object(), 1.0), Order("\ud800", 1.0), Measured("\ud800", 1.0)):  # type: ignore[arg-type]
        with pytest.raises(EncodeError, match=f"^{type(value).__name__}: ") as raised:
            schema_for(type(value)).encode(value)
        assert raised.value.__cause__ is not None
        assert raised.value.__cause__.__context__ is None
    with pytest.raises(EncodeError, match="UnicodeEncodeError"):
        schema_for(str, "str").encode("\ud800")


def test_what_is_no_number_in_a_float_field_is_for_the_reader_to_refuse() -> None:
    for odd in ("x", "", 10**400, True, [1.0]):
        value = Order("null", odd)  # type: ignore[arg-type]
        assert schema_for(Order).encode_all([value]) == [schema_for(Order).encode(value)]


def test_nulls_that_are_no_floats_are_written() -> None:
    values = (Order("null", 1.0, None), Measured("null", 0.0), Measured(None, -0.0), Nested(None, {"null": 1.0}))
    for value in values:
        schema = schema_for(type(value))
        assert schema.decode(schema.encode(value)) == value


def test_fields_are_asked_by_their_own_names() -> None:
    assert schema_for(Priced).encode(Priced(1.5)) == b'{"unitPrice":1.5}'


def test_messagepack_writes_every_float() -> None:
    for bad in NOT_FINITE:
        raw = schema_for(Order, "msgpack").encode(Order("a", bad))
        assert str(schema_for(Order, "msgpack").decode(raw).amount) == str(bad)  # type: ignore[union-attr]


def test_every_stage_of_a_codec_is_passed() -> None:
    for kind, value in ((Order, Order("a", 1.0)), (str, "a"), (Measured, Measured("a", 1.0))):
        schema = schema_for(kind, "json|zstd|lz4")
        assert schema.decode(schema.encode(value)) == value
        assert schema.encode(value) != schema_for(kind, "json").encode(value)


def written(encode: Callable[[Any], Any], value: Any) -> Any:
    """What came out: bytes, or the words of the refusal."""
    try:
        return encode(value)
    except EncodeError as error:
        return str(error)


FLOATS = st.floats() | st.integers(-(2**63), 2**64 - 1) | st.none()


@pytest.mark.parametrize("codec", FORMATS)
@given(account=st.text(), amount=FLOATS, discount=FLOATS)
def test_a_single_value_is_treated_like_a_column(codec: str, account: str, amount: Any, discount: Any) -> None:
    finite = all(isfinite(item) for item in (amount, discount) if item is not None)
    order = Order(account, amount, discount)
    for value in (order, Measured(account, amount), Nested(order, {"a": amount})):
        schema = schema_for(type(value), codec)
        alone = written(schema.encode, value)
        assert written(schema.encode_all, [value]) in (alone, [alone])
        if value is order:
            assert isinstance(alone, bytes) is (finite or codec == "msgpack")
