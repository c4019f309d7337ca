"""Schemas: what is written comes back as it was, or is refused; columns and single values agree."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest

from streamz_actors.errors import DecodeError, EncodeError
from streamz_actors.serde.schema import schema_for
from tests.unit.serde.shapes import (
    FORMATS,
    MOMENT,
    TYPED,
    Base,
    Box,
    Color,
    Data,
    Derived,
    Dictated,
    Frozen,
    FrozenData,
    HasModel,
    Level,
    Loose,
    Model,
    Nested,
    Order,
    Pair,
    Plain,
    Positive,
    Tagged,
    Tree,
    Word,
)


@pytest.mark.parametrize("codec", [*FORMATS, "json|lz4"])
@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize(("kind", "value"), TYPED)
def test_values_of_every_kind_of_type_come_back(kind: Any, value: Any, key: bool, codec: str) -> None:
    schema = schema_for(kind, codec, key=key)
    raw = schema.encode(value)
    if not key or kind not in (None, Any):
        assert schema.decode(raw) == value
    assert type(schema.decode(raw)) is type(value)
    column = [value, None, value]
    assert schema.encode_all(column) == [raw, None, raw]
    assert schema.encode_all([value]) == [raw]
    assert schema.decode_all([raw, None]) == [schema.decode(raw), None]


def test_default_codecs_are_what_kafka_users_expect() -> None:
    assert schema_for(bytes).codec == "raw"
    assert schema_for(bytes | None, key=True).codec == "raw"
    assert schema_for(str, key=True).codec == "str"
    assert schema_for(str | None, key=True).codec == "str"
    assert schema_for(str).codec == "json"
    assert schema_for(int, key=True).codec == "json"
    assert schema_for(Order).codec == "json"
    assert schema_for(None).type is Any


def test_schemas_are_equal_if_type_and_codec_are() -> None:
    assert schema_for(Order) == schema_for(Order, "JSON")
    assert hash(schema_for(list[int])) == hash(schema_for(list[int]))
    assert schema_for(Order) != schema_for(Order, "msgpack")
    assert schema_for(Order) != schema_for(Plain)
    assert "codec='json'" in repr(schema_for(int))
    assert "_format" not in repr(schema_for(int))


@pytest.mark.parametrize("codec", ["json", "msgpack", "str", "int", "raw", "json|zstd"])
def test_none_is_the_absence_of_bytes_in_every_codec(codec: str) -> None:
    schema = schema_for(None, codec)
    assert schema.encode(None) is None
    assert schema.decode(None) is None
    assert schema.encode_all([None, None]) == [None, None]
    assert schema.decode_all([None, None]) == [None, None]
    assert schema.encode_all([]) == []
    assert schema.decode_all([]) == []


@pytest.mark.parametrize(
    ("kind", "immutable"),
    [
        *((kind, True) for kind in (str, int, float, bool, bytes, datetime, Decimal, uuid.UUID, Color, Positive, Pair)),
        *((kind, True) for kind in (tuple[int, ...], tuple[int, str], frozenset[str], int | None, Literal["a"])),
        *((kind, True) for kind in (Frozen, FrozenData, Tree, tuple[Frozen, ...])),
        (Annotated[str, msgspec.Meta(title="T")], True),
        *((kind, False) for kind in (Order, Data, Plain, Box[int], Model, Dictated, Any, None, dict, list, set[int])),
        *((kind, False) for kind in (tuple[Order, int], tuple[list[int], ...], Frozen | list[int], bytearray)),
    ],
)
def test_immutable_means_that_nobody_can_change_a_value_in_place(kind: Any, immutable: bool) -> None:
    assert schema_for(kind).immutable is immutable


def test_only_bytes_and_text_sort_as_their_values_do() -> None:
    assert schema_for(bytes).ordered
    assert schema_for(str, key=True).ordered
    assert not schema_for(str).ordered
    assert not schema_for(int, "int").ordered
    assert not schema_for(str, "str|zstd").ordered


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, "x"),
        (int, True),
        (int, 1.5),
        (float, "1.5"),
        (float, True),
        (bool, 1),
        (str, 5),
        (str, b"x"),
        (datetime, "2026-01-02T03:04:05Z"),
        (Color, "red"),
        (Order, {"account": "alice", "amount": 5.0}),
        (Order, Plain(1)),
        (Plain, Order("a", 1.0)),
        (Data, {"x": 1}),
        (Model, {"x": 1}),
        (Model, Order("a", 1.0)),
        (Dictated, {"account": "alice"}),
        (Dictated, Order("a", 1.0)),
        (list[int], ["x"]),
        (list[int], (1,)),
        (set[int], [1]),
        (list[Order], [Plain(1)]),
        (dict[str, int], {"a": 1.5}),
        (dict, [1]),
        (list, {"a": 1}),
        (Sequence[int], {1}),
        (int | str, 1.5),
        (Literal["a"], "b"),
        (Positive, 0),
        (Box[int], Box("x")),
    ],
)
@pytest.mark.parametrize("codec", FORMATS)
def test_a_value_of_another_type_is_refused(codec: str, kind: Any, value: Any) -> None:
    schema = schema_for(kind, codec)
    with pytest.raises(EncodeError):
        schema.encode(value)
    with pytest.raises(EncodeError):
        schema.encode_all([value])


def test_a_refusal_names_type_and_field() -> None:
    with pytest.raises(EncodeError, match=r"^Order: got \{'account': 'a'\}, a dict$"):
        schema_for(Order).encode({"account": "a"})
    with pytest.raises(EncodeError, match=r"^list\[int\]: field \$\[1\]: Expected `int`, got `str`$"):
        schema_for(list[int]).encode([1, "x"])
    with pytest.raises(EncodeError, match=r"^Dictated: field \$\.amount: Object missing required field `amount`$"):
        schema_for(Dictated).encode({"account": "a"})


def test_whole_numbers_are_floats_too() -> None:
    schema = schema_for(float)
    assert schema.decode_all(schema.encode_all([5, 1.5])) == [5.0, 1.5]
    assert isinstance(schema.decode(schema.encode(5)), float)


def test_a_subclass_comes_back_as_what_was_declared() -> None:
    assert schema_for(Base).decode(schema_for(Base).encode(Derived(1, 2))) == Base(1)
    assert schema_for(Base).decode(schema_for(Base).encode(Tagged(1))) == Base(1)
    assert schema_for(int).decode(schema_for(int).encode(Level.LOW)) == 1
    assert schema_for(str, "str").encode(Word.TEA) == b"tea"
    counter = schema_for(dict[str, int])
    assert counter.decode(counter.encode(Counter(a=1))) == {"a": 1}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (float, lambda bad: bad),
        (Order, lambda bad: Order("a", bad)),
        (Order, lambda bad: Order("a", 1.0, bad)),
        (Nested, lambda bad: Nested(Order("a", bad))),
        (Nested, lambda bad: Nested(None, {"a": 1.0, "b": bad})),
        (list[float], lambda bad: [1.0, bad]),
        (tuple[float, int], lambda bad: (bad, 1)),
        (Dictated, lambda bad: {"account": "a", "amount": bad}),
        (Model, lambda bad: Model(x=1, inner=Model(x=1, y=bad))),
        (HasModel, lambda bad: HasModel(Model(x=1, y=bad))),
        (Loose, lambda bad: Loose([bad])),
        (Any, lambda bad: bad),
        (dict, lambda bad: {"a": bad}),
        (Any, lambda bad: {"a": [{"b": bad}]}),
    ],
)
def test_json_has_no_nan_and_none_becomes_null(kind: Any, place: Any, bad: float) -> None:
    for key in (False, True):
        schema = schema_for(kind, key=key)
        with pytest.raises(EncodeError):
            schema.encode(place(bad))
        with pytest.raises(EncodeError):
            schema.encode_all([place(1.0), place(bad)])
    with pytest.raises(EncodeError, match="JSON has no"):
        schema_for(kind).encode(place(bad))


def test_null_and_the_word_null_are_no_reason_to_refuse() -> None:
    schema = schema_for(Order)
    orders = [Order("null", 1.0), Order("a", 0.0, None), Order("a", 1e308), Order("b", 1e308)]
    assert schema.decode_all(schema.encode_all(orders)) == orders
    nested = [Nested(None), Nested(Order("null", 1.0), {"null": 2.0})]
    assert schema_for(Nested).decode_all(schema_for(Nested).encode_all(nested)) == nested
    texts = [{"a": None, "b": 1.5}, {"a": "null", "b": 2.5}]
    assert schema_for(dict).decode_all(schema_for(dict).encode_all(texts)) == texts


def test_nothing_is_summed_up_that_is_no_number() -> None:
    order = Order("null", "x")  # type: ignore[arg-type]
    assert schema_for(Order).encode_all([order]) == [schema_for(Order).encode(order)]
    huge = Order("a", 10**400)
    with pytest.raises(DecodeError):
        schema_for(Order).decode(schema_for(Order).encode(huge))


def test_messagepack_has_nan() -> None:
    for kind in (float, Any):
        schema = schema_for(kind, "msgpack")
        assert str(schema.decode(schema.encode(float("nan")))) == "nan"


@pytest.mark.parametrize(
    "value",
    [
        Order("a", 1.0),
        Plain(1),
        Data(1),
        Model(x=1),
        Color.RED,
        Word.TEA,
        Level.LOW,
        {1, 2},
        MOMENT,
        uuid.UUID(int=1),
        Decimal(1),
        Pair(1, "a"),
        defaultdict(int),
        object(),
        1j,
        {Word.TEA: 1},
    ],
)
@pytest.mark.parametrize("codec", FORMATS)
def test_without_a_type_what_would_come_back_as_something_else_is_refused(codec: str, value: Any) -> None:
    schema = schema_for(Any, codec)
    for held in (value, {"a": value}, {"a": [{"b": (value,)}]}, [value]):
        with pytest.raises(EncodeError, match="would not come back as one"):
            schema.encode(held)
        with pytest.raises(EncodeError, match="would not come back as one"):
            schema.encode_all([held, held])


def test_the_refusal_says_where_and_what_to_do() -> None:
    with pytest.raises(EncodeError) as raised:
        schema_for(dict).encode({"a": [1, Order("a", 1.0)]})
    assert str(raised.value) == (
        "dict: field $.a[1]: a Order would not come back as one: name its type (value_type=, key_type=)"
    )


def test_json_without_a_type_has_text_keys_only_and_messagepack_more() -> None:
    with pytest.raises(EncodeError, match="the key 1 of type int would not come back as one"):
        schema_for(Any).encode({1: 2})
    with pytest.raises(EncodeError, match="the key 1 of type int"):
        schema_for(dict).encode_all([{1: 2}])
    packed = schema_for(Any, "msgpack")
    assert packed.decode(packed.encode({1: b"x", None: 1.5})) == {1: b"x", None: 1.5}
    with pytest.raises(EncodeError, match="a bytes would not come back as one"):
        schema_for(Any).encode(b"x")
