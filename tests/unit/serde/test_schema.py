"""Schemas: what is written comes back as it was, or is refused; columns and single values agree."""

import dataclasses
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import ConfigError, DecodeError, EncodeError
from streamz_actors.serde.models import Record
from streamz_actors.serde.schema import FAILED, Schema, schema_for

T = TypeVar("T")
FORMATS = ("json", "msgpack")


class Color(Enum):
    RED = "red"


class Word(StrEnum):
    TEA = "tea"


class Level(IntEnum):
    LOW = 1


class Order(Record):
    account: str
    amount: float
    discount: float | None = None
    quantity: int = 1


class Base(Record):
    x: int


class Derived(Base):
    y: int = 0


class Tagged(Base, tag=True):
    pass


class Frozen(Record, frozen=True):
    x: float
    names: frozenset[str] = frozenset()
    colors: tuple[Color, ...] = ()


class Loose(Record):
    payload: Any
    more: dict[str, Any] = {}


class Nested(Record):
    order: Order | None
    rates: dict[str, float] = {}


class Tree(Record, frozen=True):
    kids: "tuple[Tree, ...]" = ()


class Box(Record, Generic[T]):
    content: T


class Plain(msgspec.Struct):
    x: int


@dataclasses.dataclass
class Data:
    x: int
    when: datetime | None = None


@dataclasses.dataclass(frozen=True)
class FrozenData:
    x: int


@dataclasses.dataclass(eq=False)
class Incomparable:
    payload: Any


class Dictated(TypedDict):
    account: str
    amount: float


class Pair(NamedTuple):
    x: int
    y: str


class Model(pydantic.BaseModel):
    x: int
    y: float = 0.0
    inner: "Model | None" = None


class StrictModel(pydantic.BaseModel, strict=True):
    day: date


class OtherModel(pydantic.BaseModel):
    z: str


class HasModel(Record):
    model: Model


Metres = NewType("Metres", float)
Positive = Annotated[int, msgspec.Meta(gt=0)]

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

TYPED: list[tuple[Any, Any]] = [
    (int, 2**60),
    (float, 1.5),
    (bool, True),
    (str, "tea"),
    (Order, Order("alice", 5.0)),
    (Order | None, Order("alice", 5.0, 0.5)),
    (Frozen, Frozen(1.5, frozenset("ab"), (Color.RED,))),
    (Tree, Tree((Tree(), Tree((Tree(),))))),
    (Loose, Loose({"a": [1, None]}, {"b": 2.5})),
    (Nested, Nested(None, {"a": 1.5})),
    (Box[int], Box(5)),
    (Plain, Plain(1)),
    (Data, Data(1, MOMENT)),
    (FrozenData, FrozenData(1)),
    (Incomparable | None, None),
    (Dictated, {"account": "alice", "amount": 5.0}),
    (Pair, Pair(1, "a")),
    (Model, Model(x=1, inner=Model(x=2))),
    (StrictModel, StrictModel(day=date(2026, 1, 2))),
    (list[Model], [Model(x=1)]),
    (HasModel, HasModel(Model(x=1))),
    (list[int], [1, 2]),
    (dict[str, float], {"a": 1.5}),
    (tuple[int, str], (1, "a")),
    (set[str], {"a", "b"}),
    (Sequence[int], [1]),
    (Mapping[str, int], {"a": 1}),
    (int | str, "x"),
    (int | list[int], [1]),
    (Literal["a", "b"], "a"),
    (Metres, 1.5),
    (Positive, 1),
    (Annotated[list[int], "any"], [1]),
    (datetime, MOMENT),
    (date, date(2026, 1, 2)),
    (timedelta, timedelta(seconds=90)),
    (uuid.UUID, uuid.UUID(int=7)),
    (Decimal, Decimal("1.10")),
    (Color, Color.RED),
    (Level, Level.LOW),
    (dict, {"a": {"b": [1, None, True, 1.5]}}),
    (dict[str, Any], {"a": None}),
    (list, [1, "a", None]),
    (Any, {"a": [1, {"b": None}]}),
    (None, 5),
]


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
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
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
