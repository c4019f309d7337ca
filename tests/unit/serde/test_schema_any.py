"""Schemas of any value and of keys, and random values that come back as they were."""

import uuid
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import ConfigError, DecodeError, EncodeError
from streamz_actors.serde.schema import FAILED, Schema, schema_for
from tests.unit.serde.shapes import (
    FORMATS,
    MOMENT,
    Base,
    Color,
    Derived,
    Frozen,
    HasModel,
    Incomparable,
    Loose,
    Model,
    Order,
    OtherModel,
)


def test_numbers_beyond_64_bits_are_read_exactly() -> None:
    assert schema_for(Any).decode(str(10**30).encode()) == 10**30
    with pytest.raises(EncodeError, match="64-bit"):
        schema_for(Any).encode(10**30)


def test_tuples_come_back_as_lists_in_values_and_lists_as_tuples_in_keys() -> None:
    assert schema_for(Any).decode(schema_for(Any).encode((1, (2, 3)))) == [1, [2, 3]]
    for codec in FORMATS:
        key = schema_for(Any, codec, key=True)
        assert key.decode_all(key.encode_all([(1, (2, "a")), "x"])) == [(1, (2, "a")), "x"]
        assert key.decode(key.encode({"a": [1]})) == {"a": (1,)}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (Loose({"a": {1, 2}}), r"\$\.payload\.a: a set would come back as a list"),
        (Loose({"a": Order("a", 1.0)}), r"\$\.payload\.a: a Order would come back as a dict"),
        (Loose([MOMENT]), r"\$\.payload\[0\]: a datetime would come back as a str"),
        (Loose(None, {"a": Color.RED}), r"\$\.more\.a: a Color would come back as a str"),
        (Loose(None, {"a": {1: 2}}), r"\$\.more\.a\.1: a int would come back as nothing"),
        (Incomparable(uuid.UUID(int=1)), r"\$\.payload: a UUID would come back as a str"),
    ],
)
def test_undeclared_parts_of_a_declared_type_are_held_to_the_same(value: Any, found: str) -> None:
    schema = schema_for(type(value))
    with pytest.raises(EncodeError, match=found):
        schema.encode(value)
    with pytest.raises(EncodeError, match=found):
        schema.encode_all([value])


def test_undeclared_parts_may_hold_tuples_and_what_compares_by_identity() -> None:
    for value in (Loose((1, (2,))), Incomparable({"a": (1,)})):
        schema = schema_for(type(value))
        assert schema.encode_all([value]) == [schema.encode(value)]
    assert schema_for(Loose).decode(schema_for(Loose).encode(Loose((1,)))) == Loose([1])


def test_equal_keys_have_equal_bytes() -> None:
    for codec in FORMATS:
        pairs: list[tuple[Any, Any, Any]] = [
            (Any, {"a": 1, "b": 2}, {"b": 2, "a": 1}),
            (dict[str, int], {"a": 1, "b": 2}, {"b": 2, "a": 1}),
            (float, 5, 5.0),
            (tuple[float, str], (5, "a"), (5.0, "a")),
            (Frozen, Frozen(5, frozenset("abcdefg")), Frozen(5.0, frozenset("gfedcba"))),
            (HasModel, HasModel(Model(x=1)), HasModel(Model(x=1))),
        ]
        for kind, one, other in pairs:
            schema = schema_for(kind, codec, key=True)
            assert schema.encode(one) == schema.encode(other)
            assert schema.encode_all([one]) == [schema.encode(other)]


def test_pydantic_keys_are_sorted() -> None:
    class Holder(pydantic.BaseModel):
        counts: dict[str, int]

    schema = schema_for(Holder, key=True)
    assert schema.encode(Holder(counts={"b": 1, "a": 2})) == b'{"counts":{"a":2,"b":1}}'


def test_pydantic_models_follow_their_own_rules_and_errors_name_the_field() -> None:
    schema = schema_for(Model)
    assert schema.decode(b'{"x": "5", "unknown": 1}') == Model(x=5)
    with pytest.raises(DecodeError) as raised:
        schema.decode(b'{"x": 1, "inner": {"x": "a", "y": "b"}}')
    assert raised.value.field == "$.inner.x"
    assert raised.value.reason.startswith("Input should be a valid integer")
    assert raised.value.reason.endswith("(and 1 more)")
    with pytest.raises(DecodeError, match="not readable as json: Invalid JSON"):
        schema.decode(b"{")
    union = schema_for(Model | OtherModel)
    assert union.decode_all(union.encode_all([Model(x=1), OtherModel(z="a")])) == [Model(x=1), OtherModel(z="a")]
    assert not union.immutable


def test_a_pydantic_model_changed_behind_its_back_is_refused() -> None:
    model = Model(x=1)
    model.x = "a"  # type: ignore[assignment]
    for schema in (schema_for(Model), schema_for(list[Model])):
        value = model if schema.type is Model else [model]
        with pytest.raises(EncodeError, match="Expected `int`"):
            schema.encode(value)


def test_errors_of_models_inside_other_types_name_both_paths() -> None:
    schema = schema_for(HasModel)
    with pytest.raises(DecodeError) as raised:
        schema.decode(b'{"model": {"x": "a"}}')
    assert raised.value.field == "$.model"
    assert raised.value.reason.startswith("$.x: Input should be a valid integer")
    listed = schema_for(list[Model])
    with pytest.raises(DecodeError) as raised:
        listed.decode(b"[5]")
    assert raised.value.field == "$[0]"
    assert raised.value.reason.startswith("Input should be an object")


def test_errors_in_the_keys_of_a_dict_say_so() -> None:
    with pytest.raises(DecodeError) as raised:
        schema_for(dict[str, dict[int, str]]).decode(b'{"a": {"b": "c"}}')
    assert raised.value.field == "$[...]"
    assert raised.value.reason == "Expected `int`, got `str` (a key)"


def test_a_column_goes_on_behind_what_it_could_not_read() -> None:
    schema: Schema[Order] = schema_for(Order)
    good = schema.encode(Order("a", 1.0))
    bad, worse = b'{"account": "a"}', b"{"
    failures: list[tuple[int, DecodeError]] = []
    rows = schema.decode_all([bad, good, good, worse, good, bad], failures)
    assert rows == [FAILED, Order("a", 1.0), Order("a", 1.0), FAILED, Order("a", 1.0), FAILED]
    assert [(row, error.field) for row, error in failures] == [(0, "$.amount"), (3, ""), (5, "$.amount")]
    assert repr(FAILED) == "<failed>"


@pytest.mark.parametrize("others", [[], [None]])
def test_without_a_place_for_failures_the_first_is_raised(others: list[None]) -> None:
    schema = schema_for(Order)
    with pytest.raises(DecodeError) as raised:
        schema.decode_all([*others, b'{"amount": 1}', b"{"])
    assert raised.value.field == "$.account"
    assert isinstance(raised.value.__cause__, msgspec.ValidationError)


def test_absent_records_in_a_column_do_not_hide_failures() -> None:
    schema = schema_for(int)
    failures: list[tuple[int, DecodeError]] = []
    assert schema.decode_all([None, b"1", b"x", None, b"2"], failures) == [None, 1, FAILED, None, 2]
    assert [row for row, _ in failures] == [2]


def test_a_column_of_mixed_classes_is_encoded_value_by_value() -> None:
    schema = schema_for(Base)
    assert schema.encode_all([Base(1), Derived(2, 3), None]) == [b'{"x":1}', b'{"x":2,"y":3}', None]
    anything = schema_for(Any)
    assert anything.encode_all([1, {"a": 1}, "x", [1]]) == [b"1", b'{"a":1}', b'"x"', b"[1]"]
    assert anything.encode_all([{"a": [1]}, {"b": (2,)}]) == [b'{"a":[1]}', b'{"b":[2]}']


@pytest.mark.parametrize(
    "kind",
    [5, "Later", list["Later"], list[int] | set[int]],  # type: ignore[name-defined]  # noqa: F821
)
def test_what_is_no_type_of_records_is_refused_when_declared(kind: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be the type of a record"):
        schema_for(kind)


def test_dicts_without_text_keys_are_for_values_only() -> None:
    for codec in FORMATS:
        schema = schema_for(dict[int, str], codec)
        assert schema.decode_all(schema.encode_all([{1: "a"}, None])) == [{1: "a"}, None]
        with pytest.raises(ConfigError, match=r"tuple\[dict\[int, str\], int\] cannot be a key"):
            schema_for(tuple[dict[int, str], int], codec, key=True)


def test_large_integers_are_for_json() -> None:
    assert schema_for(int).decode(schema_for(int).encode(2**70)) == 2**70
    with pytest.raises(EncodeError, match="int: OverflowError"):
        schema_for(int, "msgpack").encode(2**70)


def test_a_model_that_one_codec_cannot_take_is_refused_when_declared() -> None:
    with pytest.raises(ConfigError, match=r"Model \| OtherModel cannot be used with the codec 'msgpack'"):
        schema_for(Model | OtherModel, "msgpack")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
ORDERS = st.builds(
    Order,
    st.text(st.characters(exclude_categories=["Cs"])),
    st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.integers(),
)


@given(st.lists(JSON_VALUES))
def test_anything_json_has_comes_back(values: list[Any]) -> None:
    schema = schema_for(Any)
    assert schema.decode_all(schema.encode_all(values)) == values
    assert schema.encode_all(values) == [schema.encode(value) for value in values]


@given(st.lists(ORDERS | st.none()))
def test_any_records_come_back(orders: list[Order | None]) -> None:
    schema = schema_for(Order)
    assert schema.decode_all(schema.encode_all(orders)) == orders
    assert schema.encode_all(orders) == [schema.encode(order) for order in orders]


@given(st.lists(st.binary() | st.none()))
def test_no_bytes_crash_a_column(raws: list[bytes | None]) -> None:
    for schema in (schema_for(Order), schema_for(Any), schema_for(Order, "msgpack"), schema_for(int, "int")):
        failures: list[tuple[int, DecodeError]] = []
        rows = schema.decode_all(raws, failures)
        assert len(rows) == len(raws)
        assert [index for index, row in enumerate(rows) if row is FAILED] == [index for index, _ in failures]


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9)), st.randoms())
def test_the_order_in_which_a_key_was_filled_does_not_show(key: dict[str, int], random: Any) -> None:
    items = list(key.items())
    random.shuffle(items)
    for codec in FORMATS:
        for kind in (Any, dict[str, int]):
            schema = schema_for(kind, codec, key=True)
            assert schema.encode(dict(items)) == schema.encode(key)


@pytest.mark.parametrize(
    ("raw", "key"), [(b"alice", "alice"), (b'"alice"', "alice"), (b"\xff\x00", b"\xff\x00"), (b"7", 7)]
)
def test_untyped_keys_that_are_not_json_are_text_or_bytes(raw: bytes, key: object) -> None:
    assert schema_for(Any, key=True).decode(raw) == key
    assert schema_for(Any, key=True).decode_all([raw, None]) == [key, None]
